//! A classifier in closed form: where fine-tuning begins, so that it need not undo features for the sake of
//! a random one (Kumar et al., "Fine-Tuning can Distort Pretrained Features", 2022,
//! <https://arxiv.org/abs/2202.10054>).

use rayon::prelude::*;

use super::{Features, ridge::LinearProbe};
use crate::error::Result;

/// Halvings of the interval in which the best factor lies.
const HALVINGS: usize = 40;

/// A linear layer from features to logits.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedClassifier {
    /// `[num_classes, num_features]`, row-major.
    pub weight: Vec<f32>,
    /// `[num_classes]`
    pub bias: Vec<f32>,
}

/// The linear probe of [`ridge_probe`](super::ridge_probe) as a classifier: its scores times the factor
/// that gives the least cross-entropy on the same images.
///
/// # Errors
/// Those of the probe.
pub fn fitted_classifier(features: &Features, lambda: f64) -> Result<FittedClassifier> {
    let probe = LinearProbe::fit(features, lambda)?;
    let rows: Vec<&[f32]> = features.rows().collect();
    let scores: Vec<Vec<f64>> = rows.par_iter().map(|row| probe.scores(row)).collect();
    let factor = best_factor(&scores, features.labels());
    let (weight, bias) = probe.linear();
    let scaled =
        |values: Vec<f64>| values.into_iter().map(|value| (factor * value) as f32).collect();
    Ok(FittedClassifier { weight: scaled(weight), bias: scaled(bias) })
}

/// Where the derivative of the mean cross-entropy, which is convex in the factor, is zero.
fn best_factor(scores: &[Vec<f64>], labels: &[usize]) -> f64 {
    let slope = |factor: f64| -> f64 {
        let of_image = |(scores, label): (&Vec<f64>, &usize)| {
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights = scores.iter().map(|score| (factor * (score - largest)).exp());
            let weights: Vec<f64> = weights.collect();
            let mean: f64 = scores.iter().zip(&weights).map(|(score, weight)| score * weight).sum();
            mean / weights.iter().sum::<f64>() - scores[*label]
        };
        scores.iter().zip(labels).map(of_image).sum()
    };
    let (mut low, mut high) = (0.0, 1.0);
    // Scores of separable images would be sharpened without end.
    while slope(high) < 0.0 && high < 64.0 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ridge_probe;

    /// Two features of three classes that overlap.
    fn features() -> Features {
        let rows = (0..90).flat_map(|image| {
            let (class, noise) = (image % 3, ((image * 37) % 11) as f32 / 4.0);
            [class as f32 + noise, 3.0 - 2.0 * class as f32 + ((image * 17) % 7) as f32 / 2.0]
        });
        let labels = (0..90).map(|image| image % 3).collect();
        Features::new(rows.collect(), 2, labels).expect("finite")
    }

    #[test]
    fn it_says_what_the_probe_says_and_no_other_factor_is_better() {
        let features = features();
        let classifier = fitted_classifier(&features, 0.1).expect("a solution");
        let logits = |row: &[f32], factor: f64| -> Vec<f64> {
            let of_class = classifier.weight.chunks_exact(2).zip(&classifier.bias);
            let logit =
                |(weight, bias): (&[f32], &f32)| weight[0] * row[0] + weight[1] * row[1] + bias;
            of_class.map(logit).map(|logit| factor * f64::from(logit)).collect()
        };
        let loss = |factor: f64| -> f64 {
            let of_image = |(row, label): (&[f32], &usize)| {
                let logits = logits(row, factor);
                logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[*label]
            };
            features.rows().zip(features.labels()).map(of_image).sum()
        };
        assert!(loss(1.0) < loss(0.98) && loss(1.0) < loss(1.02), "the factor is not the best");
        let largest = |row: &[f32]| {
            let logits = logits(row, 1.0).into_iter().enumerate();
            logits.max_by(|one, other| one.1.total_cmp(&other.1)).expect("classes").0
        };
        let right =
            features.rows().zip(features.labels()).filter(|(row, label)| largest(row) == **label);
        let top1 = 100.0 * right.count() as f64 / 90.0;
        assert_eq!(top1, ridge_probe(&features, &features, 0.1).expect("a solution"));
    }
}
