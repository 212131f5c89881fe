//! The position-wise feed-forward network.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use crate::parts::{apply, bias, linear};

/// Two-layer feed-forward network applied to every token: `fc2(gelu(fc1(x)))`.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[embed_dim, mlp_hidden_dim]`
    pub fc1: nn::Linear,
    /// `[mlp_hidden_dim, embed_dim]`
    pub fc2: nn::Linear,
}

impl Mlp {
    pub(crate) fn new(embed_dim: usize, hidden_dim: usize, device: &Device) -> Self {
        Self {
            fc1: linear(embed_dim, hidden_dim, device),
            fc2: linear(hidden_dim, embed_dim, device),
        }
    }

    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, embed_dim]`
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let layers = [&self.fc1, &self.fc2];
        let weights = layers.map(|layer| layer.weight.val());
        learngene_kernels::mlp(tokens, weights, layers.map(bias))
    }

    /// What the second layer reads: `gelu(fc1(x))`.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, mlp_hidden_dim]`
    pub(crate) fn hidden(&self, tokens: Tensor<3>) -> Tensor<3> {
        learngene_kernels::gelu(apply(&self.fc1, tokens))
    }
}
