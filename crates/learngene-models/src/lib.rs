#![doc = include_str!("../README.md")]

pub mod checkpoint;

mod classifier;
mod count;
mod head_layout;
mod state_dict;
mod vit;

pub use classifier::Classifier;
pub use count::{count_macs, count_parameters};
pub use head_layout::{Head, HeadLayout, Projection};
pub use state_dict::{HostTensor, StateDict, StateDictError};
pub use vit::{
    Attention, AttentionOutput, Block, Mlp, PatchEmbed, Vit, VitConfig, VitConfigError, VitOutput,
};
