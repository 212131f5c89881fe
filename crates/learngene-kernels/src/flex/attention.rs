//! Multi-head self-attention from a fused projection, head by head. Queries, keys and values are
//! read where they lie and results written where they belong, so nothing is permuted or copied.
//!
//! The weights are not kept for the backward pass: computing them again takes no longer than
//! writing them to memory and reading them back, and needs none.

pub(crate) mod biased;
mod heads;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use burn::tensor::Shape;
use rayon::prelude::*;

use self::heads::Heads;
use super::buffer::{self, build, cleared, dense};
use super::gemm::rows_per_task;
use super::linear::with_row_length;

/// Tokens `[batch, seq, num_heads * head_dim]`.
pub(crate) fn forward(qkv: FlexTensor, num_heads: usize) -> FlexTensor {
    attend(&dense(qkv), None, num_heads)
}

/// Tokens, and the weights `[batch, num_heads, seq, seq]`.
pub(crate) fn forward_with_weights(qkv: FlexTensor, num_heads: usize) -> (FlexTensor, FlexTensor) {
    attend_with_weights(&dense(qkv), None, num_heads)
}

fn attend(qkv: &FlexTensor, bias: Option<&FlexTensor>, num_heads: usize) -> FlexTensor {
    let heads = Heads::of(qkv, num_heads);
    let (seq, width) = (heads.seq, heads.width());
    let values = qkv.storage::<f32>();
    // Where there are few images, several threads share one's queries.
    let images = values.len() / (3 * seq * width);
    let parts = (2 * rayon::current_num_threads()).div_ceil(images);
    let queries = rows_per_task(seq, heads.least_columns(), parts);
    let images = values.par_chunks(3 * seq * width).enumerate();
    let [tokens] = build([(values.len() / 3, seq * width)], images, |[tokens], (image, qkv)| {
        let tokens = cleared(tokens);
        let bias = bias.map(|bias| bias_of(image, bias, heads));
        let parts = tokens.par_chunks_mut(queries * width);
        let parts = parts.zip(qkv.par_chunks(queries * 3 * width)).enumerate();
        parts.for_each(|(part, (tokens, queries_of_part))| {
            let mut weights = vec![0.0; tokens.len() / width * seq];
            for head in 0..num_heads {
                let first = (head * seq + part * queries) * seq;
                let bias = bias.map(|bias| &bias[first..][..weights.len()]);
                heads.attend(tokens, &mut weights, queries_of_part, qkv, bias, head);
            }
        });
        [tokens]
    });
    buffer::new(tokens, with_row_length(qkv, width))
}

fn attend_with_weights(
    qkv: &FlexTensor,
    bias: Option<&FlexTensor>,
    num_heads: usize,
) -> (FlexTensor, FlexTensor) {
    let heads = Heads::of(qkv, num_heads);
    let (seq, width) = (heads.seq, heads.width());
    let values = qkv.storage::<f32>();
    let batch = values.len() / (3 * seq * width);
    let outputs = [(values.len() / 3, seq * width), (batch * heads.weights(), heads.weights())];
    let images = values.par_chunks(3 * seq * width).enumerate();
    let [tokens, weights] = build(outputs, images, |[tokens, weights], (image, qkv)| {
        let (tokens, weights) = (cleared(tokens), cleared(weights));
        let bias = bias.map(|bias| bias_of(image, bias, heads));
        for (head, weights) in weights.chunks_exact_mut(seq * seq).enumerate() {
            let bias = bias.map(|bias| &bias[head * seq * seq..][..seq * seq]);
            heads.attend(tokens, weights, qkv, qkv, bias, head);
        }
        [tokens, weights]
    });
    (
        buffer::new(tokens, with_row_length(qkv, width)),
        buffer::new(weights, Shape::new([batch, num_heads, seq, seq])),
    )
}

/// The bias of an image, `[num_heads, seq, seq]`: the images of a batch take those of the groups in
/// turn.
fn bias_of(image: usize, bias: &FlexTensor, heads: Heads) -> &[f32] {
    let bias = bias.storage::<f32>();
    let groups = bias.len() / heads.weights();
    &bias[image % groups * heads.weights()..][..heads.weights()]
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
        heads.backward(qkv_gradient, qkv, gradient, None);
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
    let tokens = attend(&qkv, None, num_heads);
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
