//! The config.json beside a checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use super::{
    CheckpointError, Dialect, Dtype, family::Family, stock::obstacle, transformers,
    write::write_file,
};
use crate::ModelConfig;

/// What this crate's own configurations have for the name of an architecture, but for the family.
const OURS: &str = "learngene_";

/// A config.json that is to be written.
pub(super) struct ConfigJson {
    place: PathBuf,
    json: Vec<u8>,
}

/// This crate's own configuration: that of a model that no published implementation can hold.
#[derive(Serialize)]
struct Own<'a> {
    architecture: String,
    #[serde(flatten)]
    config: &'a ModelConfig,
}

impl ConfigJson {
    /// What has to lie beside a checkpoint that is to be written: transformers' configuration where
    /// names are Hugging Face's, and else this crate's own where no published implementation can hold
    /// the model. It may take the place of an earlier one of this crate: the checkpoint that it was written for
    /// tells its shape in its header too, which counts for more.
    ///
    /// # Errors
    /// Says why transformers has no such model; or that a config.json of another program's lies
    /// there, unless the checkpoint that it lies beside is the one to be replaced.
    pub fn beside(
        checkpoint: &Path,
        config: &ModelConfig,
        dialect: Dialect,
        dtype: Dtype,
    ) -> Result<Option<Self>, CheckpointError> {
        let place = checkpoint.with_file_name("config.json");
        let found = fs::read(&place).ok();
        let json = if dialect == Dialect::HuggingFace {
            serde_json::to_vec_pretty(&transformers::fields(config, dtype)?)
        } else if obstacle(config).is_some() {
            let architecture = format!("{OURS}{}", Family::of(config).key());
            serde_json::to_vec_pretty(&Own { architecture, config })
        } else {
            return Ok(None);
        };
        let json = json.expect("a map of plain values is JSON");
        match found {
            Some(found) if found == json => Ok(None),
            Some(found) if !(checkpoint.exists() || is_own(&found) && is_own(&json)) => {
                Err(CheckpointError::OtherConfig { path: place })
            }
            _ => Ok(Some(Self { place, json })),
        }
    }

    pub fn write(&self) -> Result<(), CheckpointError> {
        write_file(&self.place, [&self.json])
    }
}

fn is_own(json: &[u8]) -> bool {
    let value: Value = serde_json::from_slice(json).unwrap_or_default();
    value["architecture"].as_str().is_some_and(names_own)
}

/// Whether an architecture's name is one of this crate's own configurations.
pub(super) fn names_own(architecture: &str) -> bool {
    architecture.starts_with(OURS)
}
