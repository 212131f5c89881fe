//! The config.json beside a checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{CheckpointError, Dialect, Dtype, transformers, write::write_file};
use crate::ModelConfig;

/// A config.json that is to be written.
pub(super) struct ConfigJson {
    place: PathBuf,
    json: Vec<u8>,
}

impl ConfigJson {
    /// What has to lie beside a checkpoint that is to be written: transformers' configuration where
    /// names are Hugging Face's.
    ///
    /// # Errors
    /// Says why transformers has no such model; or that a config.json of another content lies there,
    /// unless the checkpoint that it lies beside is the one to be replaced.
    pub fn beside(
        checkpoint: &Path,
        config: &ModelConfig,
        dialect: Dialect,
        dtype: Dtype,
    ) -> Result<Option<Self>, CheckpointError> {
        let place = checkpoint.with_file_name("config.json");
        if dialect != Dialect::HuggingFace {
            return Ok(None);
        }
        let json = serde_json::to_vec_pretty(&transformers::fields(config, dtype)?)
            .expect("a map of plain values is JSON");
        let found = fs::read(&place).ok();
        match found {
            Some(found) if found == json => Ok(None),
            Some(_) if !checkpoint.exists() => Err(CheckpointError::OtherConfig { path: place }),
            _ => Ok(Some(Self { place, json })),
        }
    }

    pub fn write(&self) -> Result<(), CheckpointError> {
        write_file(&self.place, [&self.json])
    }
}
