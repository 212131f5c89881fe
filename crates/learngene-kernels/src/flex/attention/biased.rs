//! Attention with a bias of the scores, as the windows of an image have it: what makes it another
//! operation is the gradient of the bias, a sum over all entries that took it.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use rayon::prelude::*;

use super::super::buffer::{self, build_pieces, cleared, dense, sum_parts};
use super::{Heads, attend, attend_with_weights, bias_of};

/// Tokens `[batch * groups, seq, num_heads * head_dim]`.
pub(crate) fn forward(qkv: FlexTensor, bias: FlexTensor, num_heads: usize) -> FlexTensor {
    attend(&dense(qkv), Some(&dense(bias)), num_heads)
}

/// Tokens, and the weights `[batch * groups, num_heads, seq, seq]`.
pub(crate) fn forward_with_weights(
    qkv: FlexTensor,
    bias: FlexTensor,
    num_heads: usize,
) -> (FlexTensor, FlexTensor) {
    attend_with_weights(&dense(qkv), Some(&dense(bias)), num_heads)
}

/// The gradients of `qkv` and of the bias from that of the tokens.
///
/// A task takes the windows of one group, of several images: so its bias and the gradient of that
/// stay in the cache.
fn backward(gradient: FlexTensor, saved: &Saved) -> [FlexTensor; 2] {
    let Saved { qkv, bias, num_heads } = saved;
    let gradient = dense(gradient);
    let heads = Heads::of(qkv, *num_heads);
    let window = heads.seq * heads.width();
    let (qkv_values, bias_values) = (qkv.storage::<f32>(), bias.storage::<f32>().len());
    let groups = bias_values / heads.weights();
    let images = qkv_values.len() / (3 * window * groups);
    let images_of_task = images.div_ceil((TASKS / groups).max(1)).max(LEAST_IMAGES);

    // For each task the sum over its windows: the same whatever the number of threads.
    let mut sums = vec![0.0; images.div_ceil(images_of_task) * bias_values];
    let qkv_gradient = build_pieces(
        qkv_values.len(),
        3 * window,
        |i| i / groups / images_of_task * groups + i % groups,
        sums.par_chunks_exact_mut(heads.weights()),
        |sum, i, qkv_gradient| {
            let qkv_gradient = cleared(qkv_gradient);
            let qkv = &qkv_values[i * 3 * window..][..3 * window];
            let gradient = &gradient.storage()[i * window..][..window];
            heads.backward(
                qkv_gradient,
                qkv,
                gradient,
                Some((bias_of(i, bias, heads), &mut **sum)),
            );
            qkv_gradient
        },
    );
    [
        buffer::new(qkv_gradient, qkv.layout().shape().clone()),
        buffer::new(sum_parts(sums, bias_values), bias.layout().shape().clone()),
    ]
}

/// About as many tasks as the backward pass is split into. Fixed, because sums depend on it.
const TASKS: usize = 64;
/// Images of a task, where there are as many: what each task leaves to be added up may be as large as
/// the gradient of a window.
const LEAST_IMAGES: usize = 2;

/// The operation on the autodiff graph.
pub(crate) fn record<C: CheckpointStrategy>(
    qkv: FloatTensor<Autodiff<Flex, C>>,
    bias: FloatTensor<Autodiff<Flex, C>>,
    num_heads: usize,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (qkv, qkv_node) = qkv.into_parts();
    let (bias, bias_node) = bias.into_parts();
    let (qkv, bias) = (dense(qkv), dense(bias));
    let tokens = attend(&qkv, Some(&bias), num_heads);
    match BiasedAttention.prepare::<C>([qkv_node, bias_node]).compute_bound().stateful() {
        OpsKind::Tracked(graph) => graph.finish(Saved { qkv, bias, num_heads }, tokens),
        OpsKind::UnTracked(graph) => graph.finish(tokens),
    }
}

#[derive(Debug)]
struct BiasedAttention;

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    qkv: FlexTensor,
    bias: FlexTensor,
    num_heads: usize,
}

impl Backward<Flex, 2> for BiasedAttention {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let inputs = backward(gradient, &ops.state);
        for (parent, gradient) in ops.parents.into_iter().zip(inputs) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}
