//! Checkpoints that the program writes.

use std::path::Path;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use learngene_models::{
    ModelConfig, StateDict,
    checkpoint::{self, Dialect, Dtype, PretrainedCfg, has_other_weights, obstacle},
};

/// How a checkpoint is written.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct WriteArgs {
    /// Names of the checkpoint's tensors: timm's, those of Swin's own repository (and timm before
    /// 0.9), or Hugging Face's. transformers wants the file to be called model.safetensors, in a folder
    /// of its own.
    #[arg(long, default_value = "timm",
        value_parser = PossibleValuesParser::new(["timm", "official", "hf"]).map(dialect))]
    pub names: Dialect,
    /// Number format of the checkpoint.
    #[arg(long, default_value = "f32", value_parser = PossibleValuesParser::new(["f32", "f16"])
        .map(|name| if name == "f16" { Dtype::F16 } else { Dtype::F32 }))]
    pub dtype: Dtype,
}

fn dialect(name: String) -> Dialect {
    match name.as_str() {
        "hf" => Dialect::HuggingFace,
        "official" => Dialect::Official,
        _ => Dialect::Timm,
    }
}

impl WriteArgs {
    /// Writes a checkpoint, whole or not at all.
    pub fn write(
        &self,
        path: &Path,
        config: &ModelConfig,
        parameters: &StateDict,
        pretrained_cfg: Option<&PretrainedCfg>,
    ) -> anyhow::Result<()> {
        let Self { names, dtype } = *self;
        checkpoint::write(path, config, parameters, names, dtype, pretrained_cfg)?;
        let note = match has_other_weights(path) {
            true => {
                "; its header alone tells the shape, not a config.json: others lie in its folder"
            }
            false => "",
        };
        tell_readers(path, config, note);
        Ok(())
    }
}

/// Says who reads a checkpoint whose shape no published implementation has, and what else is to be
/// known then.
pub fn tell_readers(checkpoint: &Path, config: &ModelConfig, note: &str) {
    if let Some(reason) = obstacle(config) {
        tracing::info!(
            "{} fits neither timm nor transformers ({reason}): `learngene` and \
             python/learngene_timm.py read it{note}",
            checkpoint.display()
        );
    }
}
