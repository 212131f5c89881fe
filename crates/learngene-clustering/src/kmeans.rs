//! k-means on a line, for comparison with density clustering.
//!
//! By the crate `kmeans` where the feature of that name is on, else by linfa.

use std::{collections::HashSet, hash::Hash};

use learngene_tensors::{Error, Result};

/// The cluster of each head of a layer, of `k` clusters; `k` is at least 1.
pub(crate) fn partition(
    layer: usize,
    distances: &[f64],
    k: usize,
    seed: u64,
) -> Result<Vec<Option<usize>>> {
    let place = || format!("k of layer {layer}");
    let distinct = count_distinct(distances.iter().map(|distance| distance.to_bits()));
    if k > distinct {
        let expected = format!("at most its {distinct} different distances");
        return Err(Error::invalid(place(), k, expected));
    }
    #[cfg(feature = "kmeans")]
    let groups = crate::kmeans_crate::partition(distances, k, seed);
    #[cfg(not(feature = "kmeans"))]
    let groups = by_linfa(distances, k, seed)
        .map_err(|reason| Error::invalid(place(), k, format!("one that works: {reason}")))?;
    // Lloyd's iterations may leave a centroid without a head: fewer clusters than were asked for
    // must not pass as an answer.
    let filled = count_distinct(groups.iter().copied());
    if filled < k {
        let expected = format!("{filled}, as the others stay empty; or try another seed");
        return Err(Error::invalid(place(), k, expected));
    }
    Ok(groups.into_iter().map(Some).collect())
}

/// The best of ten runs from k-means++ centroids.
#[cfg(not(feature = "kmeans"))]
fn by_linfa(distances: &[f64], k: usize, seed: u64) -> Result<Vec<usize>, String> {
    use linfa::{
        DatasetBase, ParamGuard,
        traits::{Fit, Predict},
    };
    use linfa_clustering::KMeans;
    use linfa_nn::distance::L2Dist;
    use ndarray::{Array2, ArrayView2};
    use rand_xoshiro::{Xoshiro256Plus, rand_core::SeedableRng};

    let points = ArrayView2::from_shape((distances.len(), 1), distances)
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

fn count_distinct<T: Hash + Eq>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<HashSet<T>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(distances: &[f64], k: usize, seed: u64) -> Vec<Option<usize>> {
        partition(0, distances, k, seed).expect("as many groups")
    }

    #[test]
    fn separate_groups_are_found_from_any_seed() {
        for seed in 0..20 {
            let found = groups(&[1.0, 50.0, 2.0, 99.0, 52.0, 0.0, 51.0, 101.0], 3, seed);
            assert_eq!([found[2], found[5]], [found[0]; 2], "seed {seed}");
            assert_eq!([found[4], found[6]], [found[1]; 2], "seed {seed}");
            assert_eq!(found[7], found[3], "seed {seed}");
        }
    }

    #[test]
    fn a_seed_fixes_the_clusters() {
        let distances: Vec<f64> = (0..16).map(|head| f64::from(head * head % 23)).collect();
        assert_eq!(groups(&distances, 5, 3), groups(&distances, 5, 3));
    }

    #[test]
    fn as_many_clusters_as_heads_are_singletons() {
        assert_eq!(count_distinct(groups(&[3.0, 1.0, 2.0, 60.0], 4, 1).iter()), 4);
    }

    #[test]
    fn k_above_the_different_distances_is_refused_with_its_layer() {
        let error = partition(1, &[5.0, 5.0, 6.0], 3, 0).expect_err("two different ones");
        let message = "k of layer 1: found 3, expected at most its 2 different distances";
        assert_eq!(error.to_string(), message);
    }
}
