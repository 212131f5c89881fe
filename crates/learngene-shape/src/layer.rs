//! Shapes that all families have in common.

use serde::{Deserialize, Serialize};

use crate::{Field, HeadLayout};

/// The square images that a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Side of the image, in pixels.
    pub size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Colour channels.
    pub channels: usize,
}

/// Shape of one transformer layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Stage of the model that it belongs to; a ViT is one stage.
    pub stage: usize,
    /// Width of a token.
    pub embed_dim: usize,
    /// Where the heads lie in the attention weights.
    pub heads: HeadLayout,
    /// The feed-forward network.
    pub ffn: FfnShape,
    /// What a token attends to.
    pub field: Field,
}

/// Shape of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfnShape {
    /// Hidden units.
    pub hidden_dim: usize,
    /// How they are computed.
    pub kind: FfnKind,
}

/// How a feed-forward network computes its hidden units from a token `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FfnKind {
    /// `gelu(fc1(x))`
    Mlp,
    /// `silu(a) * b` with `[a, b] = fc1(x)`, as timm's `SwiGLUPacked`
    /// (<https://arxiv.org/abs/2002.05202>).
    SwiGlu,
}

impl FfnKind {
    /// Rows of the first matrix for each hidden unit.
    pub fn parts(self) -> usize {
        match self {
            Self::Mlp => 1,
            Self::SwiGlu => 2,
        }
    }
}
