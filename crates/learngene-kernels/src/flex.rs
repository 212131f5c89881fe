//! The fused operations, of tensors of the Flex backend.
//!
//! One file an operation, from tensors at its top to loops over slices at its end.

mod adamw;
mod attention;
mod buffer;
mod extension;
mod gelu;
mod gemm;
mod layer_norm;
mod linear;
mod math;
mod mlp;
mod softmax;

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{DType, Tensor};

use self::extension::{FusedForward, FusedOps};
use crate::{AdamWStep, switch::fused};

/// Whether the fused path is on and made for this tensor.
pub(crate) fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    fused()
        && math::fast_on_this_cpu()
        && x.dtype() == DType::F32
        && x.shape().num_elements() > 0
        && match x.device().as_dispatch() {
            DispatchDevice::Flex(_) => true,
            DispatchDevice::Autodiff(device) => matches!(**device, DispatchDevice::Flex(_)),
            #[allow(unreachable_patterns)] // Reachable as soon as burn has another backend.
            _ => false,
        }
}

/// See [`crate::gelu`]; the tensor must be one that [`takes`] accepts.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// See [`crate::softmax`]; the tensor must be one that [`takes`] accepts.
pub(crate) fn softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_softmax(x.into_dispatch(), scale))
}

/// See [`crate::layer_norm`]; the tensors must be ones that [`takes`] accepts.
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_layer_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        eps,
    ))
}

/// See [`crate::linear`]; the tensors must be ones that [`takes`] accepts.
pub(crate) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_linear(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// See [`crate::mlp`]; the tensors must be ones that [`takes`] accepts.
pub(crate) fn mlp<const D: usize>(
    x: Tensor<D>,
    [w1, w2]: [Tensor<2>; 2],
    [b1, b2]: [Tensor<1>; 2],
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_mlp(
        x.into_dispatch(),
        w1.into_dispatch(),
        b1.into_dispatch(),
        w2.into_dispatch(),
        b2.into_dispatch(),
    ))
}

/// See [`crate::adamw`]; the tensors must be ones that [`takes`] accepts, on a device without
/// autodiff.
pub(crate) fn adamw<const D: usize>(
    tensors: [Tensor<D>; 3],
    gradient: Tensor<D>,
    step: AdamWStep,
) -> [Tensor<D>; 3] {
    let [parameter, moment_1, moment_2] = tensors.map(Tensor::into_dispatch);
    let gradient = gradient.into_dispatch();
    let (parameter, moment_1, moment_2) =
        Dispatch::fused_adamw(parameter, moment_1, moment_2, gradient, step);
    [parameter, moment_1, moment_2].map(Tensor::from_dispatch)
}

/// See [`crate::attention`]; the tensor must be one that [`takes`] accepts.
pub(crate) fn attention(qkv: Tensor<3>, num_heads: usize) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::fused_attention(qkv.into_dispatch(), num_heads))
}

/// See [`crate::attention_with_weights`]; the tensor must be one that [`takes`] accepts, on a
/// device without autodiff.
pub(crate) fn attention_with_weights(qkv: Tensor<3>, num_heads: usize) -> (Tensor<3>, Tensor<4>) {
    let qkv = qkv.into_dispatch();
    let (tokens, weights) = Dispatch::fused_attention_with_weights(qkv, num_heads);
    (Tensor::from_dispatch(tokens), Tensor::from_dispatch(weights))
}

/// See [`crate::biased_attention`]; the tensors must be ones that [`takes`] accepts.
pub(crate) fn biased_attention(qkv: Tensor<3>, bias: Tensor<4>, num_heads: usize) -> Tensor<3> {
    let (qkv, bias) = (qkv.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_biased_attention(qkv, bias, num_heads))
}

/// See [`crate::biased_attention_with_weights`]; the tensors must be ones that [`takes`] accepts, on
/// a device without autodiff.
pub(crate) fn biased_attention_with_weights(
    qkv: Tensor<3>,
    bias: Tensor<4>,
    num_heads: usize,
) -> (Tensor<3>, Tensor<4>) {
    let (qkv, bias) = (qkv.into_dispatch(), bias.into_dispatch());
    let (tokens, weights) = Dispatch::fused_biased_attention_with_weights(qkv, bias, num_heads);
    (Tensor::from_dispatch(tokens), Tensor::from_dispatch(weights))
}
