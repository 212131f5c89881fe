//! Writing checkpoints.

use std::path::Path;

use learngene_shape::Shape;
use learngene_tensors::{Dtype, Part, Result, StateDict, safetensors};
use serde::Serialize;

use crate::{
    Dialect, PretrainedCfg,
    config_json::{ConfigFile, config_files},
    names::Names,
};

/// Writes a safetensors checkpoint, whole or not at all.
///
/// With timm's or the official names, the header holds the shape as JSON under the metadata key
/// `config`, and timm's `pretrained_cfg` in it where that is known, so that reading needs nothing
/// else. A config.json is written too where no published implementation can hold the model and the
/// folder holds no other checkpoint: every field of [`Shape`] and an `architecture` of `learngene_vit`
/// or `learngene_swin`. Where one can, and the file replaces the folder's only checkpoint, the old
/// config.json is removed. With Hugging Face's names, transformers' config.json and
/// preprocessor_config.json are written beside the checkpoint.
///
/// The same arguments always give the same bytes.
///
/// # Errors
/// Lists parameters that do not fit the shape; names the value that the number format cannot hold
/// (NaN and infinities fit none); says why the dialect cannot express the model, or which file cannot
/// be written. In Hugging Face's names a file beside it that says otherwise is an error, unless the
/// only checkpoint it lies beside is the one to be replaced.
pub fn write(
    path: &Path,
    shape: &Shape,
    parameters: &StateDict,
    dialect: Dialect,
    dtype: Dtype,
    pretrained_cfg: Option<&PretrainedCfg>,
) -> Result<()> {
    let in_file = |error: learngene_tensors::Error| error.in_file(path);
    let names = Names::written(dialect, shape).map_err(in_file)?;
    parameters.check_against(&shape.parameter_shapes()).map_err(in_file)?;
    let pretrained_cfg = pretrained_cfg.filter(|found| **found != PretrainedCfg::default());
    let config_files = config_files(path, shape, dialect, dtype, pretrained_cfg)?;
    let header = to_json(shape, pretrained_cfg);
    let metadata = match dialect {
        Dialect::Timm | Dialect::Official => ("config", &header[..]),
        Dialect::HuggingFace => ("format", "pt"),
    };
    safetensors::write(path, metadata, dtype, parts(names, parameters)).map_err(in_file)?;
    // Two files cannot change at once. Weights may fail for want of space or a place to write, and
    // then the configuration beside them must still be theirs, so they go first. Where the few bytes
    // of the configuration fail after them, the error says so, and writing again mends it.
    config_files.iter().try_for_each(ConfigFile::write)
}

/// The tensors of the file.
fn parts(names: Names, parameters: &StateDict) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for (name, tensor) in parameters.iter() {
        let row = tensor.values.len() / tensor.shape[0];
        for part in names.parts(name, tensor.shape[0]) {
            let mut shape = tensor.shape.clone();
            shape[0] = part.rows.len();
            let values = &tensor.values[part.rows.start * row..part.rows.end * row];
            parts.push(Part { name: part.name, shape, values });
        }
    }
    parts
}

/// The `config` in a header's metadata.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(flatten)]
    shape: &'a Shape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pretrained_cfg: Option<&'a PretrainedCfg>,
}

fn to_json(shape: &Shape, pretrained_cfg: Option<&PretrainedCfg>) -> String {
    serde_json::to_string(&Header { shape, pretrained_cfg }).expect("plain values are JSON")
}
