//! Attention as models call it: shapes are checked here, and the path is chosen.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::flex;
use crate::plain;

/// Multi-head self-attention from a fused projection: per head
/// `softmax(Q K^T / sqrt(head_dim)) V`, the heads side by side.
///
/// Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.2,
/// <https://arxiv.org/abs/1706.03762>. The order `[3, num_heads, head_dim]` is that of timm's `qkv`.
///
/// # Shapes
/// - qkv: `[batch, seq, 3 * num_heads * head_dim]`
/// - output: `[batch, seq, num_heads * head_dim]`
///
/// # Panics
/// If `qkv` is empty, its last dimension is not a multiple of `3 * num_heads`, or `num_heads` is 0.
pub fn attention(qkv: Tensor<3>, num_heads: usize) -> Tensor<3> {
    check_projection(&qkv, num_heads);
    #[cfg(feature = "flex")]
    if flex::takes(&qkv) {
        return flex::attention(qkv, num_heads);
    }
    plain::attention(qkv, None, num_heads).0
}

/// [`attention`] and its weights, `softmax(Q K^T / sqrt(head_dim))`.
///
/// On a device with autodiff this is made of separate operations and slower than [`attention`].
///
/// # Shapes
/// - qkv: `[batch, seq, 3 * num_heads * head_dim]`
/// - outputs: `[batch, seq, num_heads * head_dim]` and `[batch, num_heads, queries, keys]`
///
/// # Panics
/// As [`attention`].
pub fn attention_with_weights(qkv: Tensor<3>, num_heads: usize) -> (Tensor<3>, Tensor<4>) {
    check_projection(&qkv, num_heads);
    #[cfg(feature = "flex")]
    if flex::takes(&qkv) && !qkv.device().is_autodiff() {
        return flex::attention_with_weights(qkv, num_heads);
    }
    plain::attention(qkv, None, num_heads)
}

/// [`attention`] with a bias of the scores: per head
/// `softmax(Q K^T / sqrt(head_dim) + bias) V`, the heads side by side.
///
/// The images of `qkv` may come in groups that share a bias, as the windows of an image do that
/// lie in the same place: entry `i` takes `bias[i % groups]`. Pairs that are masked out have a large
/// negative bias, a finite one.
///
/// Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
/// 2021, equation 4, <https://arxiv.org/abs/2103.14030>, whose masks hold -100.
///
/// # Shapes
/// - qkv: `[batch * groups, seq, 3 * num_heads * head_dim]`, the batch outermost
/// - bias: `[groups, num_heads, seq, seq]`, of queries by keys; `groups` is 1 where all windows share
///   the bias, otherwise the number of windows of an image
/// - output: `[batch * groups, seq, num_heads * head_dim]`
///
/// # Panics
/// As [`attention`], and if the shape of the bias is another or its groups do not divide the first
/// dimension of `qkv`.
pub fn biased_attention(qkv: Tensor<3>, bias: Tensor<4>, num_heads: usize) -> Tensor<3> {
    check_projection(&qkv, num_heads);
    check_bias(&qkv, &bias, num_heads);
    #[cfg(feature = "flex")]
    if flex::takes(&qkv) && flex::takes(&bias) {
        return flex::biased_attention(qkv, bias, num_heads);
    }
    plain::attention(qkv, Some(bias), num_heads).0
}

/// [`biased_attention`] and its weights, `softmax(Q K^T / sqrt(head_dim) + bias)`.
///
/// On a device with autodiff this is made of separate operations and slower than
/// [`biased_attention`].
///
/// # Shapes
/// - qkv: `[batch * groups, seq, 3 * num_heads * head_dim]`, the batch outermost
/// - bias: `[groups, num_heads, seq, seq]`
/// - outputs: `[batch * groups, seq, num_heads * head_dim]` and
///   `[batch * groups, num_heads, queries, keys]`
///
/// # Panics
/// As [`biased_attention`].
pub fn biased_attention_with_weights(
    qkv: Tensor<3>,
    bias: Tensor<4>,
    num_heads: usize,
) -> (Tensor<3>, Tensor<4>) {
    check_projection(&qkv, num_heads);
    check_bias(&qkv, &bias, num_heads);
    #[cfg(feature = "flex")]
    if [qkv.device(), bias.device()].iter().all(|device| !device.is_autodiff())
        && flex::takes(&qkv)
        && flex::takes(&bias)
    {
        return flex::biased_attention_with_weights(qkv, bias, num_heads);
    }
    plain::attention(qkv, Some(bias), num_heads)
}

fn check_projection(qkv: &Tensor<3>, num_heads: usize) {
    let [batch, seq, width] = qkv.dims();
    // Matrix products of burn's backends are not made for empty matrices.
    assert!(
        batch * seq * width > 0,
        "attention: qkv is [{batch}, {seq}, {width}], wanted at least one element"
    );
    assert!(
        num_heads > 0 && width.is_multiple_of(3 * num_heads),
        "attention: the last dimension of qkv is {width}, wanted a multiple of 3 * {num_heads} heads"
    );
}

fn check_bias(qkv: &Tensor<3>, bias: &Tensor<4>, num_heads: usize) {
    let [batch, seq, _] = qkv.dims();
    let [groups, rest @ ..] = bias.dims();
    assert_eq!(
        rest,
        [num_heads, seq, seq],
        "biased_attention: dimensions of the bias after the first, for {num_heads} heads and {seq} \
         tokens"
    );
    assert!(
        groups > 0 && batch.is_multiple_of(groups),
        "biased_attention: the first dimension of qkv is {batch}, wanted a multiple of the {groups} \
         groups of the bias"
    );
}
