//! The crate `kmeans`, which needs a nightly compiler.

use kmeans::{EuclideanDistance, KMeans, KMeansConfig};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;

const RUNS: u64 = 32;
const MAX_ITERATIONS: usize = 300;

/// The best of several runs from centroids drawn among the heads; `k` is at most the number of
/// different distances.
///
/// Its own k-means++ divides by the sum of squared distances, which is 0 for distances that differ
/// by less than a square can show; drawing heads cannot fail, and more runs make up for it.
pub(crate) fn partition(distances: &[f64], k: usize, seed: u64) -> Vec<usize> {
    let points: KMeans<f64, 8, _> = KMeans::new(distances, distances.len(), 1, EuclideanDistance);
    let mut best: Option<(f64, Vec<usize>)> = None;
    for run in 0..RUNS {
        let rng = Xoshiro256Plus::seed_from_u64(seed.wrapping_add(run));
        let config = KMeansConfig::build().random_generator(rng).build();
        let state = points.kmeans_lloyd(k, MAX_ITERATIONS, KMeans::init_random_sample, &config);
        if best.as_ref().is_none_or(|(least, _)| state.distsum < *least) {
            best = Some((state.distsum, state.assignments));
        }
    }
    best.map(|(_, assignments)| assignments).unwrap_or_default()
}
