#![doc = include_str!("../README.md")]

mod attention;
mod block;
mod classifier;
mod latency;
mod layers;
mod merging;
mod mlp;
mod model;
mod parts;
mod patch_embed;
mod state_dict;
mod swin;
mod vit;
mod windows;

pub use attention::Attention;
pub use block::Block;
pub use classifier::{BranchScales, Classifier, Forward};
pub use latency::{Latency, Timed, time};
pub use layers::LayerLinears;
pub use merging::PatchMerging;
pub use mlp::Mlp;
pub use model::{Model, ModelOutput, Pool};
pub use patch_embed::PatchEmbed;
pub use state_dict::{load_into, state_dict};
pub use swin::{ClassifierHead, Stage, SwinModule};
pub use vit::VitModule;
