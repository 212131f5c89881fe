//! Multi-head self-attention with timm's fused `qkv`.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use crate::{
    HeadLayout,
    parts::{apply, linear},
};

/// Multi-head self-attention, `softmax(Q K^T / sqrt(head_dim)) V`, with one fused projection.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[embed_dim, 3 * num_heads * head_dim]`, outputs ordered as in [`HeadLayout`].
    pub qkv: nn::Linear,
    /// `[num_heads * head_dim, embed_dim]`
    pub proj: nn::Linear,
    num_heads: usize,
    head_dim: usize,
}

/// What an attention layer computes.
pub struct AttentionOutput {
    /// `[batch, seq, embed_dim]`
    pub tokens: Tensor<3>,
    /// After softmax: `[batch, num_heads, queries, keys]`.
    pub weights: Tensor<4>,
}

impl Attention {
    pub(super) fn new(embed_dim: usize, layout: HeadLayout, device: &Device) -> Self {
        Self {
            qkv: linear(embed_dim, 3 * layout.attention_dim(), device),
            proj: linear(layout.attention_dim(), embed_dim, device),
            num_heads: layout.num_heads,
            head_dim: layout.head_dim,
        }
    }

    /// Where this layer's heads lie in its weights.
    pub fn head_layout(&self) -> HeadLayout {
        HeadLayout { num_heads: self.num_heads, head_dim: self.head_dim }
    }

    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, embed_dim]`
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.project(self.attend(tokens))
    }

    /// What every head makes of the tokens, before the output projection.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, num_heads * head_dim]`
    pub(super) fn attend(&self, tokens: Tensor<3>) -> Tensor<3> {
        let qkv = apply(&self.qkv, tokens); // [batch, seq, 3 * num_heads * head_dim]
        learngene_kernels::attention(qkv, self.num_heads)
    }

    /// `[batch, seq, num_heads * head_dim]` to `[batch, seq, embed_dim]`.
    pub(super) fn project(&self, heads: Tensor<3>) -> Tensor<3> {
        apply(&self.proj, heads)
    }

    /// [`Attention::forward`], and who attended to whom.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    pub fn forward_with_weights(&self, tokens: Tensor<3>) -> AttentionOutput {
        let (heads, weights) = self.attend_with_weights(tokens);
        AttentionOutput { tokens: self.project(heads), weights }
    }

    /// [`Attention::attend`], and the weights `[batch, num_heads, queries, keys]`.
    pub(super) fn attend_with_weights(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let qkv = apply(&self.qkv, tokens); // [batch, seq, 3 * num_heads * head_dim]
        learngene_kernels::attention_with_weights(qkv, self.num_heads)
    }
}
