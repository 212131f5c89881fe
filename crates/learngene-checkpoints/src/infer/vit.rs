//! The architecture of a ViT.

use super::{Context, Shapes, most_common};
use crate::{
    VitConfig,
    checkpoint::{CheckpointError, Note},
};

/// Heads of the ViTs of the papers by their embed_dim: ViT (<https://arxiv.org/abs/2010.11929>,
/// Table 1) and DeiT (<https://arxiv.org/abs/2012.12877>, Table 1). All but ViT-H have a head_dim
/// of 64; wider ones do not follow a rule.
const PUBLISHED_HEADS: [(usize, usize); 5] =
    [(192, 3), (384, 6), (768, 12), (1024, 16), (1280, 16)];

/// LayerNorm's epsilon where nothing tells it: that of timm's ViT and DeiT.
const DEFAULT_EPS: f64 = 1e-6;

/// The sizes that tensor shapes tell.
#[derive(Debug, PartialEq)]
pub(in crate::checkpoint) struct Measured {
    embed_dim: usize,
    patch_size: usize,
    in_channels: usize,
    /// Positions of the class token and the patches.
    positions: usize,
    mlp_hidden_dim: usize,
    num_classes: usize,
    /// Width of all heads of each layer together.
    attention_dims: Vec<usize>,
}

impl Measured {
    /// Reads off the sizes. Where several tensors tell the same size, the most common value
    /// counts, so that a single tensor of a wrong shape is recognised as the one at fault.
    ///
    /// There are none where a tensor that would tell a size is absent, or has another number of
    /// axes.
    pub fn of(shapes: &Shapes, depth: usize) -> Option<Self> {
        let blocks: Vec<String> = (0..depth).map(|layer| format!("blocks.{layer}")).collect();
        let norms = blocks.iter().map(|block| format!("{block}.norm1.weight"));
        let embed_dim = most_common(
            (shapes.axis("cls_token", 3, 2).into_iter())
                .chain(shapes.axis("pos_embed", 3, 2))
                .chain(shapes.axis("norm.weight", 1, 0))
                .chain(norms.filter_map(|norm| shapes.axis(&norm, 1, 0))),
        );
        let (patch_size, in_channels) = shapes.patch()?;
        Some(Self {
            embed_dim: embed_dim?,
            patch_size,
            in_channels,
            positions: shapes.axis("pos_embed", 3, 1)?,
            mlp_hidden_dim: shapes.mlp_hidden_dim(&blocks)?,
            num_classes: shapes.num_classes("head")?,
            attention_dims: (blocks.iter().map(|block| shapes.attention_dim(block)))
                .collect::<Option<_>>()?,
        })
    }

    /// The whole configuration. What shapes cannot tell comes, in this order, from the options,
    /// from the file's header or else a config.json beside it, and from the published models.
    pub fn config(
        &self,
        context: &Context,
        notes: &mut Vec<Note>,
    ) -> Result<VitConfig, CheckpointError> {
        let image_size = self.grid_size(context)?.saturating_mul(self.patch_size);
        let (num_heads, head_dim) = self.heads(context, notes)?;
        let config = VitConfig {
            embed_dim: self.embed_dim,
            num_heads,
            head_dim,
            mlp_hidden_dim: self.mlp_hidden_dim,
            image_size,
            patch_size: self.patch_size,
            in_channels: self.in_channels,
            num_classes: self.num_classes,
            layer_norm_eps: context.eps(DEFAULT_EPS)?,
        };
        config.check()?;
        self.agree(context, &config)?;
        Ok(config)
    }

    /// Side of the square grid of patches.
    fn grid_size(&self, context: &Context) -> Result<usize, CheckpointError> {
        let patches = self.positions.saturating_sub(1);
        let side = patches.isqrt();
        if side * side == patches && side > 0 {
            return Ok(side);
        }
        Err(CheckpointError::Positions { path: context.path.into(), found: self.positions })
    }

    /// Heads of each layer, and the width of one.
    fn heads(
        &self,
        context: &Context,
        notes: &mut Vec<Note>,
    ) -> Result<(Vec<usize>, usize), CheckpointError> {
        let told = match context.told {
            Some(told) => told.heads_of_layers()?.map(|heads| (told, heads)),
            None => None,
        };
        let told = told.map(|(told, heads)| {
            let split = self.split(context, &told.by, &heads, told.size("head_dim")?)?;
            Ok::<_, CheckpointError>((told.by.as_str(), split))
        });
        let given = if let Some(heads) = &context.options.num_heads {
            Some(("--num-heads".to_owned(), self.split(context, "--num-heads", heads, None)?))
        } else if let Some((by, preset)) = context.preset(VitConfig::preset) {
            self.agree_with_preset(context, &by, &preset)?;
            let split = self.split(context, &by, &preset.num_heads, Some(preset.head_dim))?;
            Some((by, split))
        } else {
            None
        };
        match (given, told.transpose()?) {
            (Some((given_by, given)), Some((told_by, told))) if given.0 != told.0 => {
                let pairs = given.0.iter().zip(&told.0);
                let layer = pairs.take_while(|(given, told)| given == told).count();
                return Err(CheckpointError::HeadsContradict {
                    path: context.path.into(),
                    given_by,
                    layer,
                    given: given.0[layer],
                    told_by: told_by.into(),
                    told: told.0[layer],
                });
            }
            (Some((_, split)), _) | (None, Some((_, split))) => return Ok(split),
            (None, None) => {}
        }
        let published = PUBLISHED_HEADS.iter().find(|(embed_dim, _)| *embed_dim == self.embed_dim);
        let as_wide = self.attention_dims.iter().all(|dim| *dim == self.embed_dim);
        match published {
            Some((embed_dim, heads)) if as_wide => {
                notes.push(Note::HeadDimAssumed { head_dim: embed_dim / heads });
                self.split(context, "the published model of this width", &[*heads], None)
            }
            _ => Err(CheckpointError::UnknownHeads {
                path: context.path.into(),
                attention_dims: self.attention_dims.clone(),
            }),
        }
    }

    /// Checks that heads of one width fill each layer's attention.
    fn split(
        &self,
        context: &Context,
        told_by: &str,
        heads: &[usize],
        head_dim: Option<usize>,
    ) -> Result<(Vec<usize>, usize), CheckpointError> {
        let depth = self.attention_dims.len();
        let num_heads = if let [heads] = heads { vec![*heads; depth] } else { heads.to_vec() };
        let (path, told_by) = (context.path.into(), told_by.into());
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
        context: &Context,
        by: &str,
        preset: &VitConfig,
    ) -> Result<(), CheckpointError> {
        let facts = [
            ("embed_dim", preset.embed_dim, self.embed_dim),
            ("depth", preset.depth(), self.attention_dims.len()),
            ("mlp_hidden_dim", preset.mlp_hidden_dim, self.mlp_hidden_dim),
            ("patch_size", preset.patch_size, self.patch_size),
        ];
        facts.into_iter().try_for_each(|(field, told, found)| context.same(by, field, told, found))
    }

    /// Checks the configurations that came with the file against its tensors.
    fn agree(&self, context: &Context, config: &VitConfig) -> Result<(), CheckpointError> {
        // This crate's field, transformers' and what the tensors say.
        let facts = [
            (["embed_dim", "hidden_size"], config.embed_dim),
            (["depth", "num_hidden_layers"], config.depth()),
            (["mlp_hidden_dim", "intermediate_size"], config.mlp_hidden_dim),
            (["image_size", "image_size"], config.image_size),
        ];
        if let Some(told) = context.told {
            for (fields, found) in facts {
                context.agree(told, &fields, found)?;
            }
            context.agree_on_ends(told, &config.clone().into())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_tell_what_they_can() {
        let config = VitConfig::new(24, vec![3, 1], 8, 40).with_image_size(16).with_patch_size(4);
        let measured = Measured::of(&Shapes(config.parameter_shapes()), 2);
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
        assert_eq!(measured, Some(want));
    }

    #[test]
    fn one_wrong_tensor_does_not_change_the_picture() {
        let config = VitConfig::uniform(48, 3, 3);
        let want = Measured::of(&Shapes(config.parameter_shapes()), 3);
        for (name, shape) in config.parameter_shapes() {
            let sole_source = ["patch_embed.proj.weight", "pos_embed", "head.bias"];
            if sole_source.contains(&name.as_str()) {
                continue;
            }
            let mut shapes = config.parameter_shapes();
            shapes.insert(name.clone(), vec![7; shape.len()]);
            assert_eq!(Measured::of(&Shapes(shapes), 3), want, "{name}");
        }
    }
}
