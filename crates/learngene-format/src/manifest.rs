use std::collections::BTreeMap;

use learngene_shape::Shape;
use learngene_tensors::{Dtype, Sha256};
use serde::{Deserialize, Serialize};

use crate::{Clusters, Distances, Refit};

/// What a learngene is, where it came from and how it was made.
///
/// Written as JSON in the order of the fields below. An unknown field is refused everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format: [`VERSION`](crate::VERSION).
    pub version: u32,
    /// Program or crate that made the learngene, and its version, such as
    /// `learngene-condensing 0.1.0`.
    pub producer: String,
    /// The checkpoint that the learngene was condensed from.
    pub ancestor: Ancestor,
    /// How far every head of the ancestor looks, and how that was measured.
    pub distances: Distances,
    /// Clusters of the ancestor's heads, and layers that share an FFN.
    pub clusters: Clusters,
    /// How output projections and shared FFNs were fitted to the ancestor's outputs, where they were.
    pub refit: Option<Refit>,
    /// Number format of all tensors.
    pub dtype: Dtype,
    /// Whether each layer's whole output projection is kept
    /// ([`origin_name`](crate::origin_name)).
    pub keep_projection: bool,
    /// Whether the ancestor's classifier is kept.
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
    /// Its shape.
    pub shape: Shape,
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
