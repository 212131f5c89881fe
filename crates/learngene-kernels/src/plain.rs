//! The operations as their equations, in burn's own terms.

use burn::tensor::{DType, Tensor, activation, module};

use crate::AdamWStep;

/// Not burn's own operation, whose gradient is that of the approximation by tanh on all backends but
/// Flex: off by up to 5e-4.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_f32(x, |x| {
        let erf = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf();
        x * (erf + 1.0) * 0.5
    })
}

pub(crate) fn softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    in_f32(x, |x| activation::softmax(x * scale, D - 1))
}

pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let [weight, bias] = [weight, bias].map(wide);
    in_f32(x, |x| module::layer_norm(x, weight, Some(bias), eps))
}

/// Computes in f32 what sums over many numbers, or cancels as 1 + erf does, where these are shorter.
fn in_f32<const D: usize>(
    x: Tensor<D>,
    operation: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let dtype = x.dtype();
    operation(wide(x)).cast(dtype)
}

/// In f32 at least.
fn wide<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x,
    }
}

pub(crate) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<D> {
    module::linear(x, weight, Some(bias))
}

pub(crate) fn mlp<const D: usize>(
    x: Tensor<D>,
    [w1, w2]: [Tensor<2>; 2],
    [b1, b2]: [Tensor<1>; 2],
) -> Tensor<D> {
    crate::linear(crate::gelu(crate::linear(x, w1, b1)), w2, b2)
}

pub(crate) fn adamw<const D: usize>(
    [parameter, moment_1, moment_2]: [Tensor<D>; 3],
    gradient: Tensor<D>,
    step: AdamWStep,
) -> [Tensor<D>; 3] {
    let AdamWStep { learning_rate, betas: (beta_1, beta_2), epsilon, weight_decay, .. } = step;
    let [correction_1, correction_2] = step.corrections();

    let moment_1 = moment_1 * beta_1 + gradient.clone() * (1.0 - beta_1);
    let moment_2 = moment_2 * beta_2 + gradient.square() * (1.0 - beta_2);
    let update =
        (moment_1.clone() / correction_1) / ((moment_2.clone() / correction_2).sqrt() + epsilon);
    let parameter = parameter * (1.0 - learning_rate * weight_decay) - update * learning_rate;
    [parameter, moment_1, moment_2]
}

/// Tokens and weights; the softmax between the products is fused where it can be.
pub(crate) fn attention(
    qkv: Tensor<3>,
    bias: Option<Tensor<4>>,
    num_heads: usize,
) -> (Tensor<3>, Tensor<4>) {
    let [batch, seq, width] = qkv.dims();
    let head_dim = width / 3 / num_heads;
    let qkv = qkv.reshape([batch, seq, 3, num_heads, head_dim]).permute([2, 0, 3, 1, 4]); // [3, batch, num_heads, seq, head_dim]
    let [query, key, value] = [0, 1, 2].map(|role| {
        qkv.clone().slice_dim(0, role..role + 1).squeeze_dim::<4>(0) // [batch, num_heads, seq, head_dim]
    });

    let scores = query.matmul(key.swap_dims(2, 3)); // [batch, num_heads, seq, seq]
    let scale = 1.0 / (head_dim as f64).sqrt();
    let weights = match bias {
        None => crate::softmax(scores, scale),
        Some(bias) => crate::softmax(add_bias(scores * scale, bias), 1.0),
    };
    let tokens = weights
        .clone()
        .matmul(value)
        .swap_dims(1, 2) // [batch, seq, num_heads, head_dim]
        .reshape([batch, seq, num_heads * head_dim]);
    (tokens, weights)
}

/// Adds `bias[i % groups]` to the scores `i`.
fn add_bias(scores: Tensor<4>, bias: Tensor<4>) -> Tensor<4> {
    let [batch, num_heads, seq, _] = scores.dims();
    let [groups, ..] = bias.dims();
    let scores = scores.reshape([batch / groups, groups, num_heads, seq, seq]);
    (scores + bias.unsqueeze()).reshape([batch, num_heads, seq, seq])
}
