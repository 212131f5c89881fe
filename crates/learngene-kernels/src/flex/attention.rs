//! Multi-head self-attention from a fused projection, head by head. Queries, keys and values are
//! read where they lie and results written where they belong, so nothing is permuted or copied.
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

use super::buffer::{self, build, cleared, dense};
use super::gemm::{View, rows_per_task, write_at};
use super::linear::with_row_length;
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

    /// Where a head begins in a row of tokens.
    fn start(self, head: usize) -> usize {
        head * self.head_dim
    }

    /// One head's part of rows of `stride` elements, from `start` on.
    fn part(self, rows: &[f32], start: usize, stride: usize) -> View<'_> {
        View::inside(&rows[start..], rows.len() / stride, self.head_dim, stride)
    }

    /// Query, key and value of one head, of these rows of a projection.
    fn query_key_value(self, rows: &[f32], head: usize) -> [View<'_>; 3] {
        let start = |role| role * self.width() + self.start(head);
        [0, 1, 2].map(|role| self.part(rows, start(role), 3 * self.width()))
    }

    /// `softmax(Q K^T / sqrt(head_dim))`, `[queries, seq]`, over `weights`.
    fn weigh(self, weights: &mut [f32], query: View, key: View) {
        write_at(weights, 0, self.seq, query, key.transposed());
        softmax::apply(weights, self.seq, self.scale());
    }

    /// One head's part of the tokens `[queries, num_heads * head_dim]`, and its weights
    /// `[queries, seq]`, for some rows of an image's projection.
    fn attend(
        self,
        tokens: &mut [f32],
        weights: &mut [f32],
        queries: &[f32],
        qkv: &[f32],
        head: usize,
    ) {
        let [query, ..] = self.query_key_value(queries, head);
        let [_, key, value] = self.query_key_value(qkv, head);
        self.weigh(weights, query, key);
        write_at(tokens, self.start(head), self.width(), View::new(weights, self.seq), value);
    }

    /// The gradient of an image's projection, over `qkv_gradient`, from that of its tokens.
    ///
    /// With the weights `A`, the scores `S` before softmax and the tokens `O = A V`:
    /// `dV = A^T dO`, `dA = dO V^T`, `dS` as in [`mod@softmax`], `dQ = dS K`, `dK = dS^T Q`.
    fn backward(self, qkv_gradient: &mut [f32], qkv: &[f32], gradient: &[f32]) {
        let [mut weights, mut scores] = [(); 2].map(|()| vec![0.0; self.seq * self.seq]);
        for head in 0..self.num_heads {
            let [query, key, value] = self.query_key_value(qkv, head);
            let gradient = self.part(gradient, self.start(head), self.width());
            self.weigh(&mut weights, query, key);
            write_at(&mut scores, 0, self.seq, gradient, value.transposed()); // dA
            softmax::apply_backward(&mut scores, &weights, self.seq, self.scale()); // dS

            let (weights, scores) = (View::new(&weights, self.seq), View::new(&scores, self.seq));
            let gradients = [
                (scores, key),                    // dQ
                (scores.transposed(), query),     // dK
                (weights.transposed(), gradient), // dV
            ];
            for (role, (left, right)) in gradients.into_iter().enumerate() {
                let start = role * self.width() + self.start(head);
                write_at(qkv_gradient, start, 3 * self.width(), left, right);
            }
        }
    }
}

/// Tokens `[batch, seq, num_heads * head_dim]`.
pub(crate) fn forward(qkv: FlexTensor, num_heads: usize) -> FlexTensor {
    attend(&dense(qkv), num_heads)
}

fn attend(qkv: &FlexTensor, num_heads: usize) -> FlexTensor {
    let heads = Heads::of(qkv, num_heads);
    let (seq, width) = (heads.seq, heads.width());
    let values = qkv.storage::<f32>();
    // Where there are few images, several threads share one's queries.
    let images = values.len() / (3 * seq * width);
    let parts = (2 * rayon::current_num_threads()).div_ceil(images);
    let queries = rows_per_task(seq, seq.min(heads.head_dim), parts);
    let images = values.par_chunks(3 * seq * width);
    let [tokens] = build([(values.len() / 3, seq * width)], images, |[tokens], qkv| {
        let tokens = cleared(tokens);
        let parts = tokens.par_chunks_mut(queries * width);
        parts.zip(qkv.par_chunks(queries * 3 * width)).for_each(|(tokens, queries)| {
            let mut weights = vec![0.0; tokens.len() / width * seq];
            for head in 0..num_heads {
                heads.attend(tokens, &mut weights, queries, qkv, head);
            }
        });
        [tokens]
    });
    buffer::new(tokens, with_row_length(qkv, width))
}

/// Tokens, and the weights `[batch, num_heads, seq, seq]`.
pub(crate) fn forward_with_weights(qkv: FlexTensor, num_heads: usize) -> (FlexTensor, FlexTensor) {
    let qkv = dense(qkv);
    let heads = Heads::of(&qkv, num_heads);
    let (seq, width) = (heads.seq, heads.width());
    let values = qkv.storage::<f32>();
    let batch = values.len() / (3 * seq * width);
    let image_weights = num_heads * seq * seq;
    let outputs = [(values.len() / 3, seq * width), (batch * image_weights, image_weights)];
    let images = values.par_chunks(3 * seq * width);
    let [tokens, weights] = build(outputs, images, |[tokens, weights], qkv| {
        let (tokens, weights) = (cleared(tokens), cleared(weights));
        for (head, weights) in weights.chunks_exact_mut(seq * seq).enumerate() {
            heads.attend(tokens, weights, qkv, qkv, head);
        }
        [tokens, weights]
    });
    (
        buffer::new(tokens, with_row_length(&qkv, width)),
        buffer::new(weights, Shape::new([batch, num_heads, seq, seq])),
    )
}

/// The gradient of `qkv` from that of the tokens.
fn backward(gradient: FlexTensor, qkv: &FlexTensor, num_heads: usize) -> FlexTensor {
    let gradient = dense(gradient);
    let heads = Heads::of(qkv, num_heads);
    let image = heads.seq * heads.width();
    let values = qkv.storage::<f32>();
    let images = values.par_chunks(3 * image).zip(gradient.storage().par_chunks(image));
    let outputs = [(values.len(), 3 * image)];
    let [qkv_gradient] = build(outputs, images, |[qkv_gradient], (qkv, gradient)| {
        let qkv_gradient = cleared(qkv_gradient);
        heads.backward(qkv_gradient, qkv, gradient);
        [qkv_gradient]
    });
    buffer::new(qkv_gradient, qkv.layout().shape().clone())
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
