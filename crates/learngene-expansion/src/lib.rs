#![doc = include_str!("../README.md")]

mod assemble;
mod checked;
mod config;
mod depth;
mod descendant;
mod expand;
mod fewer;
mod heads;
mod init;
mod layers;
mod ledger;
mod order;
mod plan;
mod pretraining_finetuning;
mod projection;
mod ratio;
mod slots;
mod some_layers;
mod text;
mod weight_selection;
mod weight_transformation;
mod width;

#[cfg(test)]
mod tests;

pub use config::{ClassifierPolicy, DescendantConfig, NewLayers};
pub use depth::DepthPolicy;
pub use descendant::Descendant;
pub use expand::{base_shape, expand};
pub use heads::HeadPolicy;
pub use init::{from_scratch, truncated_normal};
pub use layers::LayerPolicy;
pub use order::Order;
pub use plan::TransformationPlan;
pub use pretraining_finetuning::pretraining_finetuning;
pub use projection::ProjectionPolicy;
pub use ratio::Ratio;
pub use slots::{SlotSource, assign_slots};
pub use some_layers::{auto_learngene, heuristic_learngene};
pub use weight_selection::weight_selection;
pub use weight_transformation::weight_transformation;
