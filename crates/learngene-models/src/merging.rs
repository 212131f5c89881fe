//! From one stage's resolution to half of it.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use crate::parts::{layer_norm, norm, weight};

/// Joins each square of four tokens, norms them and projects them to twice the width of one.
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// Norm of four tokens side by side.
    pub norm: nn::LayerNorm,
    /// `[4 * embed_dim, 2 * embed_dim]`, without bias.
    pub reduction: nn::Linear,
    layer_norm_eps: f64,
}

impl PatchMerging {
    /// The way into a stage whose tokens are of this width.
    pub(crate) fn new(width: usize, layer_norm_eps: f64, device: &Device) -> Self {
        let reduction = nn::Linear { weight: weight([2 * width, width], device), bias: None };
        Self { norm: norm(2 * width, device), reduction, layer_norm_eps }
    }

    /// # Shapes
    /// - tokens: `[batch, 4 seq, embed_dim]`, in raster order
    /// - output: `[batch, seq, 2 * embed_dim]`, likewise
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, seq, embed_dim] = tokens.dims();
        let side = seq.isqrt() / 2;
        let squares = tokens
            .reshape([batch, side, 2, side, 2, embed_dim])
            .permute([0, 1, 3, 4, 2, 5]) // the upper left token, the lower left, the upper right, ..
            .reshape([batch, side * side, 4 * embed_dim]);
        let normed = layer_norm(&self.norm, squares, self.layer_norm_eps);
        // One product over all tokens of the batch.
        let weight = self.reduction.weight.val();
        let merged = normed.reshape([batch * side * side, 4 * embed_dim]).matmul(weight);
        merged.reshape([batch, side * side, 2 * embed_dim])
    }
}
