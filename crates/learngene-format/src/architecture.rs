use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Shape of the ancestry model, by family.
///
/// Layers are counted from 0 through the whole model, also where it has stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "lowercase")]
pub enum Architecture {
    /// Vision Transformer (<https://arxiv.org/abs/2010.11929>) and DeiT (<https://arxiv.org/abs/2012.12877>).
    Vit(VitArchitecture),
    /// Swin Transformer (<https://arxiv.org/abs/2103.14030>).
    Swin(SwinArchitecture),
}

/// Shape of a ViT or DeiT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitArchitecture {
    /// Side of the square input image, in pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Colour channels of the input.
    pub in_channels: usize,
    /// Width of a token.
    pub embed_dim: usize,
    /// Number of layers.
    pub depth: usize,
    /// Heads of each layer, dropped ones included.
    pub num_heads: Vec<usize>,
    /// Width of a head's query, key and value.
    pub head_dim: usize,
    /// Hidden width of the feed-forward network.
    pub mlp_hidden_dim: usize,
    /// Classes of the ancestor's classifier, 0 where it had none.
    pub num_classes: usize,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f64,
}

/// Shape of a Swin Transformer: stages, each of half the resolution and twice the width of the one
/// before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwinArchitecture {
    /// Side of the square input image, in pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Side of a window, in tokens; a stage of less resolution is one window.
    pub window_size: usize,
    /// Colour channels of the input.
    pub in_channels: usize,
    /// Width of a token in the first stage; it doubles from stage to stage.
    pub embed_dim: usize,
    /// Layers of each stage.
    pub depths: Vec<usize>,
    /// Heads of each layer, dropped ones included, through all stages.
    pub num_heads: Vec<usize>,
    /// Width of a head's query, key and value, per stage.
    pub head_dim: Vec<usize>,
    /// Hidden width of the feed-forward network, per stage.
    pub mlp_hidden_dim: Vec<usize>,
    /// Classes of the ancestor's classifier, 0 where it had none.
    pub num_classes: usize,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f64,
}

/// Sizes of one layer, of whatever family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerArchitecture {
    /// Width of a token.
    pub embed_dim: usize,
    /// Heads, dropped ones included.
    pub num_heads: usize,
    /// Width of a head's query, key and value.
    pub head_dim: usize,
    /// Hidden width of the feed-forward network.
    pub mlp_hidden_dim: usize,
    /// Relative positions of two tokens in a window, `(2 window - 1)^2`, where the family has them.
    pub relative_positions: Option<usize>,
}

impl Architecture {
    /// Number of layers, of all stages together.
    pub fn depth(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.depth,
            Self::Swin(swin) => swin.depth(),
        }
    }

    /// Heads of each layer, dropped ones included.
    pub fn num_heads(&self) -> &[usize] {
        match self {
            Self::Vit(vit) => &vit.num_heads,
            Self::Swin(swin) => &swin.num_heads,
        }
    }

    /// Layers of each stage; a ViT is one stage.
    pub fn stages(&self) -> Vec<Range<usize>> {
        let depths = match self {
            Self::Vit(vit) => std::slice::from_ref(&vit.depth),
            Self::Swin(swin) => &swin.depths,
        };
        let mut end = 0usize;
        let ranges = depths.iter().map(|depth| {
            let start = end;
            end = end.saturating_add(*depth);
            start..end
        });
        ranges.collect()
    }

    /// Sizes of one layer.
    ///
    /// # Panics
    /// Panics when the model is not so deep, or a list has no entry for the layer or its stage.
    pub fn layer(&self, layer: usize) -> LayerArchitecture {
        match self {
            Self::Vit(vit) => LayerArchitecture {
                embed_dim: vit.embed_dim,
                num_heads: vit.num_heads[layer],
                head_dim: vit.head_dim,
                mlp_hidden_dim: vit.mlp_hidden_dim,
                relative_positions: None,
            },
            Self::Swin(swin) => {
                let stage = self.stages().iter().position(|stage| stage.contains(&layer));
                let stage = stage.expect("the model is so deep");
                LayerArchitecture {
                    embed_dim: swin.stage_dim(stage),
                    num_heads: swin.num_heads[layer],
                    head_dim: swin.head_dim[stage],
                    mlp_hidden_dim: swin.mlp_hidden_dim[stage],
                    relative_positions: Some(swin.relative_positions(stage)),
                }
            }
        }
    }

    /// Side of the square input image, in pixels.
    pub fn image_size(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.image_size,
            Self::Swin(swin) => swin.image_size,
        }
    }

    /// Classes of the ancestor's classifier, 0 where it had none.
    pub fn num_classes(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.num_classes,
            Self::Swin(swin) => swin.num_classes,
        }
    }

    /// Width of the features that the classifier reads.
    pub fn num_features(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.embed_dim,
            Self::Swin(swin) => swin.stage_dim(swin.depths.len().saturating_sub(1)),
        }
    }
}

/// A shape that was never checked may hold any numbers: what is beyond counting is `usize::MAX` here,
/// which no check lets pass.
impl SwinArchitecture {
    pub(crate) fn depth(&self) -> usize {
        self.depths.iter().fold(0, |depth: usize, layers| depth.saturating_add(*layers))
    }

    /// Width of a stage's tokens.
    pub fn stage_dim(&self, stage: usize) -> usize {
        let doublings = u32::try_from(stage).unwrap_or(u32::MAX);
        self.embed_dim.saturating_mul(2usize.saturating_pow(doublings))
    }

    /// Side of a window in a stage, in tokens: at most the resolution.
    pub fn window(&self, stage: usize) -> usize {
        let halvings = u32::try_from(stage).unwrap_or(u32::MAX);
        let grid = self.image_size.checked_div(self.patch_size).unwrap_or(0);
        self.window_size.min(grid.checked_shr(halvings).unwrap_or(0))
    }

    /// Relative positions of two tokens in a window of a stage.
    fn relative_positions(&self, stage: usize) -> usize {
        self.window(stage).saturating_mul(2).saturating_sub(1).saturating_pow(2)
    }
}
