//! The architecture of a checkpoint, from the shapes of its tensors and from what is said
//! beside them.

pub(super) mod swin;
pub(super) mod vit;

use std::{cmp::Reverse, collections::BTreeMap, path::Path};

use super::{CheckpointError, ReadOptions, family::Family, names::Names, told::Told};
use crate::ModelConfig;

/// Shapes by timm's names, those of query, key and value added up as `qkv`.
pub(super) struct Shapes(pub BTreeMap<String, Vec<usize>>);

/// All that is known of a checkpoint but its tensors.
pub(super) struct Context<'a> {
    pub path: &'a Path,
    pub options: &'a ReadOptions,
    pub names: Names,
    /// Its header, or else a config.json beside the file.
    pub told: Option<&'a Told>,
}

impl Shapes {
    /// The length of an axis, where the tensor has as many axes as its role asks for.
    fn axis(&self, name: &str, rank: usize, axis: usize) -> Option<usize> {
        let shape = self.0.get(name).filter(|shape| shape.len() == rank)?;
        Some(shape[axis])
    }

    /// Side of a patch and channels of the images.
    fn patch(&self) -> Option<(usize, usize)> {
        let axis = |axis| self.axis("patch_embed.proj.weight", 4, axis);
        Some((axis(2)?, axis(1)?))
    }

    /// Classes that the classifier of this name tells apart; 0 where there is none.
    fn num_classes(&self, head: &str) -> Option<usize> {
        let [weight, bias] = ["weight", "bias"].map(|leaf| format!("{head}.{leaf}"));
        if !self.0.contains_key(&weight) && !self.0.contains_key(&bias) {
            return Some(0);
        }
        self.axis(&bias, 1, 0).or_else(|| self.axis(&weight, 2, 0))
    }

    /// Width of all heads of a layer together.
    fn attention_dim(&self, block: &str) -> Option<usize> {
        let axis = |name, rank, axis| self.axis(&format!("{block}.attn.{name}"), rank, axis);
        most_common(
            (axis("qkv.weight", 2, 0).map(|rows| rows / 3).into_iter())
                .chain(axis("qkv.bias", 1, 0).map(|rows| rows / 3))
                .chain(axis("proj.weight", 2, 1)),
        )
    }

    /// Hidden width of the feed-forward networks of these layers.
    fn mlp_hidden_dim(&self, blocks: &[String]) -> Option<usize> {
        let axis = |name: &'static str, rank, axis| {
            blocks.iter().filter_map(move |block| self.axis(&format!("{block}.{name}"), rank, axis))
        };
        most_common(axis("mlp.fc1.bias", 1, 0).chain(axis("mlp.fc2.weight", 2, 1)))
    }

    /// Tensors whose number of axes is not what their role asks for.
    pub fn too_flat(&self) -> Vec<String> {
        let wanted = |name: &str| match name {
            "cls_token" | "pos_embed" => 3,
            "patch_embed.proj.weight" => 4,
            name if name.ends_with(".bias") || name.contains("norm") => 1,
            _ => 2,
        };
        (self.0.iter().map(|(name, shape)| (name, shape, wanted(name))))
            .filter(|(_, shape, axes)| shape.len() != *axes)
            .map(|(name, shape, axes)| format!("{name}: found {shape:?}, wanted {axes} axes"))
            .collect()
    }
}

impl Context<'_> {
    /// LayerNorm's epsilon.
    fn eps(&self, default: f64) -> Result<f64, CheckpointError> {
        if let Some(eps) = self.options.layer_norm_eps {
            return Ok(eps);
        }
        let told = self.told.map(Told::eps).transpose()?.flatten();
        Ok(told.unwrap_or(default))
    }

    /// The preset that the caller names, where it is of the family in the file, and what to call
    /// it.
    fn preset<Config>(
        &self,
        of_family: impl Fn(&str) -> Option<Config>,
    ) -> Option<(String, Config)> {
        let name = self.options.arch.as_ref()?;
        Some((format!("--arch {name}"), of_family(name)?))
    }

    /// Refuses a preset of another family.
    pub fn check_preset(&self) -> Result<(), CheckpointError> {
        let Some(name) = &self.options.arch else { return Ok(()) };
        let (told, found) = (Family::of(&preset(name)?), self.names.family);
        if told == found {
            return Ok(());
        }
        let (path, name) = (self.path.into(), name.clone());
        Err(CheckpointError::ArchFamily { path, name, told: told.name(), found: found.name() })
    }

    /// Checks what is said of the channels and classes.
    fn agree_on_ends(&self, told: &Told, config: &ModelConfig) -> Result<(), CheckpointError> {
        self.agree(told, &["in_channels", "num_channels"], config.in_channels())?;
        self.agree(told, &["patch_size"], config.patch_size())?;
        // A backbone's configuration may still count the classes of the model it was taken from.
        if config.num_classes() > 0 {
            self.agree(told, &["num_classes"], config.num_classes())?;
            if let Some(labels) = told.num_labels() {
                self.same(&told.by, "id2label", labels, config.num_classes())?;
            }
        }
        Ok(())
    }

    /// Checks the first of these fields that a configuration has.
    fn agree(&self, told: &Told, fields: &[&str], found: usize) -> Result<(), CheckpointError> {
        for field in fields {
            if let Some(size) = told.size(field)? {
                return self.same(&told.by, *field, size, found);
            }
        }
        Ok(())
    }

    fn same(
        &self,
        by: &str,
        field: impl Into<String>,
        told: usize,
        found: usize,
    ) -> Result<(), CheckpointError> {
        if told == found {
            return Ok(());
        }
        let (path, told_by, field) = (self.path.into(), by.into(), field.into());
        Err(CheckpointError::Contradiction { path, told_by, field, told, found })
    }
}

/// The preset of that name, of any family.
pub(super) fn preset(name: &str) -> Result<ModelConfig, CheckpointError> {
    ModelConfig::preset(name).ok_or_else(|| CheckpointError::UnknownArch { name: name.into() })
}

/// The most common value; of equally common ones the least.
fn most_common(values: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0usize) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(value, count)| (*count, Reverse(*value)))
        .map(|(value, _)| value)
}
