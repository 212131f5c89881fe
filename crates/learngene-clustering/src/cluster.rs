//! Clusters of the heads of each layer, by mean attention distance.

use learngene_format::{ClusterAlgorithm, Distances, HeadClusters, LayerClusters, NoisePolicy};
use learngene_tensors::{Error, Result};

use crate::{CheckedClusterParams, dbscan, kmeans};

/// Members this much farther from the mean distance than the nearest one, in pixels, still tie.
const TIE: f64 = 1e-6;

/// Clusters the heads of every layer by mean attention distance, each layer on its own.
///
/// Nothing depends on the order in which heads are visited: a head that could belong to two clusters
/// goes to the one with the nearest core head.
///
/// # Errors
/// Distances that [`Distances::check`] refuses; a list of k or of eps of the wrong length; for k-means
/// a k larger than the number of different distances in its layer; for DBSCAN a layer of which the
/// noise policy keeps no head.
pub fn cluster(distances: &Distances, params: &CheckedClusterParams) -> Result<HeadClusters> {
    distances.check()?;
    params.check_heads(&distances.num_heads())?;
    let algorithm = params.for_layers(distances.num_heads().len());
    let layer = |(layer, distances): (usize, &Vec<f64>)| match &algorithm {
        ClusterAlgorithm::Dbscan { eps, min_points, noise } => {
            let eps = eps[layer];
            dbscan_layer(distances, eps, *min_points, *noise).ok_or_else(|| {
                let found = format!(
                    "nothing but noise for eps {eps} px and min_points {min_points}"
                );
                let expected =
                    "a cluster: give a larger eps, a smaller min_points, or keep noise as singletons";
                Error::invalid(format!("layer {layer}"), found, expected)
            })
        }
        ClusterAlgorithm::Kmeans { k, seed } => {
            Ok(of_partition(&kmeans::partition(layer, distances, k[layer], *seed)?, distances))
        }
        ClusterAlgorithm::Order { .. } => unreachable!("checked parameters find clusters"),
    };
    let layers = distances.mean_attention_distance.iter().enumerate().map(layer);
    let layers = layers.collect::<Result<_>>()?;
    let representative = params.get().representative;
    Ok(HeadClusters { algorithm, representative, random_heads: None, layers })
}

/// The clusters of one layer by DBSCAN, none where the noise policy keeps no head; `eps` is positive
/// and finite, `min_points` at least 1, distances are finite.
///
/// # Panics
/// Panics for an `eps` of 0 or less.
pub fn dbscan_layer(
    distances: &[f64],
    eps: f64,
    min_points: usize,
    noise: NoisePolicy,
) -> Option<LayerClusters> {
    let layer = of_partition(&dbscan::partition(distances, eps, min_points, noise), distances);
    (!layer.clusters.is_empty()).then_some(layer)
}

/// The clusters of a partition, each with the member nearest its mean distance.
fn of_partition(partition: &[Option<usize>], distances: &[f64]) -> LayerClusters {
    LayerClusters::new(partition, |members| nearest_to_mean(members, distances))
}

/// The member nearest the mean, ties within [`TIE`] to the first; there is at least one.
pub(crate) fn nearest_to_mean(members: &[usize], distances: &[f64]) -> usize {
    let mean = members.iter().map(|&head| distances[head]).sum::<f64>() / members.len() as f64;
    let distance = |head: usize| (distances[head] - mean).abs();
    let least = members.iter().map(|&head| distance(head)).fold(f64::INFINITY, f64::min);
    let nearest = members.iter().copied().find(|&head| distance(head) <= least + TIE);
    // Sums of the largest numbers overflow, and then none is near.
    nearest.unwrap_or(members[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterParams, test_distances::distances_of};

    fn clustered(params: ClusterParams) -> Result<HeadClusters> {
        let distances = distances_of(vec![vec![0.0, 8.0, 30.0], vec![0.0, 8.0], vec![50.0]]);
        cluster(&distances, &params.check()?)
    }

    fn sizes(params: ClusterParams) -> Vec<Vec<usize>> {
        let clusters = clustered(params).expect("good parameters");
        clusters.layers.into_iter().map(|layer| layer.sizes).collect()
    }

    #[test]
    fn eps_may_be_one_for_all_layers_or_one_for_each() {
        assert_eq!(sizes(ClusterParams::dbscan(vec![10.0])), [vec![2, 1], vec![2], vec![1]]);
        let each = ClusterParams::dbscan(vec![40.0, 1.0, 1.0]);
        assert_eq!(sizes(each), [vec![3], vec![1, 1], vec![1]]);
        let clusters = clustered(ClusterParams::dbscan(vec![10.0])).expect("good parameters");
        let ClusterAlgorithm::Dbscan { eps, .. } = clusters.algorithm else {
            panic!("not by DBSCAN");
        };
        assert_eq!(eps, [10.0; 3], "one for each layer");
    }

    fn check_nearest(distances: &[f64], want: usize) {
        let members: Vec<usize> = (0..distances.len()).collect();
        assert_eq!(nearest_to_mean(&members, distances), want, "{distances:?}");
    }

    #[test]
    fn the_member_nearest_the_mean_stands_for_all() {
        check_nearest(&[0.0, 10.0, 4.0], 2);
        check_nearest(&[9.0, 10.0, 2.0], 0);
        // Mean 14.999_998: head 2 is 8e-6 px away, head 3 is 4e-6 px away.
        check_nearest(&[0.0, 30.0, 14.999_99, 15.000_002], 3);
    }

    #[test]
    fn members_equally_near_tie_to_the_lowest_index() {
        check_nearest(&[10.0, 20.0], 0);
        check_nearest(&[20.0, 10.0], 0);
        // Mean 14.999_999_95: head 2 is 2.5e-7 px away, head 3 is 1.5e-7 px away.
        check_nearest(&[0.0, 30.0, 14.999_999_7, 15.000_000_1], 2);
    }
}
