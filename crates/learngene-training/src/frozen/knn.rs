//! The k-nearest-neighbour classifier.

use std::num::NonZeroUsize;

use rayon::prelude::*;

use super::{Features, dot_f32};
use crate::TrainingError;

/// Test images that go over the training images together, so that these come from memory once
/// for all of them.
const BLOCK: usize = 16;

/// A training image as a test image sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbour {
    /// Cosine of the angle between the features.
    pub(super) similarity: f32,
    pub(super) label: usize,
}

/// Top-1 in percent of the vote of the `k` nearest training images, by cosine similarity of their
/// features.
///
/// Every neighbour has one vote. Of classes with equally many votes the one with the nearest
/// neighbour wins; of equally near training images the earlier is nearer. A `k` beyond the number
/// of training images means all of them. Features that are all zero are at right angles to all.
///
/// # Errors
/// When the features of train and test differ in number.
pub fn knn(train: &Features, test: &Features, k: NonZeroUsize) -> Result<f64, TrainingError> {
    train.check_width(test)?;
    let train_rows = normalised(train);
    let test_rows = normalised(test);
    let width = train.num_features();
    let predicted: Vec<usize> = test_rows
        .par_chunks(BLOCK * width)
        .flat_map_iter(|block| {
            let mut nearest = vec![Vec::new(); block.len() / width];
            for (row, &label) in train_rows.chunks_exact(width).zip(train.labels()) {
                for (image, nearest) in block.chunks_exact(width).zip(&mut nearest) {
                    let similarity = dot_f32(image, row);
                    insert(nearest, k.get(), Neighbour { similarity, label });
                }
            }
            nearest.into_iter().map(|nearest| vote(&nearest))
        })
        .collect();
    Ok(test.top1(&predicted))
}

/// Rows divided by their Euclidean norm.
fn normalised(features: &Features) -> Vec<f32> {
    let mut values = features.values.clone();
    for row in values.chunks_exact_mut(features.num_features()) {
        let squares: f64 = row.iter().map(|value| f64::from(*value).powi(2)).sum();
        if squares > 0.0 {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / squares.sqrt()) as f32);
        }
    }
    values
}

/// Keeps the `k` nearest, the nearest first; equally near ones stay in the order they came.
fn insert(nearest: &mut Vec<Neighbour>, k: usize, new: Neighbour) {
    if nearest.len() == k && nearest[k - 1].similarity >= new.similarity {
        return;
    }
    let place = nearest.partition_point(|kept| kept.similarity >= new.similarity);
    nearest.truncate(k - 1);
    nearest.insert(place, new);
}

/// The class with most votes, of equal ones that of the nearest neighbour.
pub(super) fn vote(nearest: &[Neighbour]) -> usize {
    let votes = |label| nearest.iter().filter(|neighbour| neighbour.label == label).count();
    let mut winner = (0, 0);
    for neighbour in nearest {
        // Strictly more votes only: of equal classes the first met has the nearest neighbour.
        let votes = votes(neighbour.label);
        if votes > winner.1 {
            winner = (neighbour.label, votes);
        }
    }
    winner.0
}
