#![doc = include_str!("../README.md")]
//!
//! Whatever can be wrong with a file is found when it is read, so a [`Learngene`] in hand has the
//! tensors, shapes and values that its manifest promises, and the same learngene is always the same
//! bytes.

mod check;
mod clusters;
mod curves;
mod distances;
mod ffn;
mod header;
mod heads;
mod json;
mod layout;
mod learngene;
mod manifest;
mod refit;
mod store;

pub use clusters::Clusters;
pub use curves::{Curves, LayerCurves, Point};
pub use distances::{Convention, Distances, Preprocessing};
pub use ffn::{FfnAlgorithm, FfnClusters, FfnGroup, FfnNorm, ffn_runs};
pub use heads::{
    ClusterAlgorithm, HeadClusters, HeadOrder, LayerClusters, NoisePolicy, RepresentativePolicy,
};
pub use layout::{FileSize, file_size, is_nested, nested_names, origin_name, output_projections};
pub use learngene::Learngene;
pub use manifest::{Ancestor, Manifest, Parameters, TensorEntry, centroid_shape};
pub use refit::{Fit, LayerFits, Refit, Residual};
pub use store::Store;

/// Version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 5;
