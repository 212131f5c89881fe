//! Multi-head self-attention with timm's fused `qkv`.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};

use super::linear;
use crate::HeadLayout;

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
    pub fn forward(&self, tokens: Tensor<3>) -> AttentionOutput {
        let [batch, seq, _] = tokens.dims();
        let HeadLayout { num_heads, head_dim } = self.head_layout();

        let qkv = self
            .qkv
            .forward(tokens) // [batch, seq, 3 * num_heads * head_dim]
            .reshape([batch, seq, 3, num_heads, head_dim])
            .permute([2, 0, 3, 1, 4]); // [3, batch, num_heads, seq, head_dim]
        let [query, key, value] = [0, 1, 2].map(|role| {
            qkv.clone().slice_dim(0, role..role + 1).squeeze_dim::<4>(0) // [batch, num_heads, seq, head_dim]
        });

        let scale = 1.0 / (head_dim as f64).sqrt();
        let weights = learngene_kernels::softmax(query.matmul(key.swap_dims(2, 3)), scale); // [batch, num_heads, seq, seq]
        let mixed = weights
            .clone()
            .matmul(value)
            .swap_dims(1, 2) // [batch, seq, num_heads, head_dim]
            .reshape([batch, seq, num_heads * head_dim]);

        AttentionOutput { tokens: self.proj.forward(mixed), weights }
    }
}
