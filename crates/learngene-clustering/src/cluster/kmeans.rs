//! k-means on a line, for comparison with density clustering.

use std::collections::HashSet;

use linfa::traits::{Fit, Predict};
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::KMeans;
use linfa_nn::distance::L2Dist;
use ndarray::{Array2, ArrayView2};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;

use super::{KMeansLibrary, Partition};
use crate::error::ClusteringError;

/// Parts the heads of every layer into `k[layer]` clusters.
pub(super) fn partitions(
    densities: &[Vec<f64>],
    k: &[usize],
    seed: u64,
    library: KMeansLibrary,
) -> Result<Vec<Partition>, ClusteringError> {
    let layers = densities.iter().zip(k).enumerate();
    layers.map(|(layer, (densities, k))| partition(layer, densities, *k, seed, library)).collect()
}

fn partition(
    layer: usize,
    densities: &[f64],
    k: usize,
    seed: u64,
    library: KMeansLibrary,
) -> Result<Partition, ClusteringError> {
    let distinct = count_distinct(densities.iter().map(|density| density.to_bits()));
    if k > distinct {
        let heads = densities.len();
        return Err(ClusteringError::TooManyClusters { layer, heads, distinct, got: k });
    }
    let groups = match library {
        KMeansLibrary::Linfa => by_linfa(densities, k, seed)
            .map_err(|reason| ClusteringError::KMeans { layer, reason })?,
        #[cfg(feature = "kmeans")]
        KMeansLibrary::Kmeans => super::kmeans_crate::partition(densities, k, seed),
        #[cfg(not(feature = "kmeans"))]
        KMeansLibrary::Kmeans => return Err(ClusteringError::KMeansLibraryAbsent),
    };
    // Lloyd's iterations may leave a centroid without a head: fewer clusters than were asked for
    // must not pass as an answer.
    let got = count_distinct(groups.iter().copied());
    if got < k {
        return Err(ClusteringError::EmptyClusters { layer, got, want: k });
    }
    Ok(groups.into_iter().map(Some).collect())
}

/// The best of ten runs from k-means++ centroids.
fn by_linfa(densities: &[f64], k: usize, seed: u64) -> Result<Vec<usize>, String> {
    let points = ArrayView2::from_shape((densities.len(), 1), densities)
        .expect("a slice of n values has shape [n, 1]");
    let centroids = KMeans::params_with(k, Xoshiro256Plus::seed_from_u64(seed), L2Dist)
        .n_runs(10)
        .check()
        .map_err(|error| error.to_string())?
        .fit(&DatasetBase::from(points))
        .map_err(|error| error.to_string())?;
    let points: Array2<f64> = points.to_owned();
    Ok(centroids.predict(&points).to_vec())
}

fn count_distinct<T: std::hash::Hash + Eq>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<HashSet<T>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every library of this build.
    fn libraries() -> Vec<KMeansLibrary> {
        match cfg!(feature = "kmeans") {
            true => vec![KMeansLibrary::Linfa, KMeansLibrary::Kmeans],
            false => vec![KMeansLibrary::Linfa],
        }
    }

    fn error(densities: &[Vec<f64>], k: &[usize]) -> String {
        partitions(densities, k, 0, KMeansLibrary::Linfa).expect_err("refused").to_string()
    }

    #[test]
    fn separate_groups_are_found_from_any_seed() {
        let densities = vec![vec![1.0, 50.0, 2.0, 99.0, 52.0, 0.0, 51.0, 101.0]];
        for library in libraries() {
            for seed in 0..20 {
                let found = partitions(&densities, &[3], seed, library).expect("three groups");
                let group = |head: usize| found[0][head];
                assert_eq!([group(2), group(5)], [group(0); 2], "seed {seed}, {library:?}");
                assert_eq!([group(4), group(6)], [group(1); 2], "seed {seed}, {library:?}");
                assert_eq!(group(7), group(3), "seed {seed}, {library:?}");
            }
        }
    }

    #[test]
    fn a_seed_fixes_the_clusters() {
        let densities: Vec<Vec<f64>> =
            vec![(0..16).map(|head| f64::from(head * head % 23)).collect()];
        for library in libraries() {
            let once = partitions(&densities, &[5], 3, library).expect("five groups");
            let again = partitions(&densities, &[5], 3, library).expect("five groups");
            assert_eq!(once, again, "{library:?}");
        }
    }

    #[test]
    fn k_may_differ_between_layers() {
        let densities = vec![vec![1.0, 2.0, 40.0], vec![1.0, 30.0, 60.0]];
        for library in libraries() {
            let found = partitions(&densities, &[2, 3], 0, library).expect("separate groups");
            let counts: Vec<usize> =
                found.iter().map(|layer| count_distinct(layer.iter())).collect();
            assert_eq!(counts, [2, 3], "{library:?}");
            assert_eq!(found[0][0], found[0][1], "{library:?}");
        }
    }

    #[test]
    fn as_many_clusters_as_heads_are_singletons() {
        let densities = vec![vec![3.0, 1.0, 2.0, 60.0]];
        for library in libraries() {
            let found = partitions(&densities, &[4], 1, library).expect("singletons");
            assert_eq!(count_distinct(found[0].iter()), 4, "{library:?}");
        }
    }

    #[test]
    fn k_above_the_heads_is_refused_with_its_layer() {
        assert_eq!(
            error(&[vec![1.0, 2.0], vec![5.0, 5.0, 6.0]], &[2, 3]),
            "layer 1 has 3 heads of 2 different distances, too few for k = 3"
        );
    }
}
