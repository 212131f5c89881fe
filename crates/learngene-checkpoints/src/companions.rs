//! The files that are written beside a checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use learngene_shape::Shape;
use learngene_tensors::{Dtype, Error, Result, write_whole};
use serde::Serialize;
use serde_json::Value;

use crate::{Dialect, PretrainedCfg, obstacle, transformers};

/// What the names of files end with in which PyTorch, TensorFlow, JAX and this crate keep weights.
const WEIGHTS: [&str; 7] = ["safetensors", "bin", "pth", "pt", "ckpt", "h5", "msgpack"];

/// What the name of an architecture begins with in this crate's own configuration.
const OWN: &str = "learngene_";

/// A file that is to be written, or removed.
pub(crate) struct Companion {
    place: PathBuf,
    /// None where it goes.
    json: Option<Vec<u8>>,
}

/// This crate's own configuration: that of a model that no published implementation can hold.
#[derive(Serialize)]
struct Own<'a> {
    architecture: String,
    #[serde(flatten)]
    shape: &'a Shape,
}

/// What has to be written beside a checkpoint: transformers' configuration, and how images are
/// prepared where that is known, where names are Hugging Face's; else this crate's own configuration
/// where no published implementation can hold the model.
///
/// Files of such names speak for all checkpoints of their folder. So one that says something else is
/// replaced only together with its model: that of the checkpoint to be replaced, and no other
/// checkpoint lies there. Where the new model needs none, a config.json as this crate writes goes with
/// the old model, whose shape it tells.
///
/// # Errors
/// Says why transformers has no such model; or which file belongs to another checkpoint, where
/// transformers needs one of this name. Without this crate's own configuration a checkpoint does: its
/// header tells the same.
pub(crate) fn companions(
    checkpoint: &Path,
    shape: &Shape,
    dialect: Dialect,
    dtype: Dtype,
    pretrained_cfg: Option<&PretrainedCfg>,
) -> Result<Vec<Companion>> {
    let is_alone = !has_other_weights(checkpoint);
    let mut companions = Vec::new();
    if dialect == Dialect::HuggingFace {
        let label_names = pretrained_cfg.map_or(&[][..], |found| &found.label_names);
        let fields = transformers::fields(shape, dtype, label_names);
        let fields = fields.map_err(|error| error.in_file(checkpoint))?;
        let config_json = ("config.json", to_json(&fields));
        let preprocessing = pretrained_cfg.and_then(|found| found.preprocessing);
        let processor = preprocessing.map(|preprocessing| {
            let processor = transformers::image_processor(&preprocessing, shape.image().size);
            ("preprocessor_config.json", to_json(&processor))
        });
        for (name, json) in [config_json].into_iter().chain(processor) {
            let place = checkpoint.with_file_name(name);
            match fs::read(&place) {
                Ok(found) if found == json => continue,
                Ok(_) if !(is_alone && checkpoint.exists()) => {
                    let found = "the configuration of another checkpoint";
                    let expected = "none, or this checkpoint's: choose an empty folder";
                    return Err(Error::invalid(place.display().to_string(), found, expected));
                }
                _ => companions.push(Companion { place, json: Some(json) }),
            }
        }
    } else if is_alone {
        let place = checkpoint.with_file_name("config.json");
        let is_replaced = checkpoint.exists();
        if obstacle(shape).is_some() {
            let architecture = format!("{OWN}{}", shape.family());
            let json = Some(to_json(&Own { architecture, shape }));
            if is_replaced || !place.exists() {
                companions.push(Companion { place, json });
            }
        } else if is_replaced && is_as_written(&place) {
            companions.push(Companion { place, json: None });
        }
    }
    Ok(companions)
}

impl Companion {
    pub fn write(&self) -> Result<()> {
        let Self { place, json } = self;
        let written = match json {
            Some(json) => write_whole(place, [json]),
            None => fs::remove_file(place),
        };
        written.map_err(Error::write(place))
    }
}

/// Whether a config.json is of a kind that this crate writes: its own, or transformers'.
fn is_as_written(config_json: &Path) -> bool {
    let fields = fs::read(config_json).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let fields: Value = fields.unwrap_or_default();
    let is_family = |key: &str| Shape::presets().any(|(_, shape)| shape.family() == key);
    let architecture = fields["architecture"].as_str().and_then(|name| name.strip_prefix(OWN));
    architecture.or(fields["model_type"].as_str()).is_some_and(is_family)
}

/// Whether weights of another checkpoint lie in its folder: then no config.json tells a shape that
/// [`obstacle`] finds unusual, for it would seem to be the other's.
pub fn has_other_weights(checkpoint: &Path) -> bool {
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
