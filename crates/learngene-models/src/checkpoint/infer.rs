//! The architecture of a checkpoint, from the shapes of its tensors and from what is said
//! beside them.

use std::{cmp::Reverse, collections::BTreeMap, path::Path};

use super::{CheckpointError, ReadOptions, told::Told};
use crate::VitConfig;

/// Heads of the ViTs of the papers by their embed_dim: ViT (<https://arxiv.org/abs/2010.11929>,
/// Table 1) and DeiT (<https://arxiv.org/abs/2012.12877>, Table 1). All but ViT-H have a head_dim
/// of 64; wider ones do not follow a rule.
const PUBLISHED_HEADS: [(usize, usize); 5] =
    [(192, 3), (384, 6), (768, 12), (1024, 16), (1280, 16)];

/// LayerNorm's epsilon where nothing tells it: that of timm's ViT and DeiT.
const DEFAULT_EPS: f64 = 1e-6;

/// The sizes that tensor shapes tell.
#[derive(Debug, PartialEq)]
pub(super) struct Measured {
    pub embed_dim: usize,
    pub patch_size: usize,
    pub in_channels: usize,
    /// Positions of the class token and the patches.
    pub positions: usize,
    pub mlp_hidden_dim: usize,
    pub num_classes: usize,
    /// Width of all heads of each layer together.
    pub attention_dims: Vec<usize>,
}

/// Shapes by timm's names, those of query, key and value added up as `qkv`.
pub(super) struct Shapes(pub BTreeMap<String, Vec<usize>>);

impl Shapes {
    /// Reads off the sizes. Where several tensors tell the same size, the most common value
    /// counts, so that a single tensor of a wrong shape is recognised as the one at fault.
    ///
    /// # Errors
    /// Lists tensors that have too few axes to tell anything. Tensors that are not there are
    /// left to the caller.
    pub fn measure(&self, depth: usize) -> Result<Measured, Vec<String>> {
        let layers = |name: &'static str, rank, axis| {
            (0..depth)
                .filter_map(move |layer| self.axis(&format!("blocks.{layer}.{name}"), rank, axis))
        };
        let embed_dim = most_common(
            (self.axis("cls_token", 3, 2).into_iter())
                .chain(self.axis("pos_embed", 3, 2))
                .chain(self.axis("norm.weight", 1, 0))
                .chain(layers("norm1.weight", 1, 0)),
        );
        let mlp_hidden_dim =
            most_common(layers("mlp.fc1.bias", 1, 0).chain(layers("mlp.fc2.weight", 2, 1)));
        let attention_dims = (0..depth).map(|layer| {
            let axis =
                |name, rank, axis| self.axis(&format!("blocks.{layer}.attn.{name}"), rank, axis);
            most_common(
                (axis("qkv.weight", 2, 0).map(|rows| rows / 3).into_iter())
                    .chain(axis("qkv.bias", 1, 0).map(|rows| rows / 3))
                    .chain(axis("proj.weight", 2, 1)),
            )
        });
        let has_classifier = self.0.contains_key("head.weight") || self.0.contains_key("head.bias");
        let num_classes = if has_classifier {
            self.axis("head.bias", 1, 0).or_else(|| self.axis("head.weight", 2, 0))
        } else {
            Some(0)
        };
        let patch = "patch_embed.proj.weight";
        let measured = || {
            Some(Measured {
                embed_dim: embed_dim?,
                patch_size: self.axis(patch, 4, 2)?,
                in_channels: self.axis(patch, 4, 1)?,
                positions: self.axis("pos_embed", 3, 1)?,
                mlp_hidden_dim: mlp_hidden_dim?,
                num_classes: num_classes?,
                attention_dims: attention_dims.collect::<Option<_>>()?,
            })
        };
        measured().ok_or_else(|| self.too_flat())
    }

    /// Tensors whose number of axes is not what their role asks for.
    fn too_flat(&self) -> Vec<String> {
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

    fn axis(&self, name: &str, rank: usize, axis: usize) -> Option<usize> {
        let shape = self.0.get(name).filter(|shape| shape.len() == rank)?;
        Some(shape[axis])
    }
}

impl Measured {
    /// The whole configuration. What shapes cannot tell comes, in this order, from the options,
    /// from a config.json beside the file, from the file's header, and from the published models.
    ///
    /// `assumed` is told the head_dim where it had to be taken from the published models.
    pub fn config(
        &self,
        path: &Path,
        options: &ReadOptions,
        told: &[Told],
        assumed: &mut Option<usize>,
    ) -> Result<VitConfig, CheckpointError> {
        let image_size = self.grid_size(path)? * self.patch_size;
        let (num_heads, head_dim) = self.heads(path, options, told, assumed)?;
        let eps = (options.layer_norm_eps.into_iter())
            .chain(told.iter().filter_map(|told| told.layer_norm_eps))
            .next();
        let config = VitConfig {
            embed_dim: self.embed_dim,
            num_heads,
            head_dim,
            mlp_hidden_dim: self.mlp_hidden_dim,
            image_size,
            patch_size: self.patch_size,
            in_channels: self.in_channels,
            num_classes: self.num_classes,
            layer_norm_eps: eps.unwrap_or(DEFAULT_EPS),
        };
        config.check()?;
        for told in told {
            agree(path, &config, told)?;
        }
        Ok(config)
    }

    /// Side of the square grid of patches.
    fn grid_size(&self, path: &Path) -> Result<usize, CheckpointError> {
        let patches = self.positions.saturating_sub(1);
        let side = patches.isqrt();
        if side * side == patches && side > 0 {
            return Ok(side);
        }
        Err(CheckpointError::Positions { path: path.into(), found: self.positions })
    }

    /// Heads of each layer, and the width of one.
    fn heads(
        &self,
        path: &Path,
        options: &ReadOptions,
        told: &[Told],
        assumed: &mut Option<usize>,
    ) -> Result<(Vec<usize>, usize), CheckpointError> {
        if let Some(heads) = &options.num_heads {
            return self.split(path, "--num-heads", heads, None);
        }
        if let Some(name) = &options.arch {
            let preset = preset(name)?;
            let by = format!("--arch {name}");
            self.agree_with_preset(path, &by, &preset)?;
            return self.split(path, &by, &preset.num_heads, Some(preset.head_dim));
        }
        for told in told {
            if let Some(heads) = &told.num_heads {
                return self.split(path, &told.by, heads, told.head_dim);
            }
        }
        let published = PUBLISHED_HEADS.iter().find(|(embed_dim, _)| *embed_dim == self.embed_dim);
        let as_wide = self.attention_dims.iter().all(|dim| *dim == self.embed_dim);
        match published {
            Some((embed_dim, heads)) if as_wide => {
                *assumed = Some(embed_dim / heads);
                self.split(path, "the published model of this width", &[*heads], None)
            }
            _ => Err(CheckpointError::UnknownHeads {
                path: path.into(),
                attention_dims: self.attention_dims.clone(),
            }),
        }
    }

    /// Checks that heads of one width fill each layer's attention.
    fn split(
        &self,
        path: &Path,
        told_by: &str,
        heads: &[usize],
        head_dim: Option<usize>,
    ) -> Result<(Vec<usize>, usize), CheckpointError> {
        let depth = self.attention_dims.len();
        let num_heads = if let [heads] = heads { vec![*heads; depth] } else { heads.to_vec() };
        let (path, told_by) = (path.into(), told_by.into());
        if num_heads.len() != depth {
            let found = num_heads.len();
            return Err(CheckpointError::HeadsPerLayer { path, told_by, found, depth });
        }
        let layers = || num_heads.iter().copied().zip(self.attention_dims.iter().copied());
        let first = layers().next().and_then(|(heads, dim)| dim.checked_div(heads));
        let head_dim = head_dim.or(first).unwrap_or(0);
        let unfit =
            |(heads, dim): (usize, usize)| heads == 0 || heads.checked_mul(head_dim) != Some(dim);
        match layers().enumerate().find(|(_, layer)| unfit(*layer)) {
            None => Ok((num_heads, head_dim)),
            Some((layer, (num_heads, attention_dim))) => {
                Err(CheckpointError::Heads { path, told_by, layer, num_heads, attention_dim })
            }
        }
    }

    /// A preset must be the model in the file but for image size and classes.
    fn agree_with_preset(
        &self,
        path: &Path,
        by: &str,
        preset: &VitConfig,
    ) -> Result<(), CheckpointError> {
        let facts = [
            ("embed_dim", preset.embed_dim, self.embed_dim),
            ("depth", preset.depth(), self.attention_dims.len()),
            ("mlp_hidden_dim", preset.mlp_hidden_dim, self.mlp_hidden_dim),
            ("patch_size", preset.patch_size, self.patch_size),
        ];
        facts.into_iter().try_for_each(|(field, told, found)| same(path, by, field, told, found))
    }
}

/// Checks a configuration that came with the file against its tensors.
fn agree(path: &Path, config: &VitConfig, told: &Told) -> Result<(), CheckpointError> {
    // This crate's field, transformers' and what the tensors say.
    let facts = [
        (["embed_dim", "hidden_size"], config.embed_dim),
        (["depth", "num_hidden_layers"], config.depth()),
        (["mlp_hidden_dim", "intermediate_size"], config.mlp_hidden_dim),
        (["in_channels", "num_channels"], config.in_channels),
        (["patch_size", "patch_size"], config.patch_size),
        (["image_size", "image_size"], config.image_size),
    ];
    for (fields, found) in facts {
        if let Some((field, size)) = told.first_size(&fields)? {
            same(path, &told.by, field, size, found)?;
        }
    }
    // A backbone's configuration may still count the classes of the model it was taken from.
    if config.num_classes > 0 {
        if let Some((field, classes)) = told.first_size(&["num_classes"])? {
            same(path, &told.by, field, classes, config.num_classes)?;
        }
        if let Some(labels) = told.num_labels() {
            same(path, &told.by, "id2label", labels, config.num_classes)?;
        }
    }
    Ok(())
}

fn same(
    path: &Path,
    by: &str,
    field: &str,
    told: usize,
    found: usize,
) -> Result<(), CheckpointError> {
    if told == found {
        return Ok(());
    }
    let (path, told_by, field) = (path.into(), by.into(), field.into());
    Err(CheckpointError::Contradiction { path, told_by, field, told, found })
}

/// The preset of that name.
pub(super) fn preset(name: &str) -> Result<VitConfig, CheckpointError> {
    VitConfig::preset(name).ok_or_else(|| CheckpointError::UnknownArch { name: name.into() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_tell_what_they_can() {
        let config = VitConfig::new(24, vec![3, 1], 8, 40).with_image_size(16).with_patch_size(4);
        let measured = Shapes(config.parameter_shapes()).measure(2).expect("all tensors are there");
        let attention_dims = vec![24, 8];
        let want = Measured {
            embed_dim: 24,
            patch_size: 4,
            in_channels: 3,
            positions: 17,
            mlp_hidden_dim: 40,
            num_classes: 1000,
            attention_dims,
        };
        assert_eq!(measured, want);
    }

    #[test]
    fn one_wrong_tensor_does_not_change_the_picture() {
        let config = VitConfig::uniform(48, 3, 3);
        let want = Shapes(config.parameter_shapes()).measure(3);
        for (name, shape) in config.parameter_shapes() {
            let sole_source = ["patch_embed.proj.weight", "pos_embed", "head.bias"];
            if sole_source.contains(&name.as_str()) {
                continue;
            }
            let mut shapes = config.parameter_shapes();
            shapes.insert(name.clone(), vec![7; shape.len()]);
            assert_eq!(Shapes(shapes).measure(3), want, "{name}");
        }
    }
}
