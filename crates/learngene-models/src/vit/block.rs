//! One pre-norm transformer layer.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use super::{Attention, AttentionOutput, Mlp, VitConfig, layer_norm};

/// A pre-norm transformer layer: `x + attn(norm1(x))`, then `x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub struct Block {
    /// Norm before the attention.
    pub norm1: nn::LayerNorm,
    /// Self-attention.
    pub attn: Attention,
    /// Norm before the feed-forward network.
    pub norm2: nn::LayerNorm,
    /// Feed-forward network.
    pub mlp: Mlp,
    layer_norm_eps: f64,
}

impl Block {
    pub(super) fn new(config: &VitConfig, layer: usize, device: &Device) -> Self {
        let norm = || nn::LayerNormConfig::new(config.embed_dim).init(device);
        Self {
            norm1: norm(),
            attn: Attention::new(config.embed_dim, config.head_layout(layer), device),
            norm2: norm(),
            mlp: Mlp::new(config.embed_dim, config.mlp_hidden_dim, device),
            layer_norm_eps: config.layer_norm_eps,
        }
    }

    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    pub fn forward(&self, tokens: Tensor<3>) -> AttentionOutput {
        let normed = layer_norm(&self.norm1, tokens.clone(), self.layer_norm_eps);
        let AttentionOutput { tokens: attended, weights } = self.attn.forward(normed);
        let tokens = tokens + attended;
        let normed = layer_norm(&self.norm2, tokens.clone(), self.layer_norm_eps);
        AttentionOutput { tokens: tokens + self.mlp.forward(normed), weights }
    }
}
