//! The linear probe: ridge regression onto one-hot classes.

use rayon::prelude::*;

use super::{Features, dot_f64};
use crate::TrainingError;

/// Penalty of [`ridge_probe`] that suits features of a few hundred numbers and thousands of images.
pub const DEFAULT_RIDGE: f64 = 1e-2;

/// Images whose products are added at a time, so that they stay in the cache.
const BLOCK: usize = 256;

/// Top-1 in percent of the linear classifier that minimises, over the training images,
///
/// ```text
/// mean |y - W z - b|^2 + lambda |W|^2
/// ```
///
/// where `y` is the one-hot class and `z` the features, standardised by the mean and the standard
/// deviation of the training images. `lambda` is thus relative to the mean feature variance, which
/// is one, and does not depend on the number of images; in terms of sums over `n` images it is
/// `lambda * n`. The bias `b` is not penalised. A feature that never varies is left out.
///
/// # Errors
/// When `lambda` is negative or not finite, the features of train and test differ in number, or
/// the system has no unique solution, as with `lambda = 0` and fewer images than features.
pub fn ridge_probe(train: &Features, test: &Features, lambda: f64) -> Result<f64, TrainingError> {
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
    pub(super) fn fit(train: &Features, lambda: f64) -> Result<Self, TrainingError> {
        if !(lambda.is_finite() && lambda >= 0.0) {
            let want = "0 or a positive, finite number";
            return Err(TrainingError::OutOfRange { field: "lambda", got: lambda, want });
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
                // Any penalty keeps its weight at zero, so without one zero it is too.
                row[feature] = 1.0;
            }
        }
        let factor = cholesky(covariance)?;
        weights.par_iter_mut().for_each(|targets| solve(&factor, targets));
        Ok(Self { scaling, weights, bias })
    }

    /// The class of the largest score, of equal ones the lowest.
    fn predict(&self, row: &[f32]) -> usize {
        let features = self.scaling.apply(row);
        let scores =
            self.weights.iter().zip(&self.bias).map(|(row, bias)| dot_f64(row, &features) + bias);
        let first = (0, f64::NEG_INFINITY);
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
    /// Inverse of the standard deviation; zero for a feature that never varies.
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
        // Each thread fills rows of its own, image after image: threads do not change the sums.
        covariance.par_iter_mut().enumerate().for_each(|(feature, row)| {
            for (sum, column) in row[..=feature].iter_mut().zip(&columns) {
                *sum += dot_f64(&columns[feature], column) / images;
            }
        });
    }
    Moments { covariance, weights }
}

/// Lower triangular `L` with `L L^T` the given symmetric matrix, of which the lower triangle is
/// read.
fn cholesky(mut matrix: Vec<Vec<f64>>) -> Result<Vec<Vec<f64>>, TrainingError> {
    let size = matrix.len();
    let largest = (0..size).map(|row| matrix[row][row]).fold(0.0, f64::max);
    // Pivots below the rounding of the sums that they are the difference of are zero.
    let least = largest * size as f64 * f64::EPSILON;
    for row in 0..size {
        let (above, current) = matrix.split_at_mut(row);
        let current = &mut current[0];
        for (column, other) in above.iter().enumerate() {
            let product = dot_f64(&current[..column], &other[..column]);
            current[column] = (current[column] - product) / other[column];
        }
        let pivot = current[row] - dot_f64(&current[..row], &current[..row]);
        if pivot.is_nan() || pivot <= least {
            return Err(TrainingError::Singular { feature: row });
        }
        current[row] = pivot.sqrt();
    }
    Ok(matrix)
}

/// Solves `L L^T x = b` in place.
fn solve(factor: &[Vec<f64>], x: &mut [f64]) {
    for row in 0..x.len() {
        x[row] = (x[row] - dot_f64(&factor[row][..row], &x[..row])) / factor[row][row];
    }
    // Column by column, because rows of L are columns of its transpose.
    for row in (0..x.len()).rev() {
        x[row] /= factor[row][row];
        let solved = x[row];
        x[..row].iter_mut().zip(&factor[row]).for_each(|(x, factor)| *x -= factor * solved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cholesky_of_a_matrix_worked_out_by_hand() {
        // [[4, 2], [2, 5]] = L L^T with L = [[2, 0], [1, 2]].
        let factor = cholesky(vec![vec![4.0, 0.0], vec![2.0, 5.0]]).expect("positive definite");
        assert_eq!(factor, [[2.0, 0.0], [1.0, 2.0]]);
        let mut x = [10.0, 13.0];
        solve(&factor, &mut x);
        assert_eq!(x, [1.5, 2.0]);
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused_at_its_feature() {
        let error = cholesky(vec![vec![1.0, 0.0], vec![2.0, 1.0]]).expect_err("indefinite");
        assert!(matches!(error, TrainingError::Singular { feature: 1 }), "{error}");
        let error = cholesky(vec![vec![f64::NAN]]).expect_err("not a number");
        assert!(matches!(error, TrainingError::Singular { feature: 0 }), "{error}");
    }
}
