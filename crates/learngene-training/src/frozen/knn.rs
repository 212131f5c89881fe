//! The k-nearest-neighbour classifier.

use std::num::NonZeroUsize;

use rayon::prelude::*;

use super::Features;
use crate::error::Result;

/// Test images that are compared with the training images together, so that those are read from memory
/// once for all of them.
const BLOCK: usize = 16;

/// A training image compared with a test image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Neighbour {
    /// Cosine of the angle between the features.
    similarity: f32,
    label: usize,
}

/// Top-1 in percent of the vote of the `k` nearest training images, by cosine similarity of their
/// features.
///
/// Every neighbour has one vote. Among classes with equally many votes, the one with the nearest
/// neighbour wins; among equally near training images, the earlier counts as nearer. If there are
/// fewer than `k` training images, all of them vote. Features that are all zero have similarity 0.
///
/// # Errors
/// Test features of another width than the training features.
pub fn knn(train: &Features, test: &Features, k: NonZeroUsize) -> Result<f64> {
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
                    let similarity = dot(image, row);
                    insert(nearest, k.get(), Neighbour { similarity, label });
                }
            }
            nearest.into_iter().map(|nearest| vote(&nearest))
        })
        .collect();
    Ok(test.top1(&predicted))
}

/// Inner product in eight running sums, which the compiler keeps in vector registers. The order of
/// additions is fixed, so that results are the same on every machine.
fn dot(left: &[f32], right: &[f32]) -> f32 {
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

/// Keeps the `k` nearest, nearest first; equally near ones stay in their order.
fn insert(nearest: &mut Vec<Neighbour>, k: usize, new: Neighbour) {
    if nearest.len() == k && nearest[k - 1].similarity >= new.similarity {
        return;
    }
    let place = nearest.partition_point(|kept| kept.similarity >= new.similarity);
    nearest.truncate(k - 1);
    nearest.insert(place, new);
}

/// The class with the most votes; of several, that of the nearest neighbour.
fn vote(nearest: &[Neighbour]) -> usize {
    let votes = |label| nearest.iter().filter(|neighbour| neighbour.label == label).count();
    let mut winner = (0, 0);
    for neighbour in nearest {
        // Only with strictly more votes: of equal classes, the first has the nearest neighbour.
        let votes = votes(neighbour.label);
        if votes > winner.1 {
            winner = (neighbour.label, votes);
        }
    }
    winner.0
}
