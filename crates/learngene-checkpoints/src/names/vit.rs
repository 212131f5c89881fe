//! Names of a ViT.

use super::{layer_modules, numbered, renamed};

/// timm's name of a module and Hugging Face's, the latter below `vit.`.
const MODULES: [(&str, &str); 4] = [
    ("cls_token", "embeddings.cls_token"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("norm", "layernorm"),
];

/// Hugging Face's modules in place of one of timm's.
pub(super) fn hugging_face(module: &str) -> Vec<String> {
    let Some((layer, module)) = numbered(module, "blocks.") else {
        return vec![renamed(&MODULES, module).into()];
    };
    let modules = layer_modules(module, "attention.attention").into_iter();
    modules.map(|module| format!("encoder.layer.{layer}.{module}")).collect()
}

/// The layer that a name belongs to, in any dialect; Hugging Face's without prefix.
pub(super) fn layer(name: &str) -> Option<usize> {
    let layers = name.strip_prefix("encoder.layer.");
    let in_layer = layers.or_else(|| name.strip_prefix("blocks."))?;
    in_layer.split_once('.')?.0.parse().ok()
}
