//! One pre-norm transformer layer.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use super::{Attention, AttentionOutput, VitConfig};
use crate::{BranchScales, Mlp, classifier::scaled, parts::layer_norm};

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
    /// - output: `[batch, seq, embed_dim]`
    pub fn forward(&self, tokens: Tensor<3>, scales: Option<&BranchScales>) -> Tensor<3> {
        let normed = layer_norm(&self.norm1, tokens.clone(), self.layer_norm_eps);
        let attended = scaled(self.attn.forward(normed), scales.map(|scales| &scales.attention));
        self.feed_forward(tokens + attended, scales)
    }

    /// [`Block::forward`], and who attended to whom.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    pub fn forward_with_weights(&self, tokens: Tensor<3>) -> AttentionOutput {
        let normed = layer_norm(&self.norm1, tokens.clone(), self.layer_norm_eps);
        let attended = self.attn.forward_with_weights(normed);
        AttentionOutput { tokens: self.feed_forward(tokens + attended.tokens, None), ..attended }
    }

    /// The class token after [`Block::forward`], which is all that a classifier reads of the last
    /// layer: every token is attended to, but one alone passes the projection and the MLP.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`, the class token first
    /// - output: `[batch, 1, embed_dim]`
    pub fn forward_class_token(
        &self,
        tokens: Tensor<3>,
        scales: Option<&BranchScales>,
    ) -> Tensor<3> {
        let normed = layer_norm(&self.norm1, tokens.clone(), self.layer_norm_eps);
        self.class_token(tokens, self.attn.attend(normed), scales)
    }

    /// [`Block::forward_class_token`], and who attended to whom.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`, the class token first
    pub fn forward_class_token_with_weights(&self, tokens: Tensor<3>) -> AttentionOutput {
        let normed = layer_norm(&self.norm1, tokens.clone(), self.layer_norm_eps);
        let (heads, weights) = self.attn.attend_with_weights(normed);
        AttentionOutput { tokens: self.class_token(tokens, heads, None), weights }
    }

    /// As [`Model::heads`](crate::Model::heads).
    pub(super) fn heads(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.attn.attend(layer_norm(&self.norm1, tokens, self.layer_norm_eps))
    }

    /// The tokens that the feed-forward network reads.
    pub(super) fn normed(&self, tokens: Tensor<3>) -> Tensor<3> {
        layer_norm(&self.norm2, tokens, self.layer_norm_eps)
    }

    fn class_token(
        &self,
        tokens: Tensor<3>,
        heads: Tensor<3>,
        scales: Option<&BranchScales>,
    ) -> Tensor<3> {
        let heads = heads.slice_dim(1, 0..1); // [batch, 1, num_heads * head_dim]
        let attended = self.attn.project(heads); // [batch, 1, embed_dim]
        let attended = scaled(attended, scales.map(|scales| &scales.attention));
        self.feed_forward(tokens.slice_dim(1, 0..1) + attended, scales)
    }

    fn feed_forward(&self, tokens: Tensor<3>, scales: Option<&BranchScales>) -> Tensor<3> {
        let normed = self.normed(tokens.clone());
        tokens + scaled(self.mlp.forward(normed), scales.map(|scales| &scales.mlp))
    }
}
