//! Checkpoints of timm, DeiT, Swin and Hugging Face.
//!
//! ```
//! use burn::tensor::Device;
//! use learngene_models::checkpoint::{self, Dialect, Dtype, ReadOptions};
//! use learngene_models::{Classifier, VitConfig};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("tiny.safetensors");
//! let config = VitConfig::uniform(48, 2, 3).with_image_size(32).with_patch_size(8);
//! let vit = config.init(&Device::flex());
//! checkpoint::write(&path, &config.into(), &vit.state_dict(), Dialect::Timm, Dtype::F16, None)?;
//!
//! let options = ReadOptions { image_size: Some(64), ..ReadOptions::default() };
//! let wider = checkpoint::read(&path, &options)?;
//! assert_eq!(wider.parameters.get("pos_embed").map(|pos| pos.shape[1]), Some(1 + 8 * 8));
//! let model = wider.load(&Device::flex())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is read
//! - safetensors in timm's names (`blocks.0.attn.qkv.weight`, `layers.0.blocks.0.attn.qkv.weight`),
//!   DeiT's too;
//! - safetensors in the names of Swin's repository, which timm had before 0.9;
//! - safetensors in the names of Hugging Face's ViT and Swin, with and without the prefix `vit.` or
//!   `swin.`;
//! - PyTorch's `.pth` in any spelling, the weights at its root or under `model` (as in DeiT's and
//!   Swin's) or `state_dict`;
//!
//! each in f32, f16 or bf16, recognised by its content and not by its name. Other number formats
//! are refused, f64 too: no published model uses it, and rounding should be the owner's decision.
//!
//! Every parameter of the model must be there in its shape, and nothing else. Left out are Hugging
//! Face's pooler and the mask token of pretraining, which no classifier uses, and the buffers of a
//! Swin (`relative_position_index`, `attn_mask`), which follow from its shape. LayerScale
//! (`blocks.0.ls1.gamma`, as in DINOv2) is folded into the weights that it follows.
//!
//! # What shapes cannot tell
//! Of a ViT the shapes of the tensors tell the whole architecture but for the number of heads and
//! LayerNorm's epsilon. These come from the first that says them: [`ReadOptions`], a configuration,
//! and last the published models: ViT and DeiT of the widths 192, 384, 768, 1024 and 1280, and
//! epsilon 1e-6. The configuration is the `config` in the metadata of a safetensors header, which
//! this crate writes and which speaks of this file alone, or else a config.json beside the file
//! (transformers' or timm's fields, or those of [`ModelConfig`]). One that contradicts the tensors, or
//! heads that [`ReadOptions`] give, is an error.
//!
//! Of a Swin the tables of relative positions tell heads and windows, but the side of the images is
//! in no parameter. It comes from the first that says it: [`ReadOptions`]; a stage whose windows are
//! smaller than others', which is one window; the masks of shifted windows that official files keep;
//! the header, or else a config.json beside the file (timm's `pretrained_cfg.input_size` too); the
//! preset named; and last the published 224 pixels, where the windows fit. Epsilon is 1e-5 where
//! nothing tells another.
//!
//! How images become the model's input ([`Preprocessing`]) comes from the header's
//! `config.pretrained_cfg`, or else from timm's config.json or transformers' preprocessor_config.json
//! beside the file. Names of classes (`label_names`) come from the header alone.

mod change;
mod companions;
mod container;
mod dtype;
mod error;
mod family;
mod file;
mod infer;
mod layer_scale;
mod names;
mod preprocessing;
mod pretrained_cfg;
mod read;
mod resample;
mod shapes;
mod stock;
mod told;
mod transformers;
mod write;

use std::fmt;

use burn::tensor::Device;

pub use companions::has_other_weights;
pub use dtype::Dtype;
pub use error::CheckpointError;
pub use file::sha256;
pub use preprocessing::Preprocessing;
pub use pretrained_cfg::PretrainedCfg;
pub use read::{is_checkpoint, read};
pub use resample::resample_pos_embed;
pub use stock::obstacle;
pub use write::write;

use crate::{Model, ModelConfig, StateDict};

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
    /// Name of a preset, one of [`ModelConfig::presets`], that tells a ViT's heads and a Swin's
    /// image size; refused where it contradicts the tensors.
    pub arch: Option<String>,
    /// Attention heads: one number for all layers, or one per layer, or of a Swin one per stage,
    /// whose tensors tell them too and must agree.
    pub num_heads: Option<Vec<usize>>,
    /// Side of the images that the model shall take, in pixels. A ViT's positions are interpolated;
    /// a Swin's windows stay as they are, and a size that would change them is refused.
    pub image_size: Option<usize>,
    /// Classes that the model shall tell apart; another number than the file's replaces the
    /// classifier by a fresh one of zeros, 0 drops it.
    pub num_classes: Option<usize>,
    /// LayerNorm's epsilon.
    pub layer_norm_eps: Option<f64>,
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Shape of the model.
    pub config: ModelConfig,
    /// The parameters in timm's names and layouts.
    pub parameters: StateDict,
    /// Number format in the file; f32 where tensors differ in theirs.
    pub dtype: Dtype,
    /// Whose names the file uses.
    pub dialect: Dialect,
    /// What it was trained on, as far as that is told.
    pub pretrained_cfg: PretrainedCfg,
    /// SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What was changed, left out or assumed, to be shown to the user.
    pub notes: Vec<Note>,
}

impl Checkpoint {
    /// The model on a device.
    ///
    /// # Errors
    /// Lists parameters that do not fit the configuration, where a caller changed either.
    pub fn load(&self, device: &Device) -> Result<Model, CheckpointError> {
        self.config.check()?;
        Ok(self.config.load(&self.parameters, device)?)
    }
}

/// Something that a user should know about how a checkpoint was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Tensors that no classifier uses.
    LeftOut {
        /// Their names.
        keys: Vec<String>,
    },
    /// LayerScale became part of the weights that it follows.
    LayerScaleFolded,
    /// The number of heads is that of the published models of this width.
    HeadDimAssumed {
        /// Width of one head.
        head_dim: usize,
    },
    /// The side of a Swin's images is that of the published models.
    ImageSizeAssumed {
        /// Side of the images, in pixels.
        image_size: usize,
    },
    /// A Swin takes images of another size in windows of the same.
    ImageSizeChanged {
        /// Image side of the file, in pixels.
        from: usize,
        /// Image side of the model, in pixels.
        to: usize,
    },
    /// Positions were interpolated to another image size.
    PositionsResampled {
        /// Image side of the file, in pixels.
        from: usize,
        /// Image side of the model, in pixels.
        to: usize,
    },
    /// The classifier was replaced by one of zeros, or dropped.
    ClassifierReplaced {
        /// Classes in the file, 0 for no classifier.
        from: usize,
        /// Classes of the model, 0 for no classifier.
        to: usize,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut { keys } => {
                write!(f, "left out what no classifier uses: {}", keys.join(", "))
            }
            Self::LayerScaleFolded => {
                write!(f, "folded LayerScale into the weights that it follows")
            }
            Self::HeadDimAssumed { head_dim } => {
                write!(f, "assumed heads {head_dim} wide, as in the published model of this width")
            }
            Self::ImageSizeAssumed { image_size } => {
                write!(f, "assumed images of {image_size} px, as in the published models")
            }
            Self::ImageSizeChanged { from, to } => {
                write!(f, "takes images of {to} px in place of {from} px, in the same windows")
            }
            Self::PositionsResampled { from, to } => {
                write!(f, "interpolated positions from images of {from} px to {to} px")
            }
            Self::ClassifierReplaced { from, to: 0 } => {
                write!(f, "dropped the classifier of {from} classes")
            }
            Self::ClassifierReplaced { from, to } => {
                write!(f, "replaced the classifier of {from} classes by a fresh one of {to}")
            }
        }
    }
}
