//! transformers' configurations, as `config.json` beside a checkpoint holds them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    CheckpointError, Dtype, Preprocessing,
    family::Family,
    infer::swin::DEFAULT_EPS,
    stock::{mlp_ratio, obstacle},
};
use crate::{ModelConfig, SwinConfig, VitConfig};

/// The fields of transformers' configuration that bear on the model. Classes without names are
/// called as transformers calls them.
///
/// # Errors
/// Says why transformers has no such model.
pub(super) fn fields(
    config: &ModelConfig,
    dtype: Dtype,
    label_names: &[String],
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
        let label = |class: usize| match label_names.get(class) {
            Some(name) => name.clone(),
            None => format!("LABEL_{class}"),
        };
        let names = Map::from_iter(classes.clone().map(|i| (i.to_string(), json!(label(i)))));
        let numbers = Map::from_iter(classes.map(|i| (label(i), json!(i))));
        fields.insert("id2label".into(), names.into());
        fields.insert("label2id".into(), numbers.into());
    }
    fields.extend(of_family.into_iter().map(|(field, value)| (field.into(), value)));
    Ok(fields)
}

/// The fields of transformers' image processors, as preprocessor_config.json holds them.
#[derive(Serialize)]
pub(super) struct ImageProcessor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    crop_pct: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crop_size: Option<Size>,
    do_center_crop: bool,
    do_normalize: bool,
    do_rescale: bool,
    do_resize: bool,
    image_mean: &'a [f32; 3],
    image_processor_type: &'static str,
    image_std: &'a [f32; 3],
    resample: u8,
    rescale_factor: f64,
    size: Size,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Size {
    Whole { height: usize, width: usize },
    ShortSide { shortest_edge: usize },
}

/// The image processor that prepares images as the model expects them.
///
/// That of ViT squeezes an image into a square. The one that enlarges the short side and crops the
/// centre, as timm does by `crop_pct`, is named after BiT there, and DINOv2's ViTs have it too;
/// `crop_pct` itself stands there for this crate to read. An image that has the wanted size already is
/// enlarged and cropped too, as timm does it, where this project's own loader leaves it as it is.
pub(super) fn image_processor(
    preprocessing: &Preprocessing,
    image_size: usize,
) -> ImageProcessor<'_> {
    /// Pillow's number for bicubic.
    const BICUBIC: u8 = 3;
    let Preprocessing { mean, std, crop_pct } = preprocessing;
    let whole = || Size::Whole { height: image_size, width: image_size };
    ImageProcessor {
        crop_pct: *crop_pct,
        crop_size: crop_pct.map(|_| whole()),
        do_center_crop: crop_pct.is_some(),
        do_normalize: true,
        do_rescale: true,
        do_resize: true,
        image_mean: mean,
        image_processor_type: match crop_pct {
            Some(_) => "BitImageProcessor",
            None => "ViTImageProcessor",
        },
        image_std: std,
        resample: BICUBIC,
        rescale_factor: 1.0 / 255.0,
        size: match crop_pct {
            Some(crop_pct) => {
                Size::ShortSide { shortest_edge: shortest_edge(image_size, *crop_pct) }
            }
            None => whole(),
        },
    }
}

/// `floor(image_size / crop_pct)`, of the share as it is written, which timm holds in f64: the f32
/// nearest to 0.8 is a little more.
fn shortest_edge(image_size: usize, crop_pct: f32) -> usize {
    let crop_pct: f64 = crop_pct.to_string().parse().expect("numbers are written as such");
    (image_size as f64 / crop_pct).floor() as usize
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_edge_is_timms() {
        for (image_size, crop_pct, want) in
            [(224, 0.8, 280), (272, 0.85, 320), (240, 0.6, 400), (224, 0.9, 248), (224, 0.875, 256)]
        {
            assert_eq!(shortest_edge(image_size, crop_pct), want, "{image_size} / {crop_pct}");
        }
    }
}
