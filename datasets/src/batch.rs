//! Images of a dataset as one block of numbers.

use rayon::prelude::*;

use crate::preprocess::CHANNELS;
use crate::{Augment, CheckedPreprocess, Dataset, DatasetError};

/// Some images, ready to be a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised pixels, `[batch, 3, image_size, image_size]`.
    pub pixels: Vec<f32>,
    /// Shape of `pixels`.
    pub shape: [usize; 4],
    /// Class of every image, `[batch]`; empty when the dataset is unlabelled.
    pub labels: Vec<usize>,
}

/// Random changes and what they are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// Which changes.
    pub augment: Augment,
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, so that an image looks different in each.
    pub epoch: u64,
}

/// Reads some images, in the order of `indices`, on all cores.
///
/// Each is fitted to the input size, changed at random if asked for, and normalised. The result does not depend on
/// the number of cores.
///
/// # Errors
/// When an image cannot be read or an index is past the end: the first such image in the order of `indices`.
pub fn load_batch(
    dataset: &dyn Dataset,
    indices: &[usize],
    preprocess: &CheckedPreprocess,
    augmentation: Option<&Augmentation>,
) -> Result<Batch, DatasetError> {
    let size = preprocess.settings().image_size as usize;
    let mut pixels = vec![0.0; indices.len() * preprocess.values()];
    let outcomes: Vec<Result<(), DatasetError>> = pixels
        .par_chunks_exact_mut(preprocess.values())
        .zip(indices)
        .map(|(pixels, index)| {
            let mut image = preprocess.fit(dataset.image(*index)?)?;
            if let Some(Augmentation { augment, seed, epoch }) = augmentation {
                image = augment.draw(*seed, *epoch, *index).apply(image);
            }
            preprocess.normalize(&image, pixels)
        })
        .collect();
    outcomes.into_iter().collect::<Result<(), _>>()?;
    let labels = indices.iter().filter_map(|index| dataset.label(*index)).collect();
    Ok(Batch { pixels, shape: [indices.len(), CHANNELS, size, size], labels })
}
