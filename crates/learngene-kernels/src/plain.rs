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

/// Tokens and weights; the softmax between the products is fused where it can be.
pub(crate) fn attention(qkv: Tensor<3>, num_heads: usize) -> (Tensor<3>, Tensor<4>) {
    let [batch, seq, width] = qkv.dims();
    let head_dim = width / 3 / num_heads;
    let qkv = qkv.reshape([batch, seq, 3, num_heads, head_dim]).permute([2, 0, 3, 1, 4]); // [3, batch, num_heads, seq, head_dim]
    let [query, key, value] = [0, 1, 2].map(|role| {
        qkv.clone().slice_dim(0, role..role + 1).squeeze_dim::<4>(0) // [batch, num_heads, seq, head_dim]
    });

    let scores = query.matmul(key.swap_dims(2, 3)); // [batch, num_heads, seq, seq]
    let weights = crate::softmax(scores, 1.0 / (head_dim as f64).sqrt());
    let tokens = weights
        .clone()
        .matmul(value)
        .swap_dims(1, 2) // [batch, seq, num_heads, head_dim]
        .reshape([batch, seq, num_heads * head_dim]);
    (tokens, weights)
}
