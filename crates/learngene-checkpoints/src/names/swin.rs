//! Names of a Swin.

use super::{Dialect, Place, layer_modules, numbered, renamed};

/// timm's name of a module and Hugging Face's, the latter below `swin.`.
const MODULES: [(&str, &str); 3] = [
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("patch_embed.norm", "embeddings.norm"),
    ("norm", "layernorm"),
];

/// Buffers that releases of all dialects keep beside their parameters; they follow from the shape.
const BUFFERS: [&str; 2] = [".relative_position_index", ".attn_mask"];

/// The module of Swin's repository, and of timm before 0.9, in place of one of timm's: tokens are
/// merged at the end of a stage, not at the start of the next.
pub(super) fn official(module: &str) -> String {
    match numbered(module, "layers.") {
        Some((stage, module)) if module.starts_with("downsample.") => {
            format!("layers.{}.{module}", stage - 1)
        }
        None if module == "head.fc" => "head".into(),
        _ => module.into(),
    }
}

/// Hugging Face's modules in place of one of timm's.
pub(super) fn hugging_face(module: &str) -> Vec<String> {
    let Some((stage, module)) = numbered(module, "layers.") else {
        return vec![renamed(&MODULES, module).into()];
    };
    match numbered(module, "blocks.") {
        Some((block, module)) => (layer_modules(module, "attention.self").into_iter())
            .map(|module| format!("encoder.layers.{stage}.blocks.{block}.{module}"))
            .collect(),
        // As in Swin's repository, at the end of the stage before.
        None => vec![format!("encoder.layers.{}.{module}", stage - 1)],
    }
}

/// Where in the model a name belongs; Hugging Face's without prefix.
pub(super) fn place(name: &str, dialect: Dialect) -> Option<Place> {
    let name = name.strip_prefix("encoder.").unwrap_or(name);
    let (stage, module) = numbered(name, "layers.")?;
    match numbered(module, "blocks.") {
        Some((block, _)) => Some(Place { stage, block: Some(block) }),
        None if module.starts_with("downsample.") => {
            let is_of_next = usize::from(dialect != Dialect::Timm);
            Some(Place { stage: stage.saturating_add(is_of_next), block: None })
        }
        None => None,
    }
}

/// Whether names are those of a Swin, by what no ViT has.
pub(super) fn is_one<'a>(mut keys: impl Iterator<Item = &'a str>) -> bool {
    keys.any(|key| {
        let name = key.strip_prefix("swin.").unwrap_or(key);
        name.starts_with("patch_embed.norm.")
            || name.starts_with("embeddings.norm.")
            || place(name, Dialect::Timm).is_some()
    })
}

/// The dialect of a Swin's names.
pub(super) fn dialect<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> Dialect {
    let any = |test: fn(&str) -> bool| keys.clone().any(test);
    if any(|key| ["swin.", "encoder.", "embeddings."].iter().any(|start| key.starts_with(start))) {
        Dialect::HuggingFace
    } else if any(|key| {
        key.starts_with("layers.0.downsample.") || ["head.weight", "head.bias"].contains(&key)
    }) {
        Dialect::Official
    } else {
        Dialect::Timm
    }
}

/// Whether a name is that of a buffer.
pub(super) fn is_buffer(stored: &str) -> bool {
    BUFFERS.iter().any(|buffer| stored.ends_with(buffer))
}

/// The stage whose mask of shifted windows a name is, in timm's and the official names.
pub(super) fn stage_of_mask(stored: &str) -> Option<usize> {
    let (stage, _) = numbered(stored.strip_suffix(".attn_mask")?, "layers.")?;
    Some(stage)
}
