//! What the layers of all families are made of.

use burn::{
    module::{Initializer, ModuleMapper, Param},
    nn,
    tensor::{Device, Distribution, Tensor},
};

/// A weight of zeros: nearly all are replaced by those of a checkpoint, which drawing them would delay.
pub(crate) fn weight<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Initializer::Zeros.init(shape, device)
}

/// Draws every weight from a normal distribution, as timm does.
pub(crate) struct Draw;

impl ModuleMapper for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match D {
            1 => param, // a bias or a norm
            _ => param.map(|zeros| {
                let is_learnt = zeros.is_require_grad();
                zeros.random_like(Distribution::Normal(0.0, 0.02)).set_require_grad(is_learnt)
            }),
        }
    }
}

pub(crate) fn linear(d_input: usize, d_output: usize, device: &Device) -> nn::Linear {
    let bias = Initializer::Zeros.init([d_output], device);
    nn::Linear { weight: weight([d_input, d_output], device), bias: Some(bias) }
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
