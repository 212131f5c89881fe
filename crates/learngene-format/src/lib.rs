#![doc = include_str!("../README.md")]
//!
//! Whatever can be wrong with a file is found when it is read, so a [`Learngene`] in hand has the
//! tensors, shapes and values that its manifest promises, and the same learngene is always the same
//! bytes.

mod architecture;
mod check;
mod error;
mod ffn;
mod file;
mod header;
mod layout;
mod learngene;
mod manifest;
mod refit;
mod sha256;
mod tensor;

pub use architecture::{Architecture, LayerArchitecture, SwinArchitecture, VitArchitecture};
pub use error::Error;
pub use ffn::{Ffn, FfnAlgorithm, FfnGroup, FfnNorm};
pub use learngene::Learngene;
pub use manifest::{
    Ancestor, ClusterAlgorithm, Clustering, Convention, LayerClusters, Manifest, NoisePolicy,
    Parameters, Preprocessing, Probe, RepresentativePolicy, TensorEntry,
};
pub use refit::{Fit, ProjectionFit, Refit, RefitInputs, Residual};
pub use sha256::Sha256;
pub use tensor::{Dtype, Tensor};

/// Version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 2;
