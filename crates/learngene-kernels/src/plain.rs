//! The operations as their equations, in burn's own terms.

use burn::tensor::{Tensor, activation, module};

pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}

pub(crate) fn softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    activation::softmax(x * scale, D - 1)
}

pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    module::layer_norm(x, weight, Some(bias), eps)
}
