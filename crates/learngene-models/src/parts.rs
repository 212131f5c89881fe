//! What the layers of all families are made of.

use burn::{
    module::{Initializer, Param},
    nn,
    tensor::{Device, Tensor},
};

/// Draws a weight as timm does, from a normal distribution.
pub(crate) fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Initializer::Normal { mean: 0.0, std: 0.02 }.init(shape, device)
}

pub(crate) fn linear(d_input: usize, d_output: usize, device: &Device) -> nn::Linear {
    let bias = Initializer::Zeros.init([d_output], device);
    nn::Linear { weight: normal([d_input, d_output], device), bias: Some(bias) }
}

pub(crate) fn norm(width: usize, device: &Device) -> nn::LayerNorm {
    nn::LayerNormConfig::new(width).init(device)
}

/// `x * weight + bias`
pub(crate) fn apply<const D: usize>(layer: &nn::Linear, x: Tensor<D>) -> Tensor<D> {
    learngene_kernels::linear(x, layer.weight.val(), bias(layer))
}

pub(crate) fn bias(layer: &nn::Linear) -> Tensor<1> {
    layer.bias.as_ref().expect("every linear layer but a reduction has a bias").val()
}

pub(crate) fn layer_norm(norm: &nn::LayerNorm, tokens: Tensor<3>, eps: f64) -> Tensor<3> {
    let bias = norm.beta.as_ref().expect("every norm has a bias").val();
    learngene_kernels::layer_norm(tokens, norm.gamma.val(), bias, eps)
}
