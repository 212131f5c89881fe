//! Checkpoints that the program writes.

use std::{fs, path::Path};

use anyhow::{Context, anyhow, ensure};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use learngene_models::{
    StateDict, VitConfig,
    checkpoint::{self, CheckpointError, Dialect, Dtype},
};

use crate::files;

/// How a checkpoint is written.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct WriteArgs {
    /// Names of the checkpoint's tensors: timm's, or Hugging Face's with a config.json beside the
    /// file.
    #[arg(long, default_value = "timm", value_parser = PossibleValuesParser::new(["timm", "hf"])
        .map(|name| if name == "hf" { Dialect::HuggingFace } else { Dialect::Timm }))]
    pub names: Dialect,
    /// Number format of the checkpoint.
    #[arg(long, default_value = "f32", value_parser = PossibleValuesParser::new(["f32", "f16"])
        .map(|name| if name == "f16" { Dtype::F16 } else { Dtype::F32 }))]
    pub dtype: Dtype,
}

impl WriteArgs {
    /// Writes a checkpoint, whole or not at all.
    pub fn write(
        &self,
        path: &Path,
        config: &VitConfig,
        parameters: &StateDict,
    ) -> anyhow::Result<()> {
        let old = path.with_file_name("config.json");
        if self.names == Dialect::Timm || !old.exists() {
            return Ok(checkpoint::write(path, config, parameters, self.names, self.dtype)?);
        }
        // Written aside first, as the config.json here may be that of another model. No error names
        // the place aside.
        let aside = tempfile::tempdir_in(files::folder_of(path))
            .map_err(|error| anyhow!("cannot write {}: {}", path.display(), error.kind()))?;
        let (new, model) = (aside.path().join("config.json"), aside.path().join("model"));
        checkpoint::write(&model, config, parameters, self.names, self.dtype).map_err(|error| {
            match error {
                CheckpointError::Write { source, .. } => {
                    CheckpointError::Write { path: path.into(), source }
                }
                other => other,
            }
        })?;
        ensure!(
            files::read(&old)? == files::read(&new)?,
            "{} differs from that of this checkpoint, which would replace it: choose an empty folder \
             for --out",
            old.display()
        );
        fs::rename(&model, path).with_context(|| format!("cannot write {}", path.display()))
    }
}
