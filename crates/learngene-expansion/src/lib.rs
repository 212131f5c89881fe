#![doc = include_str!("../README.md")]
//!
//! Beside [`expand`] stand the initialisations it is compared with: [`from_scratch`] and
//! [`pretraining_finetuning`]. What makes the copies that a descendant starts with different from
//! each other is learnt by [`attach`]ing transformations to it for a while.

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
mod text;
mod transformation;
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
pub use transformation::{
    FfnTransformation, HeadTransformation, Scope, TransformationConfig, TransformationError,
    TransformationPlan, Transforming, attach,
};
