//! The files that are written beside a checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    CheckpointError, Dialect, Dtype, PretrainedCfg, family::Family, stock::obstacle, transformers,
    write::write_file,
};
use crate::ModelConfig;

/// What the names of files end with in which PyTorch, TensorFlow, JAX and this crate keep weights.
const WEIGHTS: [&str; 7] = ["safetensors", "bin", "pth", "pt", "ckpt", "h5", "msgpack"];

/// A file that is to be written.
pub(super) struct Companion {
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

/// What has to be written beside a checkpoint: transformers' configuration, and how images are
/// prepared where that is known, where names are Hugging Face's; else this crate's own configuration
/// where no published implementation can hold the model.
///
/// Files of such names speak for all checkpoints of their folder. So one that says something else is
/// replaced only together with its model: that of the checkpoint to be replaced, and no other
/// checkpoint lies there.
///
/// # Errors
/// Says why transformers has no such model; or which file belongs to another checkpoint, where
/// transformers needs one of this name. Without this crate's own configuration a checkpoint does: its
/// header tells the same.
pub(super) fn companions(
    checkpoint: &Path,
    config: &ModelConfig,
    dialect: Dialect,
    dtype: Dtype,
    pretrained_cfg: Option<&PretrainedCfg>,
) -> Result<Vec<Companion>, CheckpointError> {
    let is_alone = !has_other_weights(checkpoint);
    let mut companions = Vec::new();
    if dialect == Dialect::HuggingFace {
        let label_names = pretrained_cfg.map_or(&[][..], |told| &told.label_names);
        let fields = transformers::fields(config, dtype, label_names)?;
        let config_json = ("config.json", to_json(&fields));
        let preprocessing = pretrained_cfg.and_then(|told| told.preprocessing);
        let processor = preprocessing.map(|preprocessing| {
            let processor = transformers::image_processor(&preprocessing, config.image_size());
            ("preprocessor_config.json", to_json(&processor))
        });
        for (name, json) in [config_json].into_iter().chain(processor) {
            let place = checkpoint.with_file_name(name);
            match fs::read(&place) {
                Ok(found) if found == json => continue,
                Ok(_) if !(is_alone && checkpoint.exists()) => {
                    return Err(CheckpointError::OtherConfig { path: place });
                }
                _ => companions.push(Companion { place, json }),
            }
        }
    } else if obstacle(config).is_some() && is_alone {
        let architecture = format!("learngene_{}", Family::of(config).key());
        let json = to_json(&Own { architecture, config });
        let place = checkpoint.with_file_name("config.json");
        if checkpoint.exists() || !place.exists() {
            companions.push(Companion { place, json });
        }
    }
    Ok(companions)
}

impl Companion {
    pub fn write(&self) -> Result<(), CheckpointError> {
        write_file(&self.place, [&self.json])
    }
}

/// Whether weights of another checkpoint lie in its folder.
fn has_other_weights(checkpoint: &Path) -> bool {
    let folder = match checkpoint.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| WEIGHTS.contains(&ending))
            && path.file_name() != checkpoint.file_name()
    })
}

fn to_json(fields: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(fields).expect("plain values are JSON")
}
