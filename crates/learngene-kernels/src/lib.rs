#![doc = include_str!("../README.md")]
//!
//! Every function takes tensors of any device and dtype. With the crate feature `flex`, `f32`
//! tensors of burn's Flex backend (with and without autodiff) take the fused path, all others
//! burn's own operations, which are also what the fused path is tested against. On x86 the fused
//! path needs AVX2 and FMA.
//! [`set_fused`] turns the fused path off at run time, to compare the two.
//!
//! The fused path sums up in an order that the number of threads does not change, so its results do
//! not depend on it. Its own loops round the same with AVX2 and with AVX-512; matrix products, which
//! the crate gemm computes, sum up in blocks that depend on the processor.

mod attention;
#[cfg(feature = "flex")]
mod flex;
mod plain;
mod switch;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::tensor::Tensor;

pub use attention::{
    attention, attention_with_weights, biased_attention, biased_attention_with_weights,
};
pub use switch::{fused, set_fused};

/// Gaussian error linear unit, exact: `x * (1 + erf(x / sqrt(2))) / 2`.
///
/// Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016,
/// <https://arxiv.org/abs/1606.08415>.
///
/// # Shapes
/// - x, output: any
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if flex::takes(&x) {
        return flex::gelu(x);
    }
    plain::gelu(x)
}

/// Softmax of scaled scores over the last dimension: `softmax(scale * x)`.
///
/// # Shapes
/// - x, output: `[.., classes]`
pub fn softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if flex::takes(&x) {
        return flex::softmax(x, scale);
    }
    plain::softmax(x, scale)
}

/// Layer normalisation over the last dimension:
/// `(x - mean) / sqrt(variance + eps) * weight + bias`, the variance divided by `embed_dim`.
///
/// Source: Ba, Kiros and Hinton, "Layer Normalization", 2016, <https://arxiv.org/abs/1607.06450>.
///
/// # Shapes
/// - x, output: `[.., embed_dim]`
/// - weight, bias: `[embed_dim]`
///
/// # Panics
/// If weight or bias do not have the length of the last dimension of `x`.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let embed_dim = x.dims()[D - 1];
    for (name, [length]) in [("weight", weight.dims()), ("bias", bias.dims())] {
        assert_eq!(
            length, embed_dim,
            "layer_norm: {name} has {length} elements, the last dimension of x {embed_dim}"
        );
    }
    #[cfg(feature = "flex")]
    if flex::takes(&x) && flex::takes(&weight) && flex::takes(&bias) {
        return flex::layer_norm(x, weight, bias, eps);
    }
    plain::layer_norm(x, weight, bias, eps)
}

/// A linear layer, `x * weight + bias`.
///
/// # Shapes
/// - x: `[.., d_input]`
/// - weight: `[d_input, d_output]`, bias: `[d_output]`
/// - output: `[.., d_output]`
///
/// # Panics
/// If the shapes do not fit each other.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    check_linear("linear", x.dims()[D - 1], weight.dims(), bias.dims());
    #[cfg(feature = "flex")]
    if flex::takes(&x) && flex::takes(&weight) && flex::takes(&bias) {
        return flex::linear(x, weight, bias);
    }
    plain::linear(x, weight, bias)
}

/// The feed-forward network of a transformer layer,
/// `gelu(x * weights[0] + biases[0]) * weights[1] + biases[1]`.
///
/// # Shapes
/// - x: `[.., d_input]`
/// - weights: `[d_input, d_hidden]` and `[d_hidden, d_output]`
/// - biases: `[d_hidden]` and `[d_output]`
/// - output: `[.., d_output]`
///
/// # Panics
/// If the shapes do not fit each other.
pub fn mlp<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<2>; 2],
    biases: [Tensor<1>; 2],
) -> Tensor<D> {
    let [d_hidden] = biases[0].dims();
    check_linear("mlp", x.dims()[D - 1], weights[0].dims(), biases[0].dims());
    check_linear("mlp", d_hidden, weights[1].dims(), biases[1].dims());
    #[cfg(feature = "flex")]
    if flex::takes(&x) && weights.iter().all(flex::takes) && biases.iter().all(flex::takes) {
        return flex::mlp(x, weights, biases);
    }
    plain::mlp(x, weights, biases)
}

/// One step of AdamW on a parameter, `[parameter, moment_1, moment_2]`, of tensors without
/// autodiff: with the gradient `g` and the numbers of [`AdamWStep`]
///
/// ```text
/// moment_1 = beta_1 * moment_1 + (1 - beta_1) * g
/// moment_2 = beta_2 * moment_2 + (1 - beta_2) * g^2
/// update = moment_1 / (1 - beta_1^t) / (sqrt(moment_2 / (1 - beta_2^t)) + epsilon)
/// parameter = (1 - learning_rate * weight_decay) * parameter - learning_rate * update
/// ```
///
/// Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019,
/// <https://arxiv.org/abs/1711.05101>.
///
/// # Shapes
/// - all: any, the same
///
/// # Panics
/// If the shapes differ.
pub fn adamw<const D: usize>(
    tensors: [Tensor<D>; 3],
    gradient: Tensor<D>,
    step: AdamWStep,
) -> [Tensor<D>; 3] {
    for tensor in &tensors {
        assert_eq!(tensor.dims(), gradient.dims(), "adamw: shapes of a tensor and the gradient");
    }
    #[cfg(feature = "flex")]
    if flex::takes(&gradient) && tensors.iter().all(flex::takes) && !gradient.device().is_autodiff()
    {
        return flex::adamw(tensors, gradient, step);
    }
    plain::adamw(tensors, gradient, step)
}

/// The numbers of one step of [`adamw`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Size of a step.
    pub learning_rate: f64,
    /// Decay of the first and the second moment.
    pub betas: (f64, f64),
    /// Keeps the division away from zero.
    pub epsilon: f64,
    /// Share of a parameter that a learning rate of 1 would take away.
    pub weight_decay: f64,
    /// Steps taken, with this one: 1 at the first.
    pub time: usize,
}

impl AdamWStep {
    /// `1 - beta^t` of both moments, by which their start at zero is made up for.
    fn corrections(&self) -> [f64; 2] {
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        [1.0 - self.betas.0.powi(time), 1.0 - self.betas.1.powi(time)]
    }
}

fn check_linear(operation: &str, d_input: usize, weight: [usize; 2], [bias]: [usize; 1]) {
    assert_eq!(
        weight,
        [d_input, bias],
        "{operation}: the weight does not fit an input of {d_input} and a bias of {bias} elements"
    );
}
