use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Architecture, Dtype, Ffn, Refit, Sha256};

/// What a learngene is, where it came from and how it was made.
///
/// Written as JSON in the order of the fields below. An unknown field is refused everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format: [`VERSION`](crate::VERSION).
    pub version: u32,
    /// Program or crate that made the learngene, and its version, such as
    /// `learngene-clustering 0.1.0`.
    pub producer: String,
    /// Shape of the ancestry model.
    pub architecture: Architecture,
    /// The checkpoint that the learngene was condensed from.
    pub ancestor: Ancestor,
    /// How the density of every head was measured, and what came out.
    pub probe: Probe,
    /// How heads were joined by their densities.
    pub clustering: Clustering,
    /// Clusters of heads, one entry per layer of the ancestor.
    pub layers: Vec<LayerClusters>,
    /// Which layers share one feed-forward network.
    pub ffn: Ffn,
    /// How output projections and second matrices were fitted to the ancestor's outputs, where they
    /// were.
    pub refit: Option<Refit>,
    /// Number type of all tensors.
    pub dtype: Dtype,
    /// Whether each layer's whole output projection is kept (`layers.{l}.attn.proj.origin`).
    pub keep_projection: bool,
    /// Whether the ancestor's classifier is kept (`head.weight`, `head.bias`).
    pub classifier: bool,
    /// Numbers of stored parameters.
    pub parameters: Parameters,
    /// Every tensor of the file by its name.
    pub tensors: BTreeMap<String, TensorEntry>,
}

/// The checkpoint that a learngene was condensed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ancestor {
    /// Hash of the checkpoint file.
    pub sha256: Sha256,
    /// Parameters of the ancestry model.
    pub parameters: u64,
}

/// How the density of every head was measured, and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Number of images.
    pub images: u64,
    /// Hash of the image list and of the images' contents.
    pub images_sha256: Sha256,
    /// How an image became an input.
    pub preprocessing: Preprocessing,
    /// What became of the class token's share of attention.
    pub convention: Convention,
    /// `[layer][head]`: mean attention distance, in input pixels.
    pub mean_attention_distance: Vec<Vec<f64>>,
    /// `[layer][head]`: standard deviation (n - 1) over images, in input pixels; null where unknown,
    /// as with a single image.
    pub std: Vec<Vec<Option<f64>>>,
}

/// How a probe image became an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Part of the resized image's side that the centre crop keeps, in `(0, 1]`.
    pub crop_pct: f32,
    /// Mean of each colour channel, for pixels in `[0, 1]`.
    pub mean: [f32; 3],
    /// Standard deviation of each colour channel, for pixels in `[0, 1]`.
    pub std: [f32; 3],
}

/// What becomes of the class token's share of attention when distances are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// Each row is divided by its sum over patches.
    Renormalized,
    /// Rows stay as they are, biased low by the class token's share, as in the published probe.
    Published,
}

/// How heads were joined by their densities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clustering {
    /// The algorithm with its parameters.
    pub algorithm: ClusterAlgorithm,
    /// What stands for a cluster.
    pub representative: RepresentativePolicy,
    /// Seed by which each layer's heads were dealt at random to clusters of the sizes that the
    /// algorithm gave, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_heads: Option<u64>,
}

/// The algorithm that joins the heads of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum ClusterAlgorithm {
    /// Density clustering (Ester et al., KDD 1996).
    Dbscan {
        /// Radius of a neighbourhood, in input pixels, per layer.
        eps: Vec<f64>,
        /// Least number of heads in the neighbourhood of a core head, itself counted.
        min_points: usize,
        /// What becomes of heads in no cluster.
        noise: NoisePolicy,
    },
    /// k-means, for comparison.
    Kmeans {
        /// Clusters asked for, per layer.
        k: Vec<usize>,
        /// Seed of the first centres.
        seed: u64,
    },
}

/// What becomes of heads in no cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoisePolicy {
    /// Each is a cluster of its own.
    Singleton,
    /// Each joins the cluster of the nearest core head.
    Nearest,
    /// Each is left out, with the label null.
    Drop,
}

/// What stands for a cluster of heads, or for a group of feed-forward networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepresentativePolicy {
    /// The member nearest the mean density of all.
    Nearest,
    /// The average of the members' parameters.
    Mean,
}

/// Clusters of the heads of one layer.
///
/// "In order of priority" is by descending size, ties by ascending label: the order of a layer's
/// centroids in its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerClusters {
    /// Label of every head of the ancestor, numbered by first appearance; null for dropped noise.
    pub labels: Vec<Option<usize>>,
    /// Number of members of each cluster, in order of priority.
    pub sizes: Vec<usize>,
    /// Ancestor head that stands for each cluster, in order of priority; under
    /// [`RepresentativePolicy::Mean`] the member nearest the mean, which only names the cluster.
    pub representatives: Vec<usize>,
    /// Label of each cluster, in order of priority.
    pub clusters: Vec<usize>,
}

/// Numbers of stored parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Values in all tensors of the file.
    pub stored: u64,
}

/// What the manifest says of one tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// Hash of the tensor's bytes.
    pub sha256: Sha256,
}
