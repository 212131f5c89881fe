//! The architecture of a Swin.

mod agree;
mod windows;

use self::windows::Windows;
use super::{Context, Shapes, most_common};
use crate::{
    SwinConfig,
    checkpoint::{CheckpointError, Dialect, Note},
};

/// LayerNorm's epsilon where nothing tells it: that of every published Swin.
pub(in crate::checkpoint) const DEFAULT_EPS: f64 = 1e-5;

/// The sizes that tensor shapes tell.
#[derive(Debug, PartialEq)]
pub(in crate::checkpoint) struct Measured {
    embed_dim: usize,
    patch_size: usize,
    in_channels: usize,
    num_classes: usize,
    stages: Vec<Stage>,
    /// Patches along one side of the image, where masks of shifted windows lie in the file.
    grid_of_masks: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct Stage {
    mlp_hidden_dim: usize,
    layers: Vec<Layer>,
}

#[derive(Debug, PartialEq)]
struct Layer {
    /// Width of all heads together.
    attention_dim: usize,
    /// Heads that the table of relative positions has.
    heads: usize,
    /// Rows of that table.
    positions: usize,
}

impl Measured {
    /// Reads off the sizes; as [`super::vit::Measured::of`].
    ///
    /// `masks` are those of shifted windows: their stage, and how many windows they are for.
    pub fn of(shapes: &Shapes, depths: &[usize], masks: &[(usize, usize)]) -> Option<Self> {
        let blocks = |stage: usize| {
            (0..depths[stage])
                .map(|block| format!("layers.{stage}.blocks.{block}"))
                .collect::<Vec<_>>()
        };
        let stages = 0..depths.len();
        // Widths double from stage to stage.
        let narrowed = |norm: String, stage: usize| Some(shapes.axis(&norm, 1, 0)? >> stage);
        let norms = stages.clone().flat_map(|stage| {
            let norms = blocks(stage).into_iter().map(|block| format!("{block}.norm1.weight"));
            norms.filter_map(move |norm| narrowed(norm, stage))
        });
        let embed_dim = most_common(
            (shapes.axis("patch_embed.norm.weight", 1, 0).into_iter())
                .chain(narrowed("norm.weight".into(), depths.len() - 1))
                .chain(norms),
        );
        let layer = |block: &String| {
            let table = format!("{block}.attn.relative_position_bias_table");
            Some(Layer {
                attention_dim: shapes.attention_dim(block)?,
                heads: shapes.axis(&table, 2, 1)?,
                positions: shapes.axis(&table, 2, 0)?,
            })
        };
        let measured = stages.map(|stage| {
            let blocks = blocks(stage);
            let mlp_hidden_dim = shapes.mlp_hidden_dim(&blocks)?;
            let layers = blocks.iter().map(layer).collect::<Option<_>>()?;
            Some(Stage { mlp_hidden_dim, layers })
        });
        let stages: Vec<Stage> = measured.collect::<Option<_>>()?;
        let (patch_size, in_channels) = shapes.patch()?;
        let grids = masks.iter().filter_map(|(stage, windows)| {
            let side = windows::side_of_square(*windows)?;
            Some((side * stages.get(*stage)?.window()?) << stage)
        });
        Some(Self {
            embed_dim: embed_dim?,
            patch_size,
            in_channels,
            num_classes: shapes.num_classes("head.fc")?,
            grid_of_masks: most_common(grids),
            stages,
        })
    }

    /// The whole configuration. What shapes cannot tell comes, in this order, from the options, from
    /// the header or else what is said beside the file, from the preset named, and from the published
    /// models.
    pub fn config(
        &self,
        context: &Context,
        notes: &mut Vec<Note>,
    ) -> Result<SwinConfig, CheckpointError> {
        let mut first = 0;
        let (mut num_heads, mut head_dim, mut windows) = (Vec::new(), Vec::new(), Vec::new());
        for (stage, sizes) in self.stages.iter().enumerate() {
            let (width, heads) = sizes.heads(context, first)?;
            head_dim.push(width);
            num_heads.push(heads);
            windows.push(sizes.window().ok_or_else(|| {
                let (path, found) = (context.path.into(), sizes.layers[0].positions);
                CheckpointError::RelativePositions { path, stage, found }
            })?);
            first += sizes.layers.len();
        }
        let shape = SwinConfig {
            embed_dim: self.embed_dim,
            num_heads,
            head_dim,
            mlp_hidden_dim: self.stages.iter().map(|stage| stage.mlp_hidden_dim).collect(),
            // These two are still to be found out.
            window_size: 1,
            image_size: 1,
            patch_size: self.patch_size,
            in_channels: self.in_channels,
            num_classes: self.num_classes,
            layer_norm_eps: eps(context)?,
        };
        agree::check(context, &shape)?;
        let windows = Windows { sides: &windows, grid_of_masks: self.grid_of_masks };
        windows.complete(shape, context, notes)
    }
}

/// LayerNorm's epsilon, the same in all norms.
fn eps(context: &Context) -> Result<f64, CheckpointError> {
    if context.names.dialect == Dialect::HuggingFace
        && context.options.layer_norm_eps.is_none()
        && let Some(told) = context.told
        && let Some(eps) = told.eps()?.filter(|eps| *eps != DEFAULT_EPS)
    {
        return Err(CheckpointError::ConfigField {
            told_by: told.by.clone(),
            field: "layer_norm_eps".into(),
            found: eps.to_string(),
            wanted: "1e-5, which transformers has in a Swin's other norms",
        });
    }
    context.eps(DEFAULT_EPS)
}

impl Stage {
    /// Width of one head, the most common of the stage, and heads of each layer.
    fn heads(
        &self,
        context: &Context,
        first: usize,
    ) -> Result<(usize, Vec<usize>), CheckpointError> {
        let of_layer = |layer: &Layer| {
            let divides = layer.heads > 0 && layer.attention_dim.is_multiple_of(layer.heads);
            divides.then(|| layer.attention_dim / layer.heads)
        };
        let Some(head_dim) = most_common(self.layers.iter().filter_map(of_layer)) else {
            let Layer { attention_dim, heads: num_heads, .. } = self.layers[0];
            let (path, layer) = (context.path.into(), first);
            return Err(CheckpointError::HeadsOfTable { path, layer, num_heads, attention_dim });
        };
        // The weights' widths tell how many heads of that width they hold: a table that tells
        // otherwise is then the one at fault.
        let heads = self.layers.iter().map(|layer| match layer.attention_dim {
            dim if head_dim > 0 && dim.is_multiple_of(head_dim) => dim / head_dim,
            _ => layer.heads,
        });
        Ok((head_dim, heads.collect()))
    }

    /// Side of a window that the tables are for, the most common of the stage.
    fn window(&self) -> Option<usize> {
        let tables = self.layers.iter().map(|layer| layer.positions);
        most_common(tables.filter_map(windows::side_of_table))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::checkpoint::{ReadOptions, names::Names};

    /// The shape of a model whose parameters have these shapes.
    fn infer(shapes: Shapes, like: &SwinConfig) -> SwinConfig {
        let options = ReadOptions { image_size: Some(like.image_size), ..ReadOptions::default() };
        let names = Names::written(Dialect::Timm, &like.clone().into());
        let context = Context { path: Path::new("x"), options: &options, names, told: None };
        let measured = Measured::of(&shapes, &like.depths(), &[]).expect("all tensors are there");
        measured.config(&context, &mut Vec::new()).expect("a possible shape")
    }

    #[test]
    fn one_wrong_tensor_does_not_change_the_picture() {
        let config = SwinConfig::uniform(24, &[3, 3], &[3, 6]).with_image_size(56);
        let shapes = config.parameter_shapes();
        for (name, shape) in &shapes {
            let sole_source = ["patch_embed.proj.weight", "head.fc.bias"];
            if sole_source.contains(&name.as_str()) {
                continue;
            }
            let mut shapes = shapes.clone();
            shapes.insert(name.clone(), vec![7; shape.len()]);
            assert_eq!(infer(Shapes(shapes), &config), config, "{name}");
        }
    }
}
