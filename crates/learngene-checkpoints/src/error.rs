//! What can be wrong with a checkpoint.

use std::{io, path::PathBuf};

use burn_store::pytorch_reader::PytorchError;
use safetensors::SafeTensorError;
use thiserror::Error;

use crate::{ModelConfig, ShapeError, StateDictError};

/// A checkpoint that cannot be read or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The file, or the config.json beside it, cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file at fault.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file, or the config.json beside it, cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file at fault.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of no bytes.
    #[error("{path} is empty, wanted a checkpoint")]
    Empty {
        /// The file at fault.
        path: PathBuf,
    },
    /// A file that opens neither as safetensors nor as PyTorch does.
    #[error(
        "{path} is not a checkpoint: its first bytes are those of neither a safetensors file nor \
         a PyTorch file"
    )]
    NotACheckpoint {
        /// The file at fault.
        path: PathBuf,
    },
    /// A damaged safetensors file.
    #[error("{path} is not a whole safetensors file: {source}")]
    Safetensors {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        source: SafeTensorError,
    },
    /// A damaged PyTorch file, or one of no tensors.
    #[error("{path} is not a whole PyTorch checkpoint: {source}")]
    Pytorch {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<PytorchError>,
    },
    /// A checkpoint of another kind of model.
    #[error("{path} is a {family} checkpoint (it holds {key}), wanted a ViT, DeiT or Swin")]
    Family {
        /// The file at fault.
        path: PathBuf,
        /// The kind of model that it holds.
        family: &'static str,
        /// The parameter that gives it away.
        key: String,
    },
    /// A checkpoint whose names are those of no vision transformer.
    #[error(
        "{path} holds no vision transformer in names of timm, Swin's repository or Hugging Face; its \
         tensors: {}", keys.join(", ")
    )]
    Unrecognised {
        /// The file at fault.
        path: PathBuf,
        /// Some names that it has.
        keys: Vec<String>,
    },
    /// Tensors of a number format that weights are not stored in.
    #[error("{path} stores {}, wanted f32, f16 or bf16", tensors.join(", "))]
    Dtype {
        /// The file at fault.
        path: PathBuf,
        /// All such tensors, as `name as FORMAT`.
        tensors: Vec<String>,
    },
    /// Names or shapes that do not make up one model.
    #[error("{path}: {source}")]
    Keys {
        /// The file at fault.
        path: PathBuf,
        /// Every name and shape at fault, spelled as in the file.
        source: StateDictError,
    },
    /// A weight that is NaN or infinite.
    #[error("{path}: {tensor} is {value} at index {index}, wanted finite numbers")]
    NonFinite {
        /// The file at fault.
        path: PathBuf,
        /// The tensor, named as in the file.
        tensor: String,
        /// Where in the tensor, in row-major order.
        index: usize,
        /// The value there.
        value: f32,
    },
    /// Position embeddings that do not lie on a square grid.
    #[error("{path} has positions for {found} tokens, wanted 1 + the square of a grid side")]
    Positions {
        /// The file at fault.
        path: PathBuf,
        /// Positions that it holds, that of the class token among them.
        found: usize,
    },
    /// A Swin's table of relative positions that is for no square window.
    #[error(
        "{path} has {found} relative positions in each table of stage {stage}, wanted the square of \
         an odd number"
    )]
    RelativePositions {
        /// The file at fault.
        path: PathBuf,
        /// The stage at fault.
        stage: usize,
        /// Rows of its first table.
        found: usize,
    },
    /// Heads of a Swin's table of relative positions that cannot be those of the weights beside it.
    #[error(
        "{path} has {num_heads} heads in the table of relative positions of layer {layer}, which do \
         not divide its attention of {attention_dim}"
    )]
    HeadsOfTable {
        /// The file at fault.
        path: PathBuf,
        /// The layer at fault, counted through all stages.
        layer: usize,
        /// Columns of the table.
        num_heads: usize,
        /// Width of all heads of the layer together.
        attention_dim: usize,
    },
    /// Neither shapes nor anything beside them tell the side of a Swin's images.
    #[error(
        "{path} does not say how large its images are, and its windows do not fit the published \
         224 px; give their side with --image-size"
    )]
    UnknownImageSize {
        /// The file at fault.
        path: PathBuf,
    },
    /// Images for which a Swin's windows would be of another size than its tables.
    #[error(
        "images of {image_size} px leave stage {stage} of {path} windows of {window} tokens a side, \
         but its table of relative positions is for {table}, and tables are not interpolated"
    )]
    Windows {
        /// The file at fault.
        path: PathBuf,
        /// Side of the images asked for, in pixels.
        image_size: usize,
        /// The stage at fault.
        stage: usize,
        /// Side of its windows in such images, in tokens.
        window: usize,
        /// Side of the windows that its table is for.
        table: usize,
    },
    /// Neither shapes nor anything beside them tell the number of heads.
    #[error(
        "{path} does not say how many attention heads its layers have (they are {attention_dims:?} \
         wide together); give the number with --num-heads, or a model name with --arch"
    )]
    UnknownHeads {
        /// The file at fault.
        path: PathBuf,
        /// Width of all heads of each layer together.
        attention_dims: Vec<usize>,
    },
    /// A number of heads that the attention weights cannot have.
    #[error(
        "{told_by} gives layer {layer} {num_heads} heads of the width of layer 0's, but its \
         attention in {path} is {attention_dim} wide"
    )]
    Heads {
        /// The file at fault.
        path: PathBuf,
        /// Who gave the number.
        told_by: String,
        /// The layer at fault.
        layer: usize,
        /// The number given.
        num_heads: usize,
        /// Width of all heads of the layer together.
        attention_dim: usize,
    },
    /// Heads that the caller gives, of a file whose configuration tells others.
    #[error(
        "{given_by} gives layer {layer} of {path} {given} heads, but {told_by} says {told}: leave it \
         out, or correct the configuration"
    )]
    HeadsContradict {
        /// The file at fault.
        path: PathBuf,
        /// Who gave the number.
        given_by: String,
        /// The layer at fault.
        layer: usize,
        /// The number given.
        given: usize,
        /// The configuration that contradicts it.
        told_by: String,
        /// Its number.
        told: usize,
    },
    /// A list of heads per layer of another length than the model is deep.
    #[error("{told_by} gives heads for {found} layers, but {path} has {depth}")]
    HeadsPerLayer {
        /// The file at fault.
        path: PathBuf,
        /// Who gave the list.
        told_by: String,
        /// Length of the list.
        found: usize,
        /// Layers of the model.
        depth: usize,
    },
    /// A model name that is none of the presets.
    #[error("unknown architecture {name}, wanted one of {}", presets())]
    UnknownArch {
        /// The name given.
        name: String,
    },
    /// A preset of another family than the file's.
    #[error("--arch {name} is a {told}, but {path} holds a {found}")]
    ArchFamily {
        /// The file at fault.
        path: PathBuf,
        /// The name given.
        name: String,
        /// Family of the preset.
        told: &'static str,
        /// Family of the model in the file.
        found: &'static str,
    },
    /// A configuration that is not a JSON object.
    #[error("{told_by} is not a JSON object: {source}")]
    Config {
        /// The configuration at fault.
        told_by: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A configuration field of another type or meaning than this crate can follow.
    #[error("{told_by} has {field} {found}, wanted {wanted}")]
    ConfigField {
        /// The configuration at fault.
        told_by: String,
        /// The field at fault.
        field: String,
        /// Its value.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// A configuration that contradicts the tensors.
    #[error("{told_by} says {field} {told}, but the tensors of {path} say {found}")]
    Contradiction {
        /// The file at fault.
        path: PathBuf,
        /// The configuration that contradicts it.
        told_by: String,
        /// The field at fault.
        field: String,
        /// Its value in the configuration.
        told: usize,
        /// Its value according to the tensors.
        found: usize,
    },
    /// A shape that no model can have.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Parameters that do not fit the configuration they are written or loaded with.
    #[error(transparent)]
    Parameters(#[from] StateDictError),
    /// A value that the number format to be written cannot hold.
    #[error("{tensor} is {value} at index {index}, which {dtype} cannot hold; nothing was written")]
    OutOfRange {
        /// The tensor, in timm's names.
        tensor: String,
        /// Where in the tensor, in row-major order.
        index: usize,
        /// The value there.
        value: f32,
        /// The number format asked for.
        dtype: super::Dtype,
    },
    /// A config.json or preprocessor_config.json that belongs to another checkpoint of its folder.
    #[error(
        "{path} differs from that of this checkpoint, which would replace it: choose an empty folder"
    )]
    OtherConfig {
        /// The file that would be replaced.
        path: PathBuf,
    },
    /// A model that Hugging Face's transformers cannot express.
    #[error(
        "Hugging Face's {family} cannot express this model: {reason}; write it in timm's names (--names \
         timm), which python/learngene_timm.py of this project runs with PyTorch and timm"
    )]
    HuggingFace {
        /// The model's family.
        family: &'static str,
        /// Why it cannot.
        reason: String,
    },
    /// A ViT to be written in the names of Swin's repository.
    #[error(
        "a ViT has no official names, which are those of Swin's repository; write it in timm's"
    )]
    NoOfficialNames,
}

fn presets() -> String {
    ModelConfig::presets().collect::<Vec<_>>().join(", ")
}
