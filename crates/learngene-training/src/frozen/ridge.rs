//! The linear probe: ridge regression onto one-hot classes. It shares only `RowCholesky` and `dot` with
//! the least squares of condensing; its moments are summed here, in another order.

use learngene_least_squares::{RowCholesky, dot};
use rayon::prelude::*;

use super::Features;
use crate::error::{Result, invalid};

/// Default penalty of [`ridge_probe`], suited to a few hundred features and thousands of images.
pub const DEFAULT_RIDGE: f64 = 1e-2;

/// Images whose products are summed at a time, so that they stay in the cache.
const BLOCK: usize = 256;

/// Top-1 in percent of the linear classifier that minimises, over the training images,
///
/// ```text
/// mean |y - W z - b|^2 + lambda |W|^2
/// ```
///
/// where `y` is the one-hot class and `z` the features, standardised by the mean and the standard
/// deviation of the training images. So `lambda` is relative to the mean feature variance, which is 1,
/// and does not depend on the number of images; for sums over `n` images it is `lambda * n`. The bias
/// `b` is not penalised. A constant feature is ignored.
///
/// # Errors
/// A `lambda` that is negative or not finite; test features of another width than the training
/// features; a system without a unique solution, as with `lambda = 0` and fewer images than features.
pub fn ridge_probe(train: &Features, test: &Features, lambda: f64) -> Result<f64> {
    train.check_width(test)?;
    let probe = LinearProbe::fit(train, lambda)?;
    let rows: Vec<&[f32]> = test.rows().collect();
    let predicted: Vec<usize> = rows.par_iter().map(|row| probe.predict(row)).collect();
    Ok(test.top1(&predicted))
}

/// A linear classifier on standardised features.
pub(super) struct LinearProbe {
    scaling: Scaling,
    /// `[num_classes][num_features]`.
    pub(super) weights: Vec<Vec<f64>>,
    /// `[num_classes]`.
    pub(super) bias: Vec<f64>,
}

impl LinearProbe {
    pub(super) fn fit(train: &Features, lambda: f64) -> Result<Self> {
        if !(lambda.is_finite() && lambda >= 0.0) {
            return Err(invalid("lambda", lambda, "0 or a positive, finite number"));
        }
        let scaling = Scaling::of(train);
        // Standardised features have mean zero, so the best bias is the mean of the targets.
        let images = train.images() as f64;
        let mut bias = vec![0.0; train.num_classes()];
        train.labels().iter().for_each(|&label| bias[label] += 1.0 / images);

        let Moments { mut covariance, mut weights } = moments(train, &scaling);
        for (feature, row) in covariance.iter_mut().enumerate() {
            row[feature] += lambda;
            if scaling.is_constant(feature) {
                // Its weight is zero with any penalty, so it is made zero without one too.
                row[feature] = 1.0;
            }
        }
        let factor = RowCholesky::of(covariance).map_err(|feature| {
            let expected = "features that do not follow from each other, or a larger lambda";
            invalid("linear probe", format!("no solution for feature {feature}"), expected)
        })?;
        weights.par_iter_mut().for_each(|targets| factor.solve(targets));
        Ok(Self { scaling, weights, bias })
    }

    /// A score for each class.
    pub(super) fn scores(&self, row: &[f32]) -> Vec<f64> {
        let features = self.scaling.apply(row);
        let of_classes = self.weights.iter().zip(&self.bias);
        of_classes.map(|(weights, bias)| dot(weights, &features) + bias).collect()
    }

    /// Weight `[num_classes, num_features]`, row-major, and bias for features as they are.
    pub(super) fn linear(&self) -> (Vec<f64>, Vec<f64>) {
        let Scaling { mean, scale } = &self.scaling;
        let weights = self.weights.iter();
        let weights: Vec<Vec<f64>> = weights
            .map(|weights| {
                weights.iter().zip(scale).map(|(weight, scale)| weight * scale).collect()
            })
            .collect();
        let bias = weights.iter().zip(&self.bias).map(|(weights, bias)| bias - dot(weights, mean));
        (weights.concat(), bias.collect())
    }

    /// The class with the largest score; of several, the lowest.
    fn predict(&self, row: &[f32]) -> usize {
        let first = (0, f64::NEG_INFINITY);
        let scores = self.scores(row).into_iter();
        let best = scores.enumerate().fold(first, |best, score| match score.1 > best.1 {
            true => score,
            false => best,
        });
        best.0
    }
}

/// Mean and scale of every feature over the training images.
struct Scaling {
    mean: Vec<f64>,
    /// Inverse of the standard deviation; zero for a constant feature.
    scale: Vec<f64>,
}

impl Scaling {
    fn of(train: &Features) -> Self {
        let images = train.images() as f64;
        let mut mean = vec![0.0; train.num_features()];
        for row in train.rows() {
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / images);
        }
        let mut variance = vec![0.0; train.num_features()];
        for row in train.rows() {
            let deviations = mean.iter().zip(row).map(|(mean, value)| f64::from(*value) - mean);
            variance.iter_mut().zip(deviations).for_each(|(sum, by)| *sum += by * by / images);
        }
        // A constant feature has the variance of rounding, about (1e-16 x its mean)^2 in f64.
        let scale = variance.iter().zip(&mean).map(|(variance, mean)| {
            if *variance > (1e-12 * mean).powi(2) { 1.0 / variance.sqrt() } else { 0.0 }
        });
        let scale = scale.collect();
        Self { mean, scale }
    }

    fn is_constant(&self, feature: usize) -> bool {
        self.scale[feature] == 0.0
    }

    fn apply(&self, row: &[f32]) -> Vec<f64> {
        let centred = row.iter().zip(&self.mean).map(|(value, mean)| f64::from(*value) - mean);
        centred.zip(&self.scale).map(|(value, scale)| value * scale).collect()
    }
}

/// Means over the training images of products of standardised features.
struct Moments {
    /// `[num_features][num_features]`, feature with feature; the lower triangle is filled.
    covariance: Vec<Vec<f64>>,
    /// `[num_classes][num_features]`, one-hot class with feature: the right-hand sides.
    weights: Vec<Vec<f64>>,
}

fn moments(train: &Features, scaling: &Scaling) -> Moments {
    let width = train.num_features();
    let images = train.images() as f64;
    let mut covariance = vec![vec![0.0; width]; width];
    let mut weights = vec![vec![0.0; width]; train.num_classes()];
    let blocks = train.values.chunks(BLOCK * width).zip(train.labels().chunks(BLOCK));
    for (block, labels) in blocks {
        let count = labels.len();
        let mut columns = vec![vec![0.0; count]; width]; // [num_features][images of the block]
        for (image, (row, &label)) in block.chunks_exact(width).zip(labels).enumerate() {
            for (feature, value) in scaling.apply(row).into_iter().enumerate() {
                columns[feature][image] = value;
                weights[label][feature] += value / images;
            }
        }
        // Each thread fills its own rows, image after image, so threads do not change the sums.
        covariance.par_iter_mut().enumerate().for_each(|(feature, row)| {
            for (sum, column) in row[..=feature].iter_mut().zip(&columns) {
                *sum += dot(&columns[feature], column) / images;
            }
        });
    }
    Moments { covariance, weights }
}
