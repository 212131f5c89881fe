//! Shapes that all families have in common, and what no model can be.

use thiserror::Error;

use crate::HeadLayout;

/// Shape of one transformer layer, whatever the family: a norm, attention, a norm and a
/// feed-forward network, named `norm1`, `attn`, `norm2` and `mlp` in every checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Width of a token.
    pub embed_dim: usize,
    /// Where the heads lie in the attention weights.
    pub heads: HeadLayout,
    /// Hidden width of the feed-forward network.
    pub mlp_hidden_dim: usize,
    /// Entries of a head's table of relative positions, where the family has one: Swin's
    /// `(2 window - 1)^2`.
    pub relative_positions: Option<usize>,
}

impl LayerShape {
    /// The parts of a layer that have a weight and a bias, by timm's names, and the shape of the
    /// weight, `[out, in]`; a bias is as long as the weight's first axis.
    pub(crate) fn affine_shapes(self) -> [(&'static str, Vec<usize>); 6] {
        let Self { embed_dim, mlp_hidden_dim, .. } = self;
        let attention_dim = self.heads.attention_dim();
        [
            ("norm1", vec![embed_dim]),
            ("attn.qkv", vec![3 * attention_dim, embed_dim]),
            ("attn.proj", vec![embed_dim, attention_dim]),
            ("norm2", vec![embed_dim]),
            ("mlp.fc1", vec![mlp_hidden_dim, embed_dim]),
            ("mlp.fc2", vec![embed_dim, mlp_hidden_dim]),
        ]
    }
}

/// A shape that no vision transformer can have.
#[derive(Debug, Error, PartialEq)]
pub enum ShapeError {
    /// A size that must be at least one is zero.
    #[error("{field} of a vision transformer must be at least 1, got 0")]
    Zero {
        /// The field at fault.
        field: &'static str,
    },
    /// A size above its [limit](crate::limits).
    #[error("{field} of a vision transformer must be at most {wanted}, got {found}")]
    TooLarge {
        /// The field at fault.
        field: &'static str,
        /// The size found.
        found: usize,
        /// The limit.
        wanted: usize,
    },
    /// A layer without heads.
    #[error("layer {layer} of a vision transformer must have at least 1 head, got 0")]
    NoHeads {
        /// The layer at fault.
        layer: usize,
    },
    /// The image cannot be cut into whole patches.
    #[error("image size {image_size} is not a multiple of the patch size {patch_size}")]
    PartialPatches {
        /// Side of the image, in pixels.
        image_size: usize,
        /// Side of a patch, in pixels.
        patch_size: usize,
    },
    /// A list that has not one entry for each stage.
    #[error("{field} of a Swin must have one entry for each of {stages} stages, got {found}")]
    PerStage {
        /// The field at fault.
        field: &'static str,
        /// Entries found.
        found: usize,
        /// Stages of the model.
        stages: usize,
    },
    /// Tokens that cannot be merged two by two down to a stage.
    #[error(
        "stage {stage} of a Swin halves the side of {grid} patches {stage} times, which leaves a part"
    )]
    OddGrid {
        /// The stage at fault.
        stage: usize,
        /// Patches along one side of the image.
        grid: usize,
    },
    /// Tokens that cannot be cut into whole windows.
    #[error(
        "stage {stage} of a Swin has {resolution} tokens a side, which are no whole windows of \
         {window}"
    )]
    PartialWindows {
        /// The stage at fault.
        stage: usize,
        /// Tokens along one side.
        resolution: usize,
        /// Side of a window, in tokens.
        window: usize,
    },
}
