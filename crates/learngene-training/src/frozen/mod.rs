//! Quality of a model's features without training it.
//!
//! The features of test images are classified by those of training images, by nearest neighbours or
//! by a linear probe. Neither is random, so differences between models are not due to a seed.

mod classifier;
mod knn;
mod ridge;

use std::{num::NonZeroUsize, sync::Arc};

use burn::tensor::{Device, Tensor};
use learngene_datasets::{CheckedPreprocess, Dataset};

pub use classifier::{FittedClassifier, fitted_classifier};
pub use knn::knn;
pub use ridge::{DEFAULT_RIDGE, ridge_probe};

use crate::{
    batches::in_order,
    error::{Result, invalid},
    host_batch::HostBatch,
};

/// Features of labelled images, on the host.
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
    /// No images; a value that is not finite.
    ///
    /// # Panics
    /// Panics when the number of values is not that of images times features, or there are no
    /// features.
    pub fn new(values: Vec<f32>, num_features: usize, labels: Vec<usize>) -> Result<Self> {
        assert!(num_features > 0, "an image has features");
        assert_eq!(values.len(), labels.len() * num_features, "features of every image");
        if labels.is_empty() {
            return Err(invalid("labelled images", "none", "at least one"));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let place = format!("image {}: feature {}", at / num_features, at % num_features);
            return Err(invalid(place, values[at], "a finite number"));
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

    /// Refuses test features of another width, since they come from another model.
    pub(crate) fn check_width(&self, test: &Self) -> Result<()> {
        if self.num_features == test.num_features {
            return Ok(());
        }
        let expected = format!("{}, as of the training images", self.num_features);
        Err(invalid("features of a test image", test.num_features, expected))
    }
}

/// Computes features of every image of a dataset, without augmentation: those that the classifier reads
/// ([`Classifier::features`](learngene_models::Classifier::features)), or others.
///
/// # Shapes
/// - features: `[batch, 3, image_size, image_size]` to `[batch, num_features]`
///
/// `progress` is called with the number of images done after every batch.
///
/// # Errors
/// No images; an image without a label or one that cannot be read; a feature that is not finite.
pub fn frozen_features(
    features: impl Fn(Tensor<4>) -> Tensor<2>,
    images: &Arc<dyn Dataset>,
    preprocess: &CheckedPreprocess,
    batch_size: NonZeroUsize,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Features> {
    let (mut values, mut labels) = (Vec::new(), Vec::with_capacity(images.len()));
    let mut num_features = 1; // of no images
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

#[cfg(test)]
mod tests;
