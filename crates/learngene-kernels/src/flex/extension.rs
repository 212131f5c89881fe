//! The fused operations as burn's dispatch sees them: traits of its extension mechanism, implemented
//! for the Flex backend (values) and for its autodiff decoration (values and gradients).

use burn::backend::{
    Autodiff, Backend, Flex, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
    tensor::FloatTensor,
};

use super::{adamw, attention, gelu, layer_norm, linear, mlp, softmax};
use crate::AdamWStep;

/// Operations with a backward pass.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedOps: Backend {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self>;
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self>;
    fn fused_attention(qkv: FloatTensor<Self>, num_heads: usize) -> FloatTensor<Self>;
    fn fused_biased_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        num_heads: usize,
    ) -> FloatTensor<Self>;
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn fused_mlp(
        x: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        b2: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Operations without a backward pass, for an operation on burn's graph has one output.
#[backend_extension(Flex)]
pub(crate) trait FusedForward: Backend {
    fn fused_attention_with_weights(
        qkv: FloatTensor<Self>,
        num_heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn fused_biased_attention_with_weights(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        num_heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn fused_adamw(
        parameter: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl FusedForward for Flex {
    fn fused_attention_with_weights(
        qkv: FloatTensor<Self>,
        num_heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        attention::forward_with_weights(qkv, num_heads)
    }

    fn fused_biased_attention_with_weights(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        num_heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        attention::biased::forward_with_weights(qkv, bias, num_heads)
    }

    fn fused_adamw(
        parameter: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [parameter, moment_1, moment_2] =
            adamw::step([parameter, moment_1, moment_2], gradient, &step);
        (parameter, moment_1, moment_2)
    }
}

impl FusedOps for Flex {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::forward(x)
    }

    fn fused_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        softmax::forward(x, scale as f32)
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        layer_norm::forward(x, weight, bias, eps as f32).0
    }

    fn fused_attention(qkv: FloatTensor<Self>, num_heads: usize) -> FloatTensor<Self> {
        attention::forward(qkv, num_heads)
    }

    fn fused_biased_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        num_heads: usize,
    ) -> FloatTensor<Self> {
        attention::biased::forward(qkv, bias, num_heads)
    }

    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        linear::forward(x, weight, bias)
    }

    fn fused_mlp(
        x: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        b2: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        mlp::forward(x, [w1, b1, w2, b2])
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::record::<C>(x)
    }

    fn fused_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        softmax::record::<C>(x, scale as f32)
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        layer_norm::record::<C>(x, weight, bias, eps as f32)
    }

    fn fused_attention(qkv: FloatTensor<Self>, num_heads: usize) -> FloatTensor<Self> {
        attention::record::<C>(qkv, num_heads)
    }

    fn fused_biased_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        num_heads: usize,
    ) -> FloatTensor<Self> {
        attention::biased::record::<C>(qkv, bias, num_heads)
    }

    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        linear::record::<C>(x, weight, bias)
    }

    fn fused_mlp(
        x: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        b2: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        mlp::record::<C>(x, [w1, b1, w2, b2])
    }
}
