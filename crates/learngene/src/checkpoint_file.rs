//! Checkpoints that the program writes.

use std::path::Path;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use learngene_models::{
    ModelConfig, StateDict,
    checkpoint::{self, Dialect, Dtype, PretrainedCfg},
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
        Ok(checkpoint::write(path, config, parameters, names, dtype, pretrained_cfg)?)
    }
}
