//! Quality of a model's features without training it: what initialisation alone is worth.
//!
//! Features of training images are compared with those of test images, by nearest neighbours or
//! by a linear probe. Neither draws anything at random, so differences of a point mean something.

mod knn;
mod ridge;

use std::{num::NonZeroUsize, sync::Arc};

use burn::tensor::{Device, Tensor};
use learngene_datasets::{CheckedPreprocess, Dataset};

pub use knn::knn;
pub use ridge::{DEFAULT_RIDGE, ridge_probe};

use crate::{TrainingError, batches::in_order, host_batch::HostBatch};

/// What a model makes of labelled images, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// `[images, num_features]`, row-major.
    values: Vec<f32>,
    num_features: usize,
    /// `[images]`.
    labels: Vec<usize>,
}

impl Features {
    /// Features of images and their classes.
    ///
    /// # Shapes
    /// - values: `[images, num_features]`, row-major
    /// - labels: `[images]`
    ///
    /// # Errors
    /// When there are no images, the number of values is not that of images times features, or a
    /// value is not finite.
    pub fn new(
        values: Vec<f32>,
        num_features: usize,
        labels: Vec<usize>,
    ) -> Result<Self, TrainingError> {
        if labels.is_empty() {
            return Err(TrainingError::NoImages { split: "labelled" });
        }
        let (got, images) = (values.len(), labels.len());
        if num_features == 0 || images.checked_mul(num_features) != Some(got) {
            return Err(TrainingError::FeatureShape { images, num_features, got });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (image, feature) = (at / num_features, at % num_features);
            return Err(TrainingError::NotFinite { image, feature, got: values[at] });
        }
        Ok(Self { values, num_features, labels })
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.labels.len()
    }

    /// Features of an image.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// Class of every image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Features of every image, one after another.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.num_features)
    }

    /// One more than the largest label.
    pub(crate) fn num_classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |largest| largest + 1)
    }

    /// Percentage of images whose class was predicted.
    pub(crate) fn top1(&self, predicted: &[usize]) -> f64 {
        let right = self.labels.iter().zip(predicted).filter(|(label, class)| label == class);
        100.0 * right.count() as f64 / self.images() as f64
    }

    /// Refuses test features of another width: they come from another model.
    pub(crate) fn check_width(&self, test: &Self) -> Result<(), TrainingError> {
        let (train, test) = (self.num_features, test.num_features);
        if train == test { Ok(()) } else { Err(TrainingError::FeatureWidths { train, test }) }
    }
}

/// Runs every image of a dataset through a model once, without augmentation, and keeps its features:
/// what its classifier reads ([`Classifier::features`](learngene_models::Classifier::features)), or
/// others.
///
/// # Shapes
/// - features: `[batch, 3, image_size, image_size]` to `[batch, num_features]`
///
/// `progress` is told the number of images done after every batch.
///
/// # Errors
/// When there are no images, one has no label or cannot be read, or a feature is not finite.
pub fn frozen_features(
    features: impl Fn(Tensor<4>) -> Tensor<2>,
    images: &Arc<dyn Dataset>,
    preprocess: &CheckedPreprocess,
    batch_size: NonZeroUsize,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Features, TrainingError> {
    let (mut values, mut labels) = (Vec::new(), Vec::with_capacity(images.len()));
    let mut num_features = 0;
    for batch in in_order(images, preprocess, batch_size)? {
        let batch = batch?;
        labels.extend_from_slice(&batch.labels);
        let images = HostBatch::new(batch, None).upload(device).images;
        let features = features(images); // [batch, num_features]
        num_features = features.dims()[1];
        let fetched: Result<Vec<f32>, _> = features.into_data().convert::<f32>().try_into_vec();
        values.append(&mut fetched.expect("converted to f32 just before"));
        progress(labels.len());
    }
    Features::new(values, num_features, labels)
}

/// Inner product in eight running sums, which the compiler keeps in vector registers.
///
/// The order of additions is fixed, so the result is the same on every machine.
macro_rules! dot {
    ($name:ident, $float:ty) => {
        fn $name(left: &[$float], right: &[$float]) -> $float {
            let (left, left_rest) = left.as_chunks::<8>();
            let (right, right_rest) = right.as_chunks::<8>();
            let mut sums = [0.0; 8];
            for (left, right) in left.iter().zip(right) {
                for lane in 0..8 {
                    sums[lane] += left[lane] * right[lane];
                }
            }
            let rest = left_rest.iter().zip(right_rest).map(|(left, right)| left * right);
            sums.into_iter().chain(rest).sum()
        }
    };
}
dot!(dot_f32, f32);
dot!(dot_f64, f64);

#[cfg(test)]
mod tests;
