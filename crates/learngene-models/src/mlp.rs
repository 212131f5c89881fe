//! The position-wise feed-forward network.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor, activation::silu},
};
use learngene_shape::{FfnKind, LayerShape};

use crate::parts::{apply, bias, linear};

/// Feed-forward network applied to every token: `fc2(hidden)`, where the hidden units are
/// `gelu(fc1(x))`, or `silu(a) * b` with `[a, b] = fc1(x)`.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[embed_dim, hidden_dim]`, or `[embed_dim, 2 * hidden_dim]` with a gate before the values.
    pub fc1: nn::Linear,
    /// `[hidden_dim, embed_dim]`
    pub fc2: nn::Linear,
    /// How the hidden units are computed.
    #[module(skip)]
    pub kind: FfnKind,
}

impl Mlp {
    pub(crate) fn new(shape: LayerShape, device: &Device) -> Self {
        let LayerShape { embed_dim, ffn, .. } = shape;
        Self {
            fc1: linear(embed_dim, ffn.kind.parts() * ffn.hidden_dim, device),
            fc2: linear(ffn.hidden_dim, embed_dim, device),
            kind: ffn.kind,
        }
    }

    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, embed_dim]`
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        match self.kind {
            FfnKind::Mlp => {
                let layers = [&self.fc1, &self.fc2];
                let weights = layers.map(|layer| layer.weight.val());
                learngene_kernels::mlp(tokens, weights, layers.map(bias))
            }
            FfnKind::SwiGlu => self.project(self.hidden(tokens)),
        }
    }

    /// The second layer: `[batch, seq, hidden_dim]` to `[batch, seq, embed_dim]`.
    pub(crate) fn project(&self, hidden: Tensor<3>) -> Tensor<3> {
        apply(&self.fc2, hidden)
    }

    /// What the second layer reads.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, hidden_dim]`
    pub(crate) fn hidden(&self, tokens: Tensor<3>) -> Tensor<3> {
        let first = apply(&self.fc1, tokens); // [batch, seq, hidden_dim or 2 * hidden_dim]
        match self.kind {
            FfnKind::Mlp => learngene_kernels::gelu(first),
            FfnKind::SwiGlu => {
                let hidden_dim = first.dims()[2] / 2;
                let gate = first.clone().slice_dim(2, 0..hidden_dim);
                silu(gate) * first.slice_dim(2, hidden_dim..2 * hidden_dim)
            }
        }
    }
}
