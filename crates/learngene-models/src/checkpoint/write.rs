//! Writing checkpoints.

use std::{collections::HashMap, iter, path::Path};

use learngene_files::write_whole;
use safetensors::{
    SafeTensorError,
    tensor::{Metadata, TensorInfo},
};
use serde_json::{Map, json};

use super::{CheckpointError, Dialect, Dtype, names::Names};
use crate::{ModelConfig, StateDict, VitConfig};

/// Writes a safetensors checkpoint, whole or not at all.
///
/// In timm's names the header carries the configuration as JSON under the metadata key `config`,
/// so that reading it back needs nothing else. In Hugging Face's names a config.json is written
/// beside it, as transformers wants it.
///
/// The same parameters always give the same bytes.
///
/// # Errors
/// Lists parameters that do not fit the configuration; names the value that the number format
/// cannot hold (NaN and infinities fit none); says why Hugging Face's ViT cannot express the
/// model, or which file cannot be written. A config.json that says otherwise is kept, unless the
/// checkpoint it lies beside is the one to be replaced.
pub fn write(
    path: &Path,
    config: &ModelConfig,
    parameters: &StateDict,
    dialect: Dialect,
    dtype: Dtype,
) -> Result<(), CheckpointError> {
    let ModelConfig::Vit(config) = config else { todo!() };
    config.check()?;
    parameters.check_against(&config.parameter_shapes())?;
    let parts = parts(config, parameters, dialect, dtype)?;
    // A second metadata key would make the order of bytes depend on a hash map's seed.
    let metadata = match dialect {
        Dialect::Timm => ("config".into(), to_json(config)),
        Dialect::HuggingFace => ("format".into(), "pt".into()),
    };
    if dialect == Dialect::HuggingFace {
        uniform(config)?;
        let json = serde_json::to_vec_pretty(&transformers_config(config, dtype))
            .expect("a map of plain values is JSON");
        let place = path.with_file_name("config.json");
        if !path.exists() && std::fs::read(&place).is_ok_and(|found| found != json) {
            return Err(CheckpointError::OtherConfig { path: place });
        }
        write_file(&place, [&json])?;
    }
    let header = header(&parts, HashMap::from([metadata]))
        .map_err(|source| CheckpointError::Safetensors { path: path.into(), source })?;
    // One tensor at a time is made into bytes: a copy of all would take as much memory again.
    let tensors = parts.iter().map(|part| dtype.encode(part.values));
    write_file(path, iter::once(header).chain(tensors))
}

/// A tensor as it will lie in the file.
struct Part<'a> {
    name: String,
    info: TensorInfo,
    values: &'a [f32],
}

/// The tensors of the file, in the order of their names.
fn parts<'a>(
    config: &VitConfig,
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
        for part in names.parts(name, &tensor.shape, config) {
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

/// transformers' ViT has one number of heads, and they are together as wide as the embedding.
fn uniform(config: &VitConfig) -> Result<usize, CheckpointError> {
    let refuse = |reason| Err(CheckpointError::HuggingFace { reason });
    let heads = config.num_heads[0];
    if let Some(layer) = config.num_heads.iter().position(|other| *other != heads) {
        let other = config.num_heads[layer];
        return refuse(format!("layer 0 has {heads} heads, layer {layer} has {other}"));
    }
    let VitConfig { embed_dim, head_dim, .. } = *config;
    if heads * head_dim != embed_dim {
        return refuse(format!(
            "{heads} heads of width {head_dim} are not as wide as its embed_dim of {embed_dim}"
        ));
    }
    Ok(heads)
}

/// The fields of transformers' `ViTConfig` that bear on the model.
fn transformers_config(config: &VitConfig, dtype: Dtype) -> Map<String, serde_json::Value> {
    let label = |class: usize| format!("LABEL_{class}");
    let classes = 0..config.num_classes;
    let architecture = if classes.is_empty() { "ViTModel" } else { "ViTForImageClassification" };
    let mut fields = Map::from_iter([
        ("architectures".into(), json!([architecture])),
        ("attention_probs_dropout_prob".into(), json!(0.0)),
        ("hidden_act".into(), json!("gelu")),
        ("hidden_dropout_prob".into(), json!(0.0)),
        ("hidden_size".into(), json!(config.embed_dim)),
        ("image_size".into(), json!(config.image_size)),
        ("initializer_range".into(), json!(0.02)),
        ("intermediate_size".into(), json!(config.mlp_hidden_dim)),
        ("layer_norm_eps".into(), json!(config.layer_norm_eps)),
        ("model_type".into(), json!("vit")),
        ("num_attention_heads".into(), json!(config.num_heads[0])),
        ("num_channels".into(), json!(config.in_channels)),
        ("num_hidden_layers".into(), json!(config.depth())),
        ("patch_size".into(), json!(config.patch_size)),
        ("qkv_bias".into(), json!(true)),
        (
            "torch_dtype".into(),
            json!(match dtype {
                Dtype::F32 => "float32",
                Dtype::F16 => "float16",
                Dtype::BF16 => "bfloat16",
            }),
        ),
    ]);
    if !classes.is_empty() {
        let names = Map::from_iter(classes.clone().map(|i| (i.to_string(), json!(label(i)))));
        let numbers = Map::from_iter(classes.map(|i| (label(i), json!(i))));
        fields.insert("id2label".into(), names.into());
        fields.insert("label2id".into(), numbers.into());
    }
    fields
}

fn to_json(config: &VitConfig) -> String {
    serde_json::to_string(config).expect("a configuration of plain numbers is JSON")
}

fn write_file<Bytes: AsRef<[u8]>>(
    path: &Path,
    parts: impl IntoIterator<Item = Bytes>,
) -> Result<(), CheckpointError> {
    write_whole(path, parts).map_err(|source| CheckpointError::Write { path: path.into(), source })
}
