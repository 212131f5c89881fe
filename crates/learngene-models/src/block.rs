//! One pre-norm transformer layer.

use burn::{
    module::Module,
    nn,
    tensor::{Device, Tensor},
};
use learngene_shape::{LayerShape, Part};

use crate::{
    Attention, BranchScales, Mlp,
    parts::{layer_norm, norm},
};

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

/// How a layer is run; by default all tokens pass through it as they are.
#[derive(Default)]
pub(crate) struct Pass<'a> {
    /// Whether only the first token passes the projection and the FFN: all that a classifier reads
    /// of a ViT's last layer. Every token is attended to.
    pub first_token_alone: bool,
    /// Factors of the residual branches.
    pub scales: Option<&'a BranchScales>,
    /// Called with the attention after softmax, `[batch * windows, num_heads, queries, keys]`.
    pub observe: Option<&'a mut dyn FnMut(Tensor<4>)>,
}

impl Block {
    pub(crate) fn new(shape: LayerShape, layer_norm_eps: f64, device: &Device) -> Self {
        Self {
            norm1: norm(shape.embed_dim, device),
            attn: Attention::new(shape, device),
            norm2: norm(shape.embed_dim, device),
            mlp: Mlp::new(shape, device),
            layer_norm_eps,
        }
    }

    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[batch, seq, embed_dim]`, or `[batch, 1, embed_dim]` of the first token alone
    pub(crate) fn forward(&self, tokens: Tensor<3>, pass: Pass<'_>) -> Tensor<3> {
        let mut heads = self.attend(tokens.clone(), pass.observe);
        if pass.first_token_alone {
            heads = heads.slice_dim(1, 0..1); // [batch, 1, num_heads * head_dim]
        }
        // The projection works window by window, so that sums over tokens keep their order.
        let attended = self.attn.join(self.attn.project(heads));
        let attended = scaled(attended, pass.scales.map(|scales| &scales.attention));
        let tokens = if pass.first_token_alone { tokens.slice_dim(1, 0..1) } else { tokens };
        let tokens = tokens + attended;
        let added = self.feed_forward(tokens.clone());
        tokens + scaled(added, pass.scales.map(|scales| &scales.mlp))
    }

    /// As [`Model::heads`](crate::Model::heads).
    pub(crate) fn heads(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.attn.join(self.attend(tokens, None))
    }

    /// As [`Model::hidden`](crate::Model::hidden).
    pub(crate) fn hidden(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.mlp.hidden(self.normed(Part::Ffn, tokens))
    }

    /// As [`Model::feed_forward`](crate::Model::feed_forward).
    pub(crate) fn feed_forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.mlp.forward(self.normed(Part::Ffn, tokens))
    }

    /// As [`Model::normed`](crate::Model::normed).
    pub(crate) fn normed(&self, part: Part, tokens: Tensor<3>) -> Tensor<3> {
        let norm = match part {
            Part::Norm1 | Part::Attention => &self.norm1,
            Part::Norm2 | Part::Ffn => &self.norm2,
        };
        layer_norm(norm, tokens, self.layer_norm_eps)
    }

    /// What every head makes of the tokens: `[batch * windows, seq, num_heads * head_dim]`.
    fn attend(&self, tokens: Tensor<3>, observe: Option<&mut dyn FnMut(Tensor<4>)>) -> Tensor<3> {
        let normed = self.normed(Part::Attention, tokens);
        self.attn.attend(self.attn.cut(normed), observe)
    }
}

/// A branch times its factors, where it has some.
fn scaled(branch: Tensor<3>, scale: Option<&Tensor<3>>) -> Tensor<3> {
    match scale {
        Some(scale) => branch * scale.clone(),
        None => branch,
    }
}
