#![doc = include_str!("../README.md")]

mod change;
mod config_json;
mod container;
mod layer_scale;
mod names;
mod preprocessing;
mod pretrained_cfg;
mod read;
mod shape;
mod sidecar;
mod transformers;
mod unsupported;
mod write;

pub use config_json::has_other_weights;
pub use preprocessing::Preprocessing;
pub use pretrained_cfg::PretrainedCfg;
pub use read::{is_checkpoint, read};
pub use unsupported::unsupported_reason;
pub use write::write;

use learngene_shape::Shape;
use learngene_tensors::{Dtype, Sha256, StateDict};

/// Whose names the tensors of a file have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// timm's, which DeiT's own checkpoints share; of a Swin those since timm 0.9.
    Timm,
    /// Those of Swin's own repository, which timm had before 0.9. No ViT has such.
    Official,
    /// Those of Hugging Face's transformers.
    HuggingFace,
}

/// What a caller knows or wants beyond the file itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// Name of a preset, one of [`Shape::presets`], that gives a ViT's heads and a Swin's image size;
    /// refused where it contradicts the tensors.
    pub arch: Option<String>,
    /// Attention heads: one number for all layers, or one per layer, or one per stage. A Swin's
    /// tensors give them too and must agree.
    pub num_heads: Option<Vec<usize>>,
    /// Side of the images that the model is to take, in pixels. A ViT's positions are interpolated;
    /// a Swin's windows stay as they are, and a size that would change them is refused.
    pub image_size: Option<usize>,
    /// Number of classes; another number than the file's replaces the classifier by a fresh one of
    /// zeros, 0 drops it.
    pub num_classes: Option<usize>,
    /// LayerNorm's epsilon.
    pub layer_norm_eps: Option<f64>,
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Shape of the model.
    pub shape: Shape,
    /// The parameters in timm's names and layouts.
    pub parameters: StateDict,
    /// Number format in the file; f32 where tensors differ in theirs.
    pub dtype: Dtype,
    /// Whose names the file uses.
    pub dialect: Dialect,
    /// What it was trained on, as far as that is known.
    pub pretrained_cfg: PretrainedCfg,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// What was changed, left out or assumed: a sentence each, for the user.
    pub notes: Vec<String>,
}
