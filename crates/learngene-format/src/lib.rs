//! The `.learngene` file: a few tensors and the manifest that says what they are.
//!
//! A learngene is all that passes from an ancestry model to its descendants. On disk it is one
//! safetensors file whose metadata holds one JSON string, the manifest; `FORMAT.md` beside this crate
//! describes it byte for byte. Whatever can be wrong with a file is found when it is read, so a
//! [`Learngene`] in hand has the tensors, shapes and values that its manifest promises, and the same
//! learngene is always the same bytes.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use learngene_format::{Dtype, Learngene, Manifest, Tensor};
//!
//! // Two layers of three and two heads; heads 0 and 2 of the first layer share a cluster.
//! let manifest: Manifest = serde_json::from_str(include_str!("../tests/data/tiny.json"))?;
//!
//! let mut tensors = BTreeMap::new();
//! for (name, shape) in manifest.expected_tensors()? {
//!     let values = vec![0.5; shape.iter().product()];
//!     tensors.insert(name, Tensor::from_f32(Dtype::F32, shape, &values)?);
//! }
//!
//! let bytes = Learngene::new(manifest, tensors)?.to_bytes();
//! let learngene = Learngene::from_bytes(&bytes)?;
//! assert_eq!(learngene.manifest().layers[0].sizes, [2, 1]);
//! assert_eq!(learngene.tensors()["layers.0.attn.q.weight"].shape(), [2, 2, 3]);
//! assert_eq!(learngene.to_bytes(), bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
