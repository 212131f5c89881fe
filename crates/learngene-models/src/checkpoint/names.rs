//! How timm and Hugging Face name the same parameters.

use std::{collections::BTreeMap, ops::Range, path::Path};

use super::{CheckpointError, Dialect};
use crate::{Head, Projection, VitConfig};

/// timm's name of a module and Hugging Face's, the latter below its `vit.`.
const MODULES: [(&str, &str); 4] = [
    ("cls_token", "embeddings.cls_token"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("norm", "layernorm"),
];

/// The same inside a layer, below `blocks.{layer}.` and `encoder.layer.{layer}.`.
const LAYER_MODULES: [(&str, &str); 5] = [
    ("norm1", "layernorm_before"),
    ("attn.proj", "attention.output.dense"),
    ("norm2", "layernorm_after"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
];

/// Hugging Face's prefix of all names but the classifier's, in models that have a classifier.
const VIT: &str = "vit.";

/// Spelling of the names in one file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Names {
    pub dialect: Dialect,
    /// Whether Hugging Face's names carry `vit.`.
    prefixed: bool,
}

/// A tensor of a file that holds some rows (of the first axis) of a parameter.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub name: String,
    pub rows: Range<usize>,
}

impl Names {
    /// The spelling in which a model is written.
    pub fn written(dialect: Dialect, config: &VitConfig) -> Self {
        // transformers saves a ViTForImageClassification with the prefix, a ViTModel without.
        Self { dialect, prefixed: config.num_classes > 0 }
    }

    /// Recognises the spelling by the names alone.
    pub fn recognise<'a>(
        path: &Path,
        keys: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, CheckpointError> {
        if let Some((family, key)) = keys.clone().find_map(|key| Some((other_family(key)?, key))) {
            return Err(CheckpointError::Family { path: path.into(), family, key: key.into() });
        }
        let any =
            |starts: &[&str]| keys.clone().any(|key| starts.iter().any(|s| key.starts_with(s)));
        let timm = any(&["blocks.", "patch_embed.", "pos_embed"]);
        let prefixed = any(&["vit.embeddings.", "vit.encoder."]);
        if timm {
            Ok(Self { dialect: Dialect::Timm, prefixed: false })
        } else if prefixed || any(&["embeddings.patch_embeddings.", "encoder.layer."]) {
            Ok(Self { dialect: Dialect::HuggingFace, prefixed })
        } else {
            let keys = keys.take(5).map(String::from).collect();
            Err(CheckpointError::Unrecognised { path: path.into(), keys })
        }
    }

    /// Names under which the file holds a parameter of timm's name: one, or those of query, key
    /// and value where timm fuses them.
    pub fn stored(self, timm: &str) -> Vec<String> {
        if self.dialect == Dialect::Timm {
            return vec![timm.into()];
        }
        let (module, leaf) = match timm.rsplit_once('.') {
            Some((module, leaf @ ("weight" | "bias"))) => (module, format!(".{leaf}")),
            _ => (timm, String::new()),
        };
        if module == "head" {
            return vec![format!("classifier{leaf}")];
        }
        let prefix = if self.prefixed { VIT } else { "" };
        let Some((layer, module)) = split_layer(module, "blocks.") else {
            return vec![format!("{prefix}{}{leaf}", renamed(&MODULES, module))];
        };
        let layer = format!("{prefix}encoder.layer.{layer}");
        if module == "attn.qkv" {
            return ["query", "key", "value"]
                .map(|name| format!("{layer}.attention.attention.{name}{leaf}"))
                .into();
        }
        vec![format!("{layer}.{}{leaf}", renamed(&LAYER_MODULES, module))]
    }

    /// Which rows of a parameter each tensor of the file holds, in the order of the rows.
    pub fn parts(self, timm: &str, shape: &[usize], config: &VitConfig) -> Vec<Part> {
        let mut stored = self.stored(timm);
        if stored.len() == 1 {
            return vec![Part { name: stored.remove(0), rows: 0..shape[0] }];
        }
        let (layer, _) = split_layer(timm, "blocks.").expect("only layers have fused weights");
        let layout = config.head_layout(layer);
        let last = Head(layout.num_heads - 1);
        let rows = Projection::ALL.map(|projection| {
            layout.rows(projection, Head(0)).start..layout.rows(projection, last).end
        });
        stored.into_iter().zip(rows).map(|(name, rows)| Part { name, rows }).collect()
    }

    /// Names and shapes that the file of a model has.
    pub fn stored_shapes(self, config: &VitConfig) -> BTreeMap<String, Vec<usize>> {
        let mut stored = BTreeMap::new();
        for (timm, shape) in config.parameter_shapes() {
            for part in self.parts(&timm, &shape, config) {
                let mut shape = shape.clone();
                shape[0] = part.rows.len();
                stored.insert(part.name, shape);
            }
        }
        stored
    }

    /// The layer that a name of the file belongs to.
    pub fn layer(self, stored: &str) -> Option<usize> {
        let name = if self.prefixed { stored.strip_prefix(VIT)? } else { stored };
        let list = match self.dialect {
            Dialect::Timm => "blocks.",
            Dialect::HuggingFace => "encoder.layer.",
        };
        split_layer(name, list).map(|(layer, _)| layer)
    }

    /// Whether a name of the file belongs to the classifier.
    pub fn is_classifier(self, stored: &str) -> bool {
        let classifier = match self.dialect {
            Dialect::Timm => "head.",
            Dialect::HuggingFace => "classifier.",
        };
        stored.starts_with(classifier)
    }

    /// Whether a name of the file belongs to Hugging Face's pooler: a layer on top of the class
    /// token that image classification does not use.
    pub fn is_pooler(self, stored: &str) -> bool {
        let name = stored.strip_prefix(VIT).unwrap_or(stored);
        self.dialect == Dialect::HuggingFace && name.starts_with("pooler.dense.")
    }
}

/// The model whose checkpoints have such a parameter, where it is none that this crate reads.
fn other_family(key: &str) -> Option<&'static str> {
    let distilled = ["dist_token", "head_dist.", "distillation_classifier."];
    if key.contains("relative_position_bias_table") || key.contains("layers.0.blocks.") {
        Some("Swin")
    } else if distilled.iter().any(|start| key.starts_with(start))
        || key.ends_with(".distillation_token")
    {
        Some("distilled DeiT")
    } else {
        None
    }
}

/// `blocks.3.norm1` to `(3, "norm1")`.
fn split_layer<'a>(name: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (layer, module) = name.strip_prefix(list)?.split_once('.')?;
    Some((layer.parse().ok()?, module))
}

fn renamed<'a>(table: &[(&str, &'a str)], module: &'a str) -> &'a str {
    table.iter().find(|(timm, _)| *timm == module).map_or(module, |(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(timm: &str, want: &[&str]) {
        let names = Names { dialect: Dialect::HuggingFace, prefixed: true };
        assert_eq!(names.stored(timm), want);
    }

    #[test]
    fn names_follow_transformers() {
        check("cls_token", &["vit.embeddings.cls_token"]);
        check("patch_embed.proj.bias", &["vit.embeddings.patch_embeddings.projection.bias"]);
        check("norm.weight", &["vit.layernorm.weight"]);
        check("head.weight", &["classifier.weight"]);
        check("blocks.10.mlp.fc2.bias", &["vit.encoder.layer.10.output.dense.bias"]);
        check(
            "blocks.0.attn.qkv.weight",
            &[
                "vit.encoder.layer.0.attention.attention.query.weight",
                "vit.encoder.layer.0.attention.attention.key.weight",
                "vit.encoder.layer.0.attention.attention.value.weight",
            ],
        );
    }

    #[test]
    fn query_key_and_value_split_the_rows_by_role() {
        let config = VitConfig::uniform(48, 1, 3);
        let names = Names::written(Dialect::HuggingFace, &config);
        let parts = names.parts("blocks.0.attn.qkv.bias", &[144], &config);
        let rows: Vec<_> = parts.into_iter().map(|part| part.rows).collect();
        assert_eq!(rows, [0..48, 48..96, 96..144]);
    }
}
