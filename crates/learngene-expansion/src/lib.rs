//! From a learngene to descendant models of any depth and head count.
//!
//! ```
//! use burn::tensor::Device;
//! use learngene_expansion::{DescendantConfig, HeadPolicy, LayerPolicy, expand};
//! use learngene_format::Learngene;
//!
//! # let manifest: learngene_format::Manifest =
//! #     serde_json::from_str(include_str!("../tests/data/tiny.json"))?;
//! # let mut tensors = std::collections::BTreeMap::new();
//! # for (name, shape) in manifest.expected_tensors()? {
//! #     let values = vec![0.5; shape.iter().product()];
//! #     let tensor = learngene_format::Tensor::from_f32(manifest.dtype, shape, &values)?;
//! #     tensors.insert(name, tensor);
//! # }
//! # let bytes = Learngene::new(manifest, tensors)?.to_bytes();
//! // The ancestor has two layers of three and two heads; heads 0 and 2 of the first share a cluster.
//! let learngene = Learngene::from_bytes(&bytes)?;
//!
//! let wanted = DescendantConfig {
//!     depth: Some(4),
//!     layers: LayerPolicy::Even,
//!     heads: HeadPolicy::Count(5),
//!     num_classes: Some(10),
//!     ..DescendantConfig::default()
//! };
//! let descendant = expand(&learngene, &wanted)?;
//! assert_eq!(descendant.layers, [0, 0, 1, 1]);
//!
//! // Two centroids go round in five slots, that of the larger cluster first.
//! let heads: Vec<usize> = descendant.slots[0].iter().map(|slot| slot.head).collect();
//! assert_eq!(heads, [0, 1, 0, 1, 0]);
//!
//! let vit = descendant.config.load(&descendant.parameters, &Device::flex())?;
//! assert_eq!(vit.config(), descendant.config);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Beside [`expand`] stand the initialisations it is compared with: [`from_scratch`] and
//! [`pretraining_finetuning`].

mod assemble;
mod attention;
mod config;
mod descendant;
mod error;
mod expand;
mod heads;
mod init;
mod layers;
mod ledger;
mod order;
mod pretraining_finetuning;
mod projection;
mod ratio;
mod slots;
mod text;

#[cfg(test)]
mod tests;

pub use config::{ClassifierPolicy, DescendantConfig};
pub use descendant::{Descendant, SlotSource};
pub use error::ExpansionError;
pub use expand::{ancestor_config, expand};
pub use heads::HeadPolicy;
pub use init::from_scratch;
pub use layers::LayerPolicy;
pub use order::Order;
pub use pretraining_finetuning::pretraining_finetuning;
pub use projection::ProjectionPolicy;
pub use ratio::Ratio;
pub use slots::assign_slots;
