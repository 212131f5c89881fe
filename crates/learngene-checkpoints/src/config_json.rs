//! The config.json and preprocessor_config.json beside a checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use learngene_shape::Shape;
use learngene_tensors::{Dtype, Error, Result, write_whole};
use serde::Serialize;
use serde_json::Value;

use crate::{Dialect, PretrainedCfg, transformers, unsupported_reason};

/// File name extensions of weights: those of PyTorch, TensorFlow, JAX and this crate.
const WEIGHTS: [&str; 7] = ["safetensors", "bin", "pth", "pt", "ckpt", "h5", "msgpack"];

/// Prefix of the architecture's name in this crate's own configuration.
const OWN: &str = "learngene_";

/// A file that is to be written, or removed.
pub(crate) struct ConfigFile {
    place: PathBuf,
    /// None to remove the file.
    json: Option<Vec<u8>>,
}

/// This crate's own configuration: that of a model that no published implementation can hold.
#[derive(Serialize)]
struct Own<'a> {
    architecture: String,
    #[serde(flatten)]
    shape: &'a Shape,
}

/// The files to write beside a checkpoint. With Hugging Face's names these are transformers'
/// config.json and, where preprocessing is known, preprocessor_config.json; otherwise this crate's own
/// config.json where no published implementation can hold the model.
///
/// Such files describe every checkpoint of their folder. So an existing one with other content is
/// replaced only when the checkpoint itself is replaced and is the only one in the folder. Where the
/// new model needs no config.json, one that this crate could have written for the old model is removed.
///
/// # Errors
/// The reason why transformers has no such model; or the file that belongs to another checkpoint,
/// where transformers needs one of this name. This crate's own config.json is optional, because the
/// checkpoint's header holds the same fields.
pub(crate) fn config_files(
    checkpoint: &Path,
    shape: &Shape,
    dialect: Dialect,
    dtype: Dtype,
    pretrained_cfg: Option<&PretrainedCfg>,
) -> Result<Vec<ConfigFile>> {
    let is_alone = !has_other_weights(checkpoint);
    let mut config_files = Vec::new();
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
                _ => config_files.push(ConfigFile { place, json: Some(json) }),
            }
        }
    } else if is_alone {
        let place = checkpoint.with_file_name("config.json");
        let is_replaced = checkpoint.exists();
        if unsupported_reason(shape).is_some() {
            let architecture = format!("{OWN}{}", shape.family());
            let json = Some(to_json(&Own { architecture, shape }));
            if is_replaced || !place.exists() {
                config_files.push(ConfigFile { place, json });
            }
        } else if is_replaced && is_as_written(&place) {
            config_files.push(ConfigFile { place, json: None });
        }
    }
    Ok(config_files)
}

impl ConfigFile {
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

/// Whether the folder holds weights of another checkpoint. Then no config.json is written for a shape
/// with an [`unsupported_reason`], because it would seem to describe the other checkpoint.
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
