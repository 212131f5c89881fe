//! transformers' configurations, as `config.json` beside a checkpoint holds them.

use learngene_shape::{Shape, Swin, Vit};
use learngene_tensors::{Dtype, Error, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    Preprocessing,
    shape::SWIN_LAYER_NORM_EPS,
    unsupported::{mlp_ratio, unsupported_reason},
};

/// The fields of transformers' configuration that bear on the model. Classes without names are
/// called as transformers calls them.
///
/// # Errors
/// Says why transformers has no such model.
pub(crate) fn fields(
    shape: &Shape,
    dtype: Dtype,
    label_names: &[String],
) -> Result<Map<String, Value>> {
    let (kind, of_family) = match (shape.get::<Vit>(), shape.get::<Swin>()) {
        (Some(vit), _) => ("ViT", of_vit(shape, vit)),
        (_, Some(swin)) => ("Swin", of_swin(shape, swin)),
        _ => ("model", Err(format!("the family {}", shape.family()))),
    };
    let of_family = unsupported_reason(shape).map_or(of_family, Err).map_err(|reason| {
        let expected = "what it can express; write this model in timm's names (--format timm), which \
                        python/learngene_timm.py of this project runs with PyTorch and timm";
        Error::invalid(format!("Hugging Face's {kind}"), reason, expected)
    })?;
    let image = shape.image();
    let classes = 0..shape.num_classes();
    let task = if classes.is_empty() { "Model" } else { "ForImageClassification" };
    let mut fields = Map::from_iter([
        ("architectures".into(), json!([format!("{kind}{task}")])),
        ("attention_probs_dropout_prob".into(), json!(0.0)),
        ("hidden_act".into(), json!("gelu")),
        ("hidden_dropout_prob".into(), json!(0.0)),
        ("hidden_size".into(), json!(shape.num_features())),
        ("image_size".into(), json!(image.size)),
        ("initializer_range".into(), json!(0.02)),
        ("model_type".into(), json!(shape.family())),
        ("num_channels".into(), json!(image.channels)),
        ("patch_size".into(), json!(image.patch_size)),
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
pub(crate) struct ImageProcessor<'a> {
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
pub(crate) fn image_processor(
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

type Fields = Vec<(&'static str, Value)>;

fn of_vit(shape: &Shape, vit: &Vit) -> Result<Fields, String> {
    Ok(vec![
        ("intermediate_size", json!(vit.hidden_dim[0])),
        ("layer_norm_eps", json!(vit.layer_norm_eps)),
        ("num_attention_heads", json!(vit.num_heads[0])),
        ("num_hidden_layers", json!(shape.depth())),
    ])
}

fn of_swin(shape: &Shape, swin: &Swin) -> Result<Fields, String> {
    // transformers builds the norms of patches and of merged tokens without the configuration's.
    if swin.layer_norm_eps != SWIN_LAYER_NORM_EPS {
        let eps = swin.layer_norm_eps;
        return Err(format!("a layer_norm_eps of {eps:e} in place of {SWIN_LAYER_NORM_EPS:e}"));
    }
    // Its tables are for windows of `window_size` in every stage.
    let stages = swin.depths.len();
    if let Some(stage) = (0..stages).find(|stage| swin.window(*stage) < swin.window_size) {
        let (side, window) = (swin.window(stage), swin.window_size);
        return Err(format!(
            "stage {stage} of {side} tokens a side, less than its windows of {window}"
        ));
    }
    let heads: Vec<usize> =
        shape.stages().iter().map(|layers| swin.num_heads[layers.start]).collect();
    Ok(vec![
        ("depths", json!(swin.depths)),
        ("drop_path_rate", json!(0.1)),
        ("embed_dim", json!(swin.embed_dim)),
        ("encoder_stride", json!(shape.layer(shape.depth() - 1).field.token_pixels)),
        ("layer_norm_eps", json!(swin.layer_norm_eps)),
        ("mlp_ratio", json!(mlp_ratio(shape))),
        ("num_heads", json!(heads)),
        ("num_layers", json!(stages)),
        ("use_absolute_embeddings", json!(false)),
        ("window_size", json!(swin.window_size)),
    ])
}

fn torch_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::BF16 => "bfloat16",
    }
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
