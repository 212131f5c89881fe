//! One pre-norm layer of a Swin.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use super::{SwinConfig, WindowAttention, windows::Windows};
use crate::{AttentionOutput, BranchScales, Mlp, classifier::scaled, parts::layer_norm};

/// A pre-norm layer, `x + attn(norm1(x))`, then `x + mlp(norm2(x))`, whose attention stays inside
/// windows: shifted ones in every second layer.
#[derive(Module, Debug)]
pub struct SwinBlock {
    /// Norm before the attention.
    pub norm1: nn::LayerNorm,
    /// Self-attention inside windows.
    pub attn: WindowAttention,
    /// Norm before the feed-forward network.
    pub norm2: nn::LayerNorm,
    /// Feed-forward network.
    pub mlp: Mlp,
    resolution: usize,
    window: usize,
    shift: usize,
    layer_norm_eps: f64,
}

impl SwinBlock {
    pub(super) fn new(config: &SwinConfig, layer: usize, device: &Device) -> Self {
        let shape = config.layer(layer);
        let Windows { resolution, window, shift } = config.windows(layer);
        let norm = || nn::LayerNormConfig::new(shape.embed_dim).init(device);
        Self {
            norm1: norm(),
            attn: WindowAttention::new(shape, device),
            norm2: norm(),
            mlp: Mlp::new(shape.embed_dim, shape.mlp_hidden_dim, device),
            resolution,
            window,
            shift,
            layer_norm_eps: config.layer_norm_eps,
        }
    }

    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`, in raster order
    /// - output: the same
    pub fn forward(&self, tokens: Tensor<3>, scales: Option<&BranchScales>) -> Tensor<3> {
        let places = self.windows();
        let normed = layer_norm(&self.norm1, tokens.clone(), self.layer_norm_eps);
        let attended = places.join(self.attn.forward(places.cut(normed), places));
        let attended = scaled(attended, scales.map(|scales| &scales.attention));
        self.feed_forward(tokens + attended, scales)
    }

    /// [`SwinBlock::forward`], and who attended to whom:
    /// `[batch * windows, num_heads, queries, keys]`.
    pub fn forward_with_weights(&self, tokens: Tensor<3>) -> AttentionOutput {
        let places = self.windows();
        let normed = layer_norm(&self.norm1, tokens.clone(), self.layer_norm_eps);
        let attended = self.attn.forward_with_weights(places.cut(normed), places);
        let tokens = self.feed_forward(tokens + places.join(attended.tokens), None);
        AttentionOutput { tokens, ..attended }
    }

    /// As [`Model::heads`](crate::Model::heads).
    pub(super) fn heads(&self, tokens: Tensor<3>) -> Tensor<3> {
        let places = self.windows();
        let normed = layer_norm(&self.norm1, tokens, self.layer_norm_eps);
        places.join(self.attn.attend(places.cut(normed), places))
    }

    /// The tokens that the feed-forward network reads.
    pub(super) fn normed(&self, tokens: Tensor<3>) -> Tensor<3> {
        layer_norm(&self.norm2, tokens, self.layer_norm_eps)
    }

    fn feed_forward(&self, tokens: Tensor<3>, scales: Option<&BranchScales>) -> Tensor<3> {
        let normed = self.normed(tokens.clone());
        tokens + scaled(self.mlp.forward(normed), scales.map(|scales| &scales.mlp))
    }

    fn windows(&self) -> Windows {
        let Self { resolution, window, shift, .. } = *self;
        Windows { resolution, window, shift }
    }
}
