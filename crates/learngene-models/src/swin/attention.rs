//! Multi-head self-attention inside windows, with a bias for each relative position.

use burn::{
    module::{Initializer, Module, Param},
    nn,
    tensor::{Device, Tensor},
};

use super::windows::Windows;
use crate::{
    AttentionOutput, HeadLayout, LayerShape,
    parts::{INIT_STD, apply, linear},
};

/// `softmax(Q K^T / sqrt(head_dim) + B) V` inside each window, with one fused projection.
#[derive(Module, Debug)]
pub struct WindowAttention {
    /// `[embed_dim, 3 * num_heads * head_dim]`, outputs ordered as in [`HeadLayout`].
    pub qkv: nn::Linear,
    /// `[num_heads * head_dim, embed_dim]`
    pub proj: nn::Linear,
    /// What each head adds to the score of a pair of tokens, by the key's position relative to the
    /// query: `[(2 window - 1)^2, num_heads]`.
    pub relative_position_bias_table: Param<Tensor<2>>,
    num_heads: usize,
    head_dim: usize,
}

impl WindowAttention {
    pub(super) fn new(shape: LayerShape, device: &Device) -> Self {
        let LayerShape { embed_dim, heads, relative_positions, .. } = shape;
        let positions = relative_positions.expect("a Swin's layer has relative positions");
        let normal = Initializer::Normal { mean: 0.0, std: INIT_STD };
        Self {
            qkv: linear(embed_dim, 3 * heads.attention_dim(), device),
            proj: linear(heads.attention_dim(), embed_dim, device),
            relative_position_bias_table: normal.init([positions, heads.num_heads], device),
            num_heads: heads.num_heads,
            head_dim: heads.head_dim,
        }
    }

    /// Where this layer's heads lie in its weights.
    pub fn head_layout(&self) -> HeadLayout {
        HeadLayout { num_heads: self.num_heads, head_dim: self.head_dim }
    }

    /// # Shapes
    /// - windows: `[batch * windows, window^2, embed_dim]`
    /// - output: the same
    pub(super) fn forward(&self, windows: Tensor<3>, places: Windows) -> Tensor<3> {
        self.project(self.attend(windows, places))
    }

    /// What every head makes of the tokens, before the output projection.
    ///
    /// # Shapes
    /// - windows: `[batch * windows, window^2, embed_dim]`
    /// - output: `[batch * windows, window^2, num_heads * head_dim]`
    pub(super) fn attend(&self, windows: Tensor<3>, places: Windows) -> Tensor<3> {
        let qkv = apply(&self.qkv, windows); // [batch * windows, window^2, 3 * num_heads * head_dim]
        learngene_kernels::biased_attention(qkv, self.bias(places), self.num_heads)
    }

    /// `[batch * windows, window^2, num_heads * head_dim]` to the same of width `embed_dim`.
    pub(super) fn project(&self, heads: Tensor<3>) -> Tensor<3> {
        apply(&self.proj, heads)
    }

    /// [`WindowAttention::forward`], and who attended to whom:
    /// `[batch * windows, num_heads, queries, keys]`.
    pub(super) fn forward_with_weights(
        &self,
        windows: Tensor<3>,
        places: Windows,
    ) -> AttentionOutput {
        let qkv = apply(&self.qkv, windows);
        let bias = self.bias(places);
        let (heads, weights) =
            learngene_kernels::biased_attention_with_weights(qkv, bias, self.num_heads);
        AttentionOutput { tokens: self.project(heads), weights }
    }

    /// What is added to the scores: `[windows or 1, num_heads, queries, keys]`.
    fn bias(&self, places: Windows) -> Tensor<4> {
        let table = self.relative_position_bias_table.val();
        let (device, tokens) = (table.device(), places.window.pow(2));
        let bias = table
            .select(0, places.relative_positions(&device)) // [window^4, num_heads]
            .reshape([tokens, tokens, self.num_heads])
            .permute([2, 0, 1])
            .unsqueeze_dim(0); // [1, num_heads, queries, keys]
        match places.mask(&device) {
            Some(mask) => {
                let mask = mask.cast(bias.dtype());
                bias + mask.unsqueeze_dim(1) // [windows, num_heads, queries, keys]
            }
            None => bias,
        }
    }
}
