//! transformers' configurations, as `config.json` beside a checkpoint holds them.

use serde_json::{Map, Value, json};

use super::{
    CheckpointError, Dtype,
    family::Family,
    infer::swin::DEFAULT_EPS,
    stock::{mlp_ratio, obstacle},
};
use crate::{ModelConfig, SwinConfig, VitConfig};

/// The fields of transformers' configuration that bear on the model.
///
/// # Errors
/// Says why transformers has no such model.
pub(super) fn fields(
    config: &ModelConfig,
    dtype: Dtype,
) -> Result<Map<String, Value>, CheckpointError> {
    if let Some(reason) = obstacle(config) {
        return Err(refused(config, reason));
    }
    let (of_family, kind) = match config {
        ModelConfig::Vit(vit) => (of_vit(vit), "ViT"),
        ModelConfig::Swin(swin) => {
            (of_swin(swin).map_err(|reason| refused(config, reason))?, "Swin")
        }
    };
    let classes = 0..config.num_classes();
    let task = if classes.is_empty() { "Model" } else { "ForImageClassification" };
    let mut fields = Map::from_iter([
        ("architectures".into(), json!([format!("{kind}{task}")])),
        ("attention_probs_dropout_prob".into(), json!(0.0)),
        ("hidden_act".into(), json!("gelu")),
        ("hidden_dropout_prob".into(), json!(0.0)),
        ("hidden_size".into(), json!(config.num_features())),
        ("image_size".into(), json!(config.image_size())),
        ("initializer_range".into(), json!(0.02)),
        ("layer_norm_eps".into(), json!(config.layer_norm_eps())),
        ("model_type".into(), json!(config.family())),
        ("num_channels".into(), json!(config.in_channels())),
        ("patch_size".into(), json!(config.patch_size())),
        ("qkv_bias".into(), json!(true)),
        ("torch_dtype".into(), json!(torch_name(dtype))),
    ]);
    if !classes.is_empty() {
        let label = |class: usize| format!("LABEL_{class}");
        let names = Map::from_iter(classes.clone().map(|i| (i.to_string(), json!(label(i)))));
        let numbers = Map::from_iter(classes.map(|i| (label(i), json!(i))));
        fields.insert("id2label".into(), names.into());
        fields.insert("label2id".into(), numbers.into());
    }
    fields.extend(of_family.into_iter().map(|(field, value)| (field.into(), value)));
    Ok(fields)
}

fn of_vit(config: &VitConfig) -> Vec<(&'static str, Value)> {
    vec![
        ("intermediate_size", json!(config.mlp_hidden_dim)),
        ("num_attention_heads", json!(config.num_heads[0])),
        ("num_hidden_layers", json!(config.depth())),
    ]
}

fn of_swin(config: &SwinConfig) -> Result<Vec<(&'static str, Value)>, String> {
    // transformers builds the norms of patches and of merged tokens without the configuration's.
    if config.layer_norm_eps != DEFAULT_EPS {
        let eps = config.layer_norm_eps;
        return Err(format!(
            "its layer_norm_eps is {eps:e}, where transformers has {DEFAULT_EPS:e}"
        ));
    }
    // Its tables are for windows of `window_size` in every stage.
    let is_smaller = |stage: &usize| config.window(*stage) < config.window_size;
    if let Some(stage) = (0..config.num_stages()).find(is_smaller) {
        let (side, window) = (config.window(stage), config.window_size);
        return Err(format!(
            "stage {stage} is {side} tokens a side, less than its windows of {window}"
        ));
    }
    let heads = config.num_heads.iter().map(|blocks| blocks[0]).collect::<Vec<_>>();
    Ok(vec![
        ("depths", json!(config.depths())),
        ("drop_path_rate", json!(0.1)),
        ("embed_dim", json!(config.embed_dim)),
        ("encoder_stride", json!(config.token_pixels(config.num_stages() - 1))),
        ("mlp_ratio", json!(mlp_ratio(config).expect("an obstacle without it"))),
        ("num_heads", json!(heads)),
        ("num_layers", json!(config.num_stages())),
        ("use_absolute_embeddings", json!(false)),
        ("window_size", json!(config.window_size)),
    ])
}

fn torch_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::BF16 => "bfloat16",
    }
}

fn refused(config: &ModelConfig, reason: String) -> CheckpointError {
    CheckpointError::HuggingFace { family: Family::of(config).name(), reason }
}
