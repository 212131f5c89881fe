//! Writing checkpoints.

use std::path::Path;

use learngene_shape::Shape;
use learngene_tensors::{Dtype, Part, Result, StateDict, safetensors};
use serde::Serialize;

use crate::{
    Dialect, PretrainedCfg,
    companions::{Companion, companions},
    names::Names,
};

/// Writes a safetensors checkpoint, whole or not at all.
///
/// In timm's names and the official ones the header carries the shape as JSON under the metadata key
/// `config`, so that reading it back needs nothing else; what the model was trained on stands there
/// too, as timm's `pretrained_cfg`, where it is known. In Hugging Face's names a config.json is written
/// beside it, as transformers wants it, and a preprocessor_config.json. In the other names a
/// config.json is written where no published implementation can hold the model and no other
/// checkpoint lies in the folder, whose configuration it would seem to be: with every field of
/// [`Shape`] and an `architecture` of `learngene_vit` or `learngene_swin`; where they can, and the file
/// replaces the folder's only checkpoint, the config.json of that one is removed.
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
    let companions = companions(path, shape, dialect, dtype, pretrained_cfg)?;
    let header = to_json(shape, pretrained_cfg);
    let metadata = match dialect {
        Dialect::Timm | Dialect::Official => ("config", &header[..]),
        Dialect::HuggingFace => ("format", "pt"),
    };
    safetensors::write(path, metadata, dtype, parts(names, parameters)).map_err(in_file)?;
    // Two files cannot change at once. Weights may fail for want of space or a place to write, and
    // then the configuration beside them must still be theirs, so they go first. Where the few bytes
    // of the configuration fail after them, the error says so, and writing again mends it.
    companions.iter().try_for_each(Companion::write)
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

/// What a header says beside names and shapes.
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
