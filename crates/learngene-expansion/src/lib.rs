#![doc = include_str!("../README.md")]
//!
//! Beside [`expand`] stand the initialisations it is compared with. All but the first take the whole
//! ancestor:
//!
//! | function | inherits | I-Params |
//! |---|---|---|
//! | [`from_scratch`] | nothing | 0 |
//! | [`pretraining_finetuning`] | the first layers | those of these layers and of what a model has once |
//! | [`heuristic_learngene`] | the last three layers; others are drawn | likewise |
//! | [`auto_learngene`] | the layers that change their input the most; others are drawn | likewise |
//! | [`weight_transformation`] | the first layers, sharing weights two by two | shared weights once, norms of every layer |
//! | [`weight_selection`] | elements of the first layers, chosen evenly | all parameters but a fresh classifier's |
//!
//! I-Params ([`Descendant::inherited_parameters`]) are the ancestor's scalars that have to be kept to
//! make the descendant, each once. "What a model has once" are embeddings, the final norm, a Swin's
//! merging of patches, and the classifier where it is inherited. What makes the copies that a descendant starts with different from
//! each other is learnt by [`attach`]ing transformations to it for a while.

mod ancestor;
mod assemble;
mod attention;
mod centroids;
mod checked;
mod config;
mod depth;
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
mod some_layers;
mod text;
mod transformation;
mod weight_selection;
mod weight_transformation;
mod width;

#[cfg(test)]
mod tests;

pub use config::{ClassifierPolicy, DescendantConfig, NewLayers};
pub use depth::DepthPolicy;
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
pub use some_layers::{auto_learngene, heuristic_learngene};
pub use transformation::{
    FfnTransformation, HeadTransformation, Scope, TransformationConfig, TransformationError,
    TransformationPlan, Transforming, attach,
};
pub use weight_selection::weight_selection;
pub use weight_transformation::weight_transformation;
