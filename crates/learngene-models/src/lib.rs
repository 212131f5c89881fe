#![doc = include_str!("../README.md")]

pub mod checkpoint;
pub mod limits;

mod classifier;
mod config;
mod count;
mod head_layout;
mod mlp;
mod model;
mod parts;
mod patch_embed;
mod shape;
mod state_dict;
mod swin;
mod vit;

pub use classifier::{BranchScales, Classifier};
pub use config::ModelConfig;
pub use count::{count_macs, count_parameters};
pub use head_layout::{Head, HeadLayout, Projection};
pub use mlp::Mlp;
pub use model::{LayerLinears, Model, ModelOutput};
pub use patch_embed::PatchEmbed;
pub use shape::{LayerShape, ShapeError};
pub use state_dict::{HostTensor, StateDict, StateDictError};
pub use swin::{PatchMerging, Swin, SwinBlock, SwinConfig, WindowAttention};
pub use vit::{Attention, AttentionOutput, Block, Vit, VitConfig};
