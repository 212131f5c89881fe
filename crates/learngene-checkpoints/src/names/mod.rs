//! How each dialect names the parameters of each family.

mod swin;
mod vit;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::Range, path::Path};

use super::{CheckpointError, Dialect, family::Family};
use crate::{Head, HeadLayout, ModelConfig, Projection};

/// timm's modules inside a layer of any family and Hugging Face's, but for query, key and value.
const LAYER_MODULES: [(&str, &str); 6] = [
    ("norm1", "layernorm_before"),
    ("attn.proj", "attention.output.dense"),
    ("attn.relative_position_bias_table", "attention.self.relative_position_bias_table"),
    ("norm2", "layernorm_after"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
];

/// Most stages that a Swin may have, far above any published model: widths double from each to the
/// next, and must stay numbers.
const MAX_STAGES: usize = 16;

/// Spelling of the names in one file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Names {
    pub family: Family,
    pub dialect: Dialect,
    /// Whether Hugging Face's names carry the family's prefix.
    prefixed: bool,
}

/// A tensor of a file that holds some rows (of the first axis) of a parameter.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub name: String,
    pub rows: Range<usize>,
}

/// Where in the model a name of a file belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// Stage, as timm counts; a ViT is one stage.
    stage: usize,
    /// Layer inside the stage, where the name is of one.
    block: Option<usize>,
}

impl Names {
    /// The spelling in which a model is written.
    pub fn written(dialect: Dialect, config: &ModelConfig) -> Self {
        // transformers saves a ViTForImageClassification with the prefix, a ViTModel without.
        let prefixed = dialect == Dialect::HuggingFace && config.num_classes() > 0;
        Self { family: Family::of(config), dialect, prefixed }
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
        let names = |family: Family, dialect| {
            let starts =
                ["embeddings.", "encoder."].map(|part| format!("{}{part}", prefix(family)));
            Self { family, dialect, prefixed: any(&[&starts[0], &starts[1]]) }
        };
        if swin::is_one(keys.clone()) {
            Ok(names(Family::Swin, swin::dialect(keys.clone())))
        } else if any(&["blocks.", "patch_embed.", "pos_embed"]) {
            Ok(names(Family::Vit, Dialect::Timm))
        } else if any(&["vit.embeddings.", "vit.encoder."])
            || any(&["embeddings.patch_embeddings.", "encoder.layer."])
        {
            Ok(names(Family::Vit, Dialect::HuggingFace))
        } else {
            let keys = keys.take(5).map(String::from).collect();
            Err(CheckpointError::Unrecognised { path: path.into(), keys })
        }
    }

    /// Names under which the file holds a parameter of timm's name: one, or those of query, key
    /// and value where timm fuses them.
    pub fn stored(self, timm: &str) -> Vec<String> {
        let (module, leaf) = match timm.rsplit_once('.') {
            Some((module, leaf @ ("weight" | "bias"))) => (module, format!(".{leaf}")),
            _ => (timm, String::new()),
        };
        let modules = match (self.dialect, self.family) {
            (Dialect::Timm, _) | (Dialect::Official, Family::Vit) => vec![module.into()],
            (Dialect::Official, Family::Swin) => vec![swin::official(module)],
            (Dialect::HuggingFace, family) if module == head(family) => vec!["classifier".into()],
            (Dialect::HuggingFace, family) => {
                let prefix = if self.prefixed { prefix(family) } else { "" };
                let modules = match family {
                    Family::Vit => vit::hugging_face(module),
                    Family::Swin => swin::hugging_face(module),
                };
                modules.into_iter().map(|module| format!("{prefix}{module}")).collect()
            }
        };
        modules.into_iter().map(|module| format!("{module}{leaf}")).collect()
    }

    /// Which of a parameter's rows each tensor of the file holds, in the order of the rows.
    pub fn parts(self, timm: &str, num_rows: usize) -> Vec<Part> {
        let mut stored = self.stored(timm);
        if stored.len() == 1 {
            return vec![Part { name: stored.remove(0), rows: 0..num_rows }];
        }
        // All heads of a projection lie side by side, as one head of their width would.
        let all = HeadLayout { num_heads: 1, head_dim: num_rows / Projection::ALL.len() };
        let rows = Projection::ALL.map(|projection| all.rows(projection, Head(0)));
        stored.into_iter().zip(rows).map(|(name, rows)| Part { name, rows }).collect()
    }

    /// Names and shapes that the file of a model has.
    pub fn stored_shapes(self, config: &ModelConfig) -> BTreeMap<String, Vec<usize>> {
        let mut stored = BTreeMap::new();
        for (timm, shape) in config.parameter_shapes() {
            for part in self.parts(&timm, shape[0]) {
                let mut shape = shape.clone();
                shape[0] = part.rows.len();
                stored.insert(part.name, shape);
            }
        }
        stored
    }

    /// Layers of each stage of a file with so many tensors: one more than the highest index, so
    /// that the names of lost layers are reported, unless an index is beyond what such a file can
    /// have; at least one.
    pub fn depths<'a>(self, keys: impl ExactSizeIterator<Item = &'a str>) -> Vec<usize> {
        let most_layers = keys.len();
        let mut depths = vec![1];
        for Place { stage, block } in keys.filter_map(|key| self.place(key)) {
            let layers = block.map_or(1, |block| block.saturating_add(1));
            if stage < MAX_STAGES && layers <= most_layers {
                depths.resize(depths.len().max(stage + 1), 1);
                depths[stage] = depths[stage].max(layers);
            }
        }
        depths
    }

    fn place(self, stored: &str) -> Option<Place> {
        let name = if self.prefixed { stored.strip_prefix(prefix(self.family))? } else { stored };
        match self.family {
            Family::Vit => vit::layer(name).map(|layer| Place { stage: 0, block: Some(layer) }),
            Family::Swin => swin::place(name, self.dialect),
        }
    }

    /// Whether a name of the file belongs to the classifier.
    pub fn is_classifier(self, stored: &str) -> bool {
        let leaf =
            |name: String| stored.strip_prefix(&name).is_some_and(|leaf| leaf.starts_with('.'));
        self.stored(head(self.family)).into_iter().any(leaf)
    }

    /// Whether image classification has no use for a tensor of the file: Hugging Face's pooler, a
    /// layer on top of the features, and the token that stood for masked patches in pretraining.
    pub fn is_left_out(self, stored: &str) -> bool {
        let name = stored.strip_prefix(prefix(self.family)).unwrap_or(stored);
        match self.dialect {
            Dialect::HuggingFace => name.starts_with("pooler.") || name == "embeddings.mask_token",
            Dialect::Timm | Dialect::Official => name == "mask_token",
        }
    }

    /// Whether a name of the file is that of a buffer, which follows from the shape of a model.
    pub fn is_buffer(self, stored: &str) -> bool {
        self.family == Family::Swin && swin::is_buffer(stored)
    }

    /// The stage whose mask of shifted windows a name of the file is.
    pub fn stage_of_mask(self, stored: &str) -> Option<usize> {
        swin::stage_of_mask(stored).filter(|_| self.family == Family::Swin)
    }
}

/// Hugging Face's prefix of all names but the classifier's, in models that have a classifier.
fn prefix(family: Family) -> &'static str {
    match family {
        Family::Vit => "vit.",
        Family::Swin => "swin.",
    }
}

/// timm's classifier.
fn head(family: Family) -> &'static str {
    match family {
        Family::Vit => "head",
        Family::Swin => "head.fc",
    }
}

/// The model whose checkpoints have such a parameter, where it is none that this crate reads.
fn other_family(key: &str) -> Option<&'static str> {
    let distilled = ["dist_token", "head_dist.", "distillation_classifier."];
    if distilled.iter().any(|start| key.starts_with(start)) || key.ends_with(".distillation_token")
    {
        Some("distilled DeiT")
    } else if ["attn.cpb_mlp.", "continuous_position_bias_mlp."].iter().any(|v2| key.contains(v2)) {
        Some("Swin V2")
    } else {
        None
    }
}

/// Hugging Face's modules in place of one of timm's inside a layer; query, key and value lie apart
/// below `attention`.
fn layer_modules(module: &str, attention: &str) -> Vec<String> {
    match module {
        "attn.qkv" => ["query", "key", "value"].map(|role| format!("{attention}.{role}")).into(),
        module => vec![renamed(&LAYER_MODULES, module).into()],
    }
}

/// `blocks.3.norm1` to `(3, "norm1")`.
fn numbered<'a>(name: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (index, module) = name.strip_prefix(list)?.split_once('.')?;
    Some((index.parse().ok()?, module))
}

fn renamed<'a>(table: &[(&str, &'a str)], module: &'a str) -> &'a str {
    table.iter().find(|(timm, _)| *timm == module).map_or(module, |(_, other)| other)
}
