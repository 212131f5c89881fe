//! Clusters of the heads of each layer and of feed-forward networks, by mean attention distance.

mod dbscan;
mod ffn_clusters;
mod ffn_params;
mod head_clusters;
mod kmeans;
#[cfg(feature = "kmeans")]
mod kmeans_crate;
mod params;
mod random_heads;

pub use ffn_clusters::{FfnClusters, FfnGroup, cluster_ffns};
pub use ffn_params::{
    CheckedFfnParams, FfnAlgorithm, FfnGroupError, FfnNorm, FfnParams, default_ffn_eps,
};
pub use head_clusters::{HeadClusters, LayerClusters};
use params::check_length;
pub(crate) use params::for_each_layer;
pub use params::{
    Algorithm, CheckedClusterParams, ClusterParams, KMeansLibrary, NoisePolicy, Representative,
    default_eps,
};

use crate::PRODUCER;
use crate::distances::MeanAttentionDistances;
use crate::error::ClusteringError;

/// A layer's heads parted into groups: a group's number per head, `None` for a dropped head.
/// The numbers mean nothing beyond equality.
type Partition = Vec<Option<usize>>;

/// Clusters the heads of every layer by density, each layer on its own.
///
/// Nothing depends on the order in which heads are visited: a head that could belong to two
/// clusters goes to the one with the nearest core head.
///
/// # Errors
/// Distances that are refused by [`MeanAttentionDistances::check`]; a list of k or of eps of the
/// wrong length; for k-means a k larger than the number of different distances in its layer; for
/// DBSCAN a layer of which the noise policy keeps no head.
pub fn cluster(
    distances: &MeanAttentionDistances,
    params: &CheckedClusterParams,
) -> Result<HeadClusters, ClusteringError> {
    distances.check()?;
    params.check_heads(&distances.num_heads())?;
    let densities = &distances.mean_attention_distance;
    let params = params.get();
    let partitions = match &params.algorithm {
        Algorithm::Dbscan { eps, min_points, noise } => densities
            .iter()
            .zip(for_each_layer(eps, densities.len()))
            .enumerate()
            .map(|(layer, (densities, eps))| {
                let partition = dbscan::partition(densities, eps, *min_points, *noise);
                if partition.iter().all(Option::is_none) {
                    let (heads, min_points) = (densities.len(), *min_points);
                    return Err(ClusteringError::NoClusters { layer, heads, eps, min_points });
                }
                Ok(partition)
            })
            .collect::<Result<Vec<Partition>, _>>()?,
        Algorithm::KMeans { k, seed, library } => {
            let k = for_each_layer(k, densities.len());
            kmeans::partitions(densities, &k, *seed, *library)?
        }
    };
    let layers = densities
        .iter()
        .zip(&partitions)
        .map(|(densities, partition)| LayerClusters::new(partition, densities))
        .collect();
    Ok(HeadClusters {
        layers,
        parameters: params.clone(),
        random_heads: None,
        ffn: None,
        convention: distances.convention,
        images: distances.images,
        images_sha256: distances.images_sha256.clone(),
        ancestor_sha256: distances.ancestor_sha256.clone(),
        producer: Some(PRODUCER.to_owned()),
    })
}

/// The clusters of one layer by DBSCAN, none where the noise policy keeps no head; `eps` is positive
/// and finite, `min_points` at least 1, densities are finite.
pub(crate) fn dbscan_layer(
    densities: &[f64],
    eps: f64,
    min_points: usize,
    noise: NoisePolicy,
) -> Option<LayerClusters> {
    let partition = dbscan::partition(densities, eps, min_points, noise);
    let layer = LayerClusters::new(&partition, densities);
    (!layer.clusters.is_empty()).then_some(layer)
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod law_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn clustered(algorithm: Algorithm) -> Result<HeadClusters, ClusteringError> {
        let densities = vec![vec![0.0, 8.0, 30.0], vec![0.0, 8.0], vec![50.0]];
        let representative = Representative::Nearest;
        let params = ClusterParams { algorithm, representative }.check()?;
        cluster(&MeanAttentionDistances::new(densities), &params)
    }

    fn within(eps: &[f64]) -> Algorithm {
        Algorithm::Dbscan { eps: eps.to_vec(), min_points: 1, noise: NoisePolicy::Singleton }
    }

    fn sizes(algorithm: Algorithm) -> Vec<Vec<usize>> {
        let clusters = clustered(algorithm).expect("good parameters");
        clusters.layers.into_iter().map(|layer| layer.sizes).collect()
    }

    #[test]
    fn one_eps_counts_for_every_layer() {
        assert_eq!(sizes(within(&[10.0])), [vec![2, 1], vec![2], vec![1]]);
    }

    #[test]
    fn each_layer_may_have_its_own_eps() {
        assert_eq!(sizes(within(&[40.0, 1.0, 1.0])), [vec![3], vec![1, 1], vec![1]]);
    }

    #[test]
    fn lists_of_another_length_are_refused() {
        let library = KMeansLibrary::Linfa;
        for (algorithm, parameter) in [
            (within(&[10.0, 10.0]), "eps"),
            (Algorithm::KMeans { k: vec![1, 1], seed: 0, library }, "k"),
        ] {
            let message = clustered(algorithm).expect_err("two entries").to_string();
            let wanted =
                format!("the distances have 3 layers, but the list of {parameter} has 2 entries");
            assert_eq!(message, wanted);
        }
    }
}
