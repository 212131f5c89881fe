//! The model that a learngene's centroid heads are, as deep as its ancestor.

use burn::tensor::Device;
use learngene_format::Learngene;
use learngene_models::{HostTensor, Model, ModelConfig, StateDict};

use crate::error::ClusteringError;

/// The model of an ancestor of this shape with the learngene's parts: of each layer the centroid
/// heads, and feed-forward networks as groups share them. It has no classifier.
///
/// # Errors
/// When the learngene is not one of an ancestor of this shape.
pub(crate) fn centroid_model(
    learngene: &Learngene,
    ancestor: &ModelConfig,
    device: &Device,
) -> Result<Model, ClusteringError> {
    let config = config(learngene, ancestor);
    Ok(config.load(&state_dict(learngene, &config), device)?)
}

fn config(learngene: &Learngene, ancestor: &ModelConfig) -> ModelConfig {
    let centroids = |layer: usize| learngene.manifest().layers[layer].sizes.len();
    let mut config = ancestor.clone().with_num_classes(0);
    match &mut config {
        ModelConfig::Vit(vit) => vit.num_heads = (0..vit.depth()).map(centroids).collect(),
        ModelConfig::Swin(swin) => {
            let heads = swin.num_heads.iter_mut().flatten();
            heads.enumerate().for_each(|(layer, heads)| *heads = centroids(layer));
        }
    }
    config
}

fn state_dict(learngene: &Learngene, config: &ModelConfig) -> StateDict {
    let values =
        |name: &str| learngene.tensor(name).expect("the format has a layer's tensors").to_f32();
    let shapes = config.parameter_shapes();
    let mut state = StateDict::default();
    let mut put = |name: String, values: Vec<f32>| {
        let shape = shapes.get(&name).expect("a layer has its parameters").clone();
        state.insert(name, HostTensor::new(shape, values));
    };
    for name in learngene.tensors().keys() {
        match *name.splitn(3, '.').collect::<Vec<_>>() {
            ["layers" | "ffn" | "head", ..] => {}
            ["downsample", stage, tensor] => {
                put(format!("layers.{stage}.downsample.{tensor}"), values(name));
            }
            _ => put(name.clone(), values(name)),
        }
    }
    for layer in 0..config.depth() {
        let of_layer = |tensor: &str| values(&format!("layers.{layer}.{tensor}"));
        let block = config.block(layer);
        for kind in ["weight", "bias"] {
            for norm in ["norm1", "norm2"] {
                put(format!("{block}.{norm}.{kind}"), of_layer(&format!("{norm}.{kind}")));
            }
            // `[centroids, head_dim, ..]` of each role, one role after the other.
            let roles = ["q", "k", "v"].map(|role| of_layer(&format!("attn.{role}.{kind}")));
            put(format!("{block}.attn.qkv.{kind}"), roles.concat());
            let group = learngene.manifest().ffn.group_of(layer);
            for fc in ["fc1", "fc2"] {
                let name = format!("ffn.{group}.{fc}.{kind}");
                put(format!("{block}.mlp.{fc}.{kind}"), values(&name));
            }
        }
        let heads = config.layer(layer).heads;
        let columns = of_layer("attn.proj.weight"); // [centroids, embed_dim, head_dim]
        put(
            format!("{block}.attn.proj.weight"),
            side_by_side(&columns, heads.num_heads, heads.head_dim),
        );
        put(format!("{block}.attn.proj.bias"), of_layer("attn.proj.bias"));
        if config.layer(layer).relative_positions.is_some() {
            let positions = of_layer("attn.relative_position"); // [centroids, positions]
            put(
                format!("{block}.attn.relative_position_bias_table"),
                side_by_side(&positions, heads.num_heads, 1),
            );
        }
    }
    state
}

/// `[heads, rows, width]` to `[rows, heads * width]`.
fn side_by_side(values: &[f32], heads: usize, width: usize) -> Vec<f32> {
    let rows = values.len() / (heads * width);
    let row = |row: usize| {
        (0..heads).flat_map(move |head| &values[(head * rows + row) * width..][..width]).copied()
    };
    (0..rows).flat_map(row).collect()
}
