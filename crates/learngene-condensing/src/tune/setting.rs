use learngene_clustering::{ClusterParams, FfnParams};
use learngene_format::{ClusterAlgorithm, NoisePolicy, RepresentativePolicy};
use serde::{Deserialize, Serialize};

/// Parameters of the clustering that can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuneSetting {
    /// In pixels: one for each layer, or one for all.
    pub eps: Vec<f64>,
    /// Least number of heads in the neighbourhood of a core head, itself counted.
    pub min_points: usize,
    /// What becomes of heads outside every cluster.
    pub noise: NoisePolicy,
    /// Largest difference of layers that share an FFN, in pixels; none where each keeps its own.
    pub ffn_eps: Option<f64>,
}

impl TuneSetting {
    /// As clustering of heads takes it.
    pub fn cluster_params(&self) -> ClusterParams {
        let Self { eps, min_points, noise, .. } = self.clone();
        let algorithm = ClusterAlgorithm::Dbscan { eps, min_points, noise };
        ClusterParams { algorithm, representative: RepresentativePolicy::Nearest }
    }

    /// As joining of FFNs takes it.
    pub fn ffn_params(&self) -> FfnParams {
        self.ffn_eps.map_or_else(FfnParams::default, |eps| FfnParams::contiguous(vec![eps]))
    }
}
