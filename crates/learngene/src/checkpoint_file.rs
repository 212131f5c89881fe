//! Checkpoints that the program writes.

use std::path::Path;

use clap::{Args, ValueEnum};
use learngene_checkpoints::{Dialect, PretrainedCfg, has_other_weights, unsupported_reason};
use learngene_shape::Shape;
use learngene_tensors::{Dtype, StateDict};

/// How a checkpoint is written.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct WriteArgs {
    /// Whose names the checkpoint's tensors have: timm's, those of Swin's own repository (and timm before
    /// 0.9), or Hugging Face's. transformers wants the file to be called model.safetensors, in a folder
    /// of its own.
    #[arg(long, value_enum, default_value_t = Format::Timm)]
    format: Format,
    /// Number format of the checkpoint.
    #[arg(long, value_enum, default_value_t = NumberFormat::F32)]
    dtype: NumberFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Timm,
    Official,
    Hf,
}

impl From<Format> for Dialect {
    fn from(format: Format) -> Self {
        match format {
            Format::Timm => Self::Timm,
            Format::Official => Self::Official,
            Format::Hf => Self::HuggingFace,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum NumberFormat {
    F32,
    F16,
    Bf16,
}

impl From<NumberFormat> for Dtype {
    fn from(format: NumberFormat) -> Self {
        match format {
            NumberFormat::F32 => Self::F32,
            NumberFormat::F16 => Self::F16,
            NumberFormat::Bf16 => Self::BF16,
        }
    }
}

impl WriteArgs {
    /// Writes a checkpoint, whole or not at all.
    pub fn write(
        &self,
        path: &Path,
        shape: &Shape,
        parameters: &StateDict,
        pretrained_cfg: Option<&PretrainedCfg>,
    ) -> anyhow::Result<()> {
        let (dialect, dtype) = (self.format.into(), self.dtype.into());
        learngene_checkpoints::write(path, shape, parameters, dialect, dtype, pretrained_cfg)?;
        let note = match has_other_weights(path) {
            true => {
                "; only its header says the shape, not a config.json, because its folder holds other \
                 checkpoints"
            }
            false => "",
        };
        log_readers(path, shape, note);
        Ok(())
    }
}

/// Logs what reads a checkpoint whose shape no published implementation has, and a note.
pub fn log_readers(checkpoint: &Path, shape: &Shape, note: &str) {
    if let Some(reason) = unsupported_reason(shape) {
        tracing::info!(
            "{} fits neither timm nor transformers ({reason}): `learngene` and \
             python/learngene_timm.py read it{note}",
            checkpoint.display()
        );
    }
}
