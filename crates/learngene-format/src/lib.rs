#![doc = include_str!("../README.md")]
//!
//! Whatever can be wrong with a file is found when it is read, so a [`Learngene`] in hand has the
//! tensors, shapes and values that its manifest promises, and the same learngene is always the same
//! bytes.

mod check;
mod error;
mod file;
mod header;
mod layout;
mod learngene;
mod manifest;
mod sha256;
mod tensor;

pub use error::Error;
pub use learngene::Learngene;
pub use manifest::{
    Ancestor, Architecture, ClusterAlgorithm, Clustering, Convention, LayerClusters, Manifest,
    NoisePolicy, Parameters, Preprocessing, Probe, RepresentativePolicy, TensorEntry,
    VitArchitecture,
};
pub use sha256::Sha256;
pub use tensor::{Dtype, Tensor};

/// Version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;
