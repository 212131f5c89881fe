//! Multi-head self-attention with timm's fused `qkv`.

use burn::{
    module::{Module, Param},
    nn,
    tensor::{Device, Tensor},
};
use learngene_shape::{Axis, Field, LayerShape};

use crate::{
    parts::{apply, linear, weight},
    windows,
};

/// Multi-head self-attention, `softmax(Q K^T / sqrt(head_dim) + B) V`, with one fused projection:
/// among all tokens, or among those of each window, with or without a bias B of relative positions.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[embed_dim, 3 * num_heads * head_dim]`, outputs ordered as in
    /// [`HeadLayout`](learngene_shape::HeadLayout).
    pub qkv: nn::Linear,
    /// `[num_heads * head_dim, embed_dim]`
    pub proj: nn::Linear,
    /// What each head adds to the score of a pair of tokens, by the key's position relative to the
    /// query: `[(2 window - 1)^2, num_heads]`.
    pub relative_position_bias_table: Option<Param<Tensor<2>>>,
    num_heads: usize,
    #[module(skip)]
    field: Field,
}

impl Attention {
    /// Attention without a bias.
    pub(crate) fn new(shape: LayerShape, device: &Device) -> Self {
        let LayerShape { embed_dim, heads, field, .. } = shape;
        Self {
            qkv: linear(embed_dim, 3 * heads.attention_dim(), device),
            proj: linear(heads.attention_dim(), embed_dim, device),
            relative_position_bias_table: None,
            num_heads: heads.num_heads,
            field,
        }
    }

    /// The same with a bias of relative positions.
    pub(crate) fn with_relative_positions(mut self, device: &Device) -> Self {
        let positions = Axis::Window { side: self.field.window }.len();
        self.relative_position_bias_table = Some(weight([positions, self.num_heads], device));
        self
    }

    /// Cuts tokens into the windows that [`Attention::attend`] reads.
    pub(crate) fn cut(&self, tokens: Tensor<3>) -> Tensor<3> {
        windows::cut(self.field, tokens)
    }

    /// Puts windows together again, the inverse of [`Attention::cut`].
    pub(crate) fn join(&self, windows: Tensor<3>) -> Tensor<3> {
        windows::join(self.field, windows)
    }

    /// What every head makes of the tokens, before the output projection. `observe` is called with
    /// the weights after softmax, `[batch * windows, num_heads, queries, keys]`.
    ///
    /// # Shapes
    /// - windows: `[batch * windows, seq, embed_dim]`
    /// - output: `[batch * windows, seq, num_heads * head_dim]`
    pub(crate) fn attend(
        &self,
        windows: Tensor<3>,
        observe: Option<&mut dyn FnMut(Tensor<4>)>,
    ) -> Tensor<3> {
        use learngene_kernels as kernels;
        let qkv = apply(&self.qkv, windows); // [batch * windows, seq, 3 * num_heads * head_dim]
        let (bias, num_heads) = (self.bias(), self.num_heads);
        let Some(observe) = observe else {
            return match bias {
                None => kernels::attention(qkv, num_heads),
                Some(bias) => kernels::biased_attention(qkv, bias, num_heads),
            };
        };
        let (heads, weights) = match bias {
            None => kernels::attention_with_weights(qkv, num_heads),
            Some(bias) => kernels::biased_attention_with_weights(qkv, bias, num_heads),
        };
        observe(weights);
        heads
    }

    /// The output projection: `[.., seq, num_heads * head_dim]` to `[.., seq, embed_dim]`.
    pub(crate) fn project(&self, heads: Tensor<3>) -> Tensor<3> {
        apply(&self.proj, heads)
    }

    /// What is added to the scores: `[windows or 1, num_heads, queries, keys]`.
    fn bias(&self) -> Option<Tensor<4>> {
        let table = self.relative_position_bias_table.as_ref()?.val();
        let (device, tokens) = (table.device(), self.field.window.pow(2));
        let bias = table
            .select(0, windows::relative_positions(self.field, &device)) // [window^4, num_heads]
            .reshape([tokens, tokens, self.num_heads])
            .permute([2, 0, 1])
            .unsqueeze_dim(0); // [1, num_heads, queries, keys]
        let Some(mask) = windows::mask(self.field, &device) else { return Some(bias) };
        let mask = mask.cast(bias.dtype());
        Some(bias + mask.unsqueeze_dim(1)) // [windows, num_heads, queries, keys]
    }
}
