//! Multi-head self-attention from a fused projection, head by head. Queries, keys and values are
//! read where they lie, so nothing is permuted or copied as a whole.
//!
//! The weights are not kept for the backward pass: computing them again takes no longer than
//! writing them to memory and reading them back, and needs none.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use burn::tensor::Shape;
use rayon::prelude::*;

use super::buffer::{self, dense};
use super::product::{Matrix, Packed, multiply, multiply_transposed};
use super::softmax;

/// Sizes of one image's fused projection, `[seq, 3, num_heads, head_dim]`.
#[derive(Clone, Copy, Debug)]
struct Heads {
    seq: usize,
    num_heads: usize,
    head_dim: usize,
}

impl Heads {
    fn of(qkv: &FlexTensor, num_heads: usize) -> Self {
        let shape = qkv.layout().shape(); // [batch, seq, 3 * num_heads * head_dim]
        Self { seq: shape[1], num_heads, head_dim: shape[2] / 3 / num_heads }
    }

    /// Width of the tokens: all heads side by side.
    fn width(self) -> usize {
        self.num_heads * self.head_dim
    }

    fn scale(self) -> f32 {
        (1.0 / (self.head_dim as f64).sqrt()) as f32
    }

    /// One head's part of rows in which heads lie side by side, from `start` on.
    fn matrix(self, values: &[f32], start: usize) -> Matrix<'_> {
        Matrix {
            values: &values[start..],
            rows: self.seq,
            width: self.head_dim,
            stride: values.len() / self.seq,
        }
    }

    /// Query, key and value of one head.
    fn query_key_value(self, qkv: &[f32], head: usize) -> [Matrix<'_>; 3] {
        [0, 1, 2].map(|role| self.matrix(qkv, role * self.width() + head * self.head_dim))
    }

    /// Copies one head's rows to where [`Heads::matrix`] would read them.
    fn place(self, values: &mut [f32], start: usize, head: &[f32]) {
        let stride = values.len() / self.seq;
        let rows = values[start..].chunks_mut(stride);
        for (row, head) in rows.zip(head.chunks_exact(self.head_dim)) {
            row[..self.head_dim].copy_from_slice(head);
        }
    }

    /// `softmax(Q K^T / sqrt(head_dim))`: `[seq, seq]`.
    fn weights(self, query: Matrix<'_>, key: Matrix<'_>) -> Vec<f32> {
        let mut weights = multiply(query, &Packed::transposed(key));
        softmax::apply(&mut weights, self.seq, self.scale());
        weights
    }

    /// Tokens and weights of one head: `[seq, head_dim]` and `[seq, seq]`.
    fn forward(self, qkv: &[f32], head: usize) -> [Vec<f32>; 2] {
        let [query, key, value] = self.query_key_value(qkv, head);
        let weights = self.weights(query, key);
        [multiply(Matrix::dense(&weights, self.seq), &Packed::new(value)), weights]
    }

    /// The gradients of one head's query, key and value, each `[seq, head_dim]`.
    ///
    /// With the weights `A`, the scores `S` before softmax and the tokens `O = A V`:
    /// `dV = A^T dO`, `dA = dO V^T`, `dS` as in [`mod@softmax`], `dQ = dS K`, `dK = dS^T Q`.
    fn backward(self, qkv: &[f32], gradient: &[f32], head: usize) -> [Vec<f32>; 3] {
        let [query, key, value] = self.query_key_value(qkv, head);
        let weights = self.weights(query, key);
        let gradient = self.matrix(gradient, head * self.head_dim);

        let mut scores = multiply(gradient, &Packed::transposed(value)); // dA
        softmax::apply_backward(&mut scores, &weights, self.seq, self.scale()); // dS
        let (weights, scores) =
            (Matrix::dense(&weights, self.seq), Matrix::dense(&scores, self.seq));
        [
            multiply(scores, &Packed::new(key)),
            multiply_transposed(scores, &Packed::new(query)),
            multiply_transposed(weights, &Packed::new(gradient)),
        ]
    }
}

/// Tokens `[batch, seq, num_heads * head_dim]`.
pub(crate) fn forward(qkv: FlexTensor, num_heads: usize) -> FlexTensor {
    attend(&dense(qkv), num_heads)
}

fn attend(qkv: &FlexTensor, num_heads: usize) -> FlexTensor {
    let heads = Heads::of(qkv, num_heads);
    let mut tokens = vec![0.0; qkv.layout().num_elements() / 3];
    tokens
        .par_chunks_mut(heads.seq * heads.width())
        .zip(qkv.storage().par_chunks(heads.seq * heads.width() * 3))
        .for_each(|(tokens, qkv)| {
            let all = in_parallel(num_heads, |head| {
                let [head_tokens, _weights] = heads.forward(qkv, head);
                head_tokens
            });
            for (head, head_tokens) in all.iter().enumerate() {
                heads.place(tokens, head * heads.head_dim, head_tokens);
            }
        });
    buffer::new(tokens, with_width(qkv, heads.width()))
}

/// Tokens, and the weights `[batch, num_heads, seq, seq]`.
pub(crate) fn forward_with_weights(qkv: FlexTensor, num_heads: usize) -> (FlexTensor, FlexTensor) {
    let qkv = dense(qkv);
    let heads = Heads::of(&qkv, num_heads);
    let batch = qkv.layout().shape()[0];
    let head_weights = heads.seq * heads.seq;
    let mut tokens = vec![0.0; qkv.layout().num_elements() / 3];
    let mut weights = vec![0.0; batch * num_heads * head_weights];
    tokens
        .par_chunks_mut(heads.seq * heads.width())
        .zip(weights.par_chunks_mut(num_heads * head_weights))
        .zip(qkv.storage().par_chunks(heads.seq * heads.width() * 3))
        .for_each(|((tokens, weights), qkv)| {
            let all = in_parallel(num_heads, |head| heads.forward(qkv, head));
            let weights = weights.chunks_exact_mut(head_weights);
            for ((head, [head_tokens, head_weights]), weights) in
                all.iter().enumerate().zip(weights)
            {
                heads.place(tokens, head * heads.head_dim, head_tokens);
                weights.copy_from_slice(head_weights);
            }
        });
    (
        buffer::new(tokens, with_width(&qkv, heads.width())),
        buffer::new(weights, Shape::new([batch, num_heads, heads.seq, heads.seq])),
    )
}

/// The gradient of `qkv` from that of the tokens.
fn backward(gradient: FlexTensor, qkv: &FlexTensor, num_heads: usize) -> FlexTensor {
    let gradient = dense(gradient);
    let heads = Heads::of(qkv, num_heads);
    let image = heads.seq * heads.width();
    let mut qkv_gradient = vec![0.0; qkv.layout().num_elements()];
    qkv_gradient
        .par_chunks_mut(image * 3)
        .zip(qkv.storage().par_chunks(image * 3))
        .zip(gradient.storage().par_chunks(image))
        .for_each(|((qkv_gradient, qkv), gradient)| {
            let all = in_parallel(num_heads, |head| heads.backward(qkv, gradient, head));
            for (head, roles) in all.iter().enumerate() {
                for (role, values) in roles.iter().enumerate() {
                    let start = role * heads.width() + head * heads.head_dim;
                    heads.place(qkv_gradient, start, values);
                }
            }
        });
    buffer::new(qkv_gradient, qkv.layout().shape().clone())
}

/// What every head computes. Heads run in parallel where images leave threads idle.
fn in_parallel<T: Send>(num_heads: usize, head: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    (0..num_heads).into_par_iter().map(head).collect()
}

/// The shape of `qkv` with another last dimension.
fn with_width(qkv: &FlexTensor, width: usize) -> Shape {
    let shape = qkv.layout().shape();
    Shape::new([shape[0], shape[1], width])
}

/// The operation on the autodiff graph.
pub(crate) fn record<C: CheckpointStrategy>(
    qkv: FloatTensor<Autodiff<Flex, C>>,
    num_heads: usize,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (qkv, qkv_node) = qkv.into_parts();
    let qkv = dense(qkv);
    let tokens = attend(&qkv, num_heads);
    match Attention.prepare::<C>([qkv_node]).compute_bound().stateful() {
        OpsKind::Tracked(graph) => graph.finish((qkv, num_heads), tokens),
        OpsKind::UnTracked(graph) => graph.finish(tokens),
    }
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 1> for Attention {
    /// The fused projection and the number of heads.
    type State = (FlexTensor, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (qkv, num_heads) = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            backward(gradient, &qkv, num_heads)
        });
    }
}
