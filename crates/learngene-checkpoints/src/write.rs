//! Writing checkpoints.

use std::{collections::HashMap, iter, path::Path};

use learngene_tensors::write_whole;
use safetensors::{
    SafeTensorError,
    tensor::{Metadata, TensorInfo},
};
use serde::Serialize;

use super::{
    CheckpointError, Dialect, Dtype, PretrainedCfg,
    companions::{Companion, companions},
    family::Family,
    names::Names,
};
use crate::{ModelConfig, StateDict};

/// Writes a safetensors checkpoint, whole or not at all.
///
/// In timm's names and the official ones the header carries the configuration as JSON under the
/// metadata key `config`, so that reading it back needs nothing else; what the model was trained on
/// stands there too, as timm's `pretrained_cfg`, where it is known. In Hugging Face's names a
/// config.json is written beside it, as transformers wants it, and a preprocessor_config.json. In the
/// other names a config.json is written where no published implementation can hold the model and no
/// other checkpoint lies in the folder, whose configuration it would seem to be: with every field of
/// [`ModelConfig`] and an `architecture` of `learngene_vit` or `learngene_swin`; where they can, and
/// the file replaces the folder's only checkpoint, the config.json of that one is removed.
///
/// The same arguments always give the same bytes.
///
/// # Errors
/// Lists parameters that do not fit the configuration; names the value that the number format
/// cannot hold (NaN and infinities fit none); says why the dialect cannot express the model, or
/// which file cannot be written. In Hugging Face's names a file beside it that says otherwise is an
/// error, unless the only checkpoint it lies beside is the one to be replaced.
pub fn write(
    path: &Path,
    config: &ModelConfig,
    parameters: &StateDict,
    dialect: Dialect,
    dtype: Dtype,
    pretrained_cfg: Option<&PretrainedCfg>,
) -> Result<(), CheckpointError> {
    config.check()?;
    if (Family::of(config), dialect) == (Family::Vit, Dialect::Official) {
        return Err(CheckpointError::NoOfficialNames);
    }
    parameters.check_against(&config.parameter_shapes())?;
    let parts = parts(config, parameters, dialect, dtype)?;
    let pretrained_cfg = pretrained_cfg.filter(|told| **told != PretrainedCfg::default());
    let companions = companions(path, config, dialect, dtype, pretrained_cfg)?;
    // A second metadata key would make the order of bytes depend on a hash map's seed.
    let metadata = match dialect {
        Dialect::Timm | Dialect::Official => ("config".into(), to_json(config, pretrained_cfg)),
        Dialect::HuggingFace => ("format".into(), "pt".into()),
    };
    let header = header(&parts, HashMap::from([metadata]))
        .map_err(|source| CheckpointError::Safetensors { path: path.into(), source })?;
    // One tensor at a time is made into bytes: a copy of all would take as much memory again.
    let tensors = parts.iter().map(|part| dtype.encode(part.values));
    write_file(path, iter::once(header).chain(tensors))?;
    // Two files cannot change at once. Weights may fail for want of space or a place to write, and
    // then the configuration beside them must still be theirs, so they go first. Where the few bytes
    // of the configuration fail after them, the error says so, and writing again mends it.
    companions.iter().try_for_each(Companion::write)
}

/// A tensor as it will lie in the file.
struct Part<'a> {
    name: String,
    info: TensorInfo,
    values: &'a [f32],
}

/// The tensors of the file, in the order of their names.
fn parts<'a>(
    config: &ModelConfig,
    parameters: &'a StateDict,
    dialect: Dialect,
    dtype: Dtype,
) -> Result<Vec<Part<'a>>, CheckpointError> {
    let names = Names::written(dialect, config);
    let mut parts = Vec::new();
    for (name, tensor) in parameters.iter() {
        if let Some(index) = dtype.first_unfit(&tensor.values) {
            let (tensor, value) = (name.into(), tensor.values[index]);
            return Err(CheckpointError::OutOfRange { tensor, index, value, dtype });
        }
        let row = tensor.values.len() / tensor.shape[0];
        for part in names.parts(name, tensor.shape[0]) {
            let mut shape = tensor.shape.clone();
            shape[0] = part.rows.len();
            let info = TensorInfo { dtype: dtype.to_safetensors(), shape, data_offsets: (0, 0) };
            let values = &tensor.values[part.rows.start * row..part.rows.end * row];
            parts.push(Part { name: part.name, info, values });
        }
    }
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    let mut end = 0;
    for part in &mut parts {
        let start = end;
        end += part.values.len() * dtype.size();
        part.info.data_offsets = (start, end);
    }
    Ok(parts)
}

/// What stands before the tensors in a safetensors file: the length of the JSON, and the JSON
/// filled up with spaces to a multiple of eight bytes.
fn header(parts: &[Part], metadata: HashMap<String, String>) -> Result<Vec<u8>, SafeTensorError> {
    let tensors = parts.iter().map(|part| (part.name.clone(), part.info.clone())).collect();
    let mut json = serde_json::to_vec(&Metadata::new(Some(metadata), tensors)?)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok([&(json.len() as u64).to_le_bytes()[..], &json].concat())
}

/// What a header says beside names and shapes.
#[derive(Serialize)]
struct Header<'a, Config> {
    #[serde(flatten)]
    config: &'a Config,
    #[serde(skip_serializing_if = "Option::is_none")]
    pretrained_cfg: Option<&'a PretrainedCfg>,
}

/// The configuration in a header. That of a ViT names no family: files are older than Swin is here.
fn to_json(config: &ModelConfig, pretrained_cfg: Option<&PretrainedCfg>) -> String {
    let json = match config {
        ModelConfig::Vit(config) => serde_json::to_string(&Header { config, pretrained_cfg }),
        ModelConfig::Swin(_) => serde_json::to_string(&Header { config, pretrained_cfg }),
    };
    json.expect("a configuration of plain numbers is JSON")
}

pub(super) fn write_file<Bytes: AsRef<[u8]>>(
    path: &Path,
    parts: impl IntoIterator<Item = Bytes>,
) -> Result<(), CheckpointError> {
    write_whole(path, parts).map_err(|source| CheckpointError::Write { path: path.into(), source })
}
