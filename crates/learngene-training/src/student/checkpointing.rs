//! Gradient checkpointing: the forward pass keeps only the input of each layer, and the backward pass
//! recomputes the rest layer by layer.
//!
//! Memory for activations falls from everything that every layer computes to one tensor a layer and
//! everything of one layer; the second forward pass costs about a third of a step.
//!
//! Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016,
//! <https://arxiv.org/abs/1604.06174>.

use burn::{
    optim::{GradientsAccumulator, GradientsParams},
    tensor::Tensor,
};
use learngene_models::{BranchScales, Classifier, Forward};

use super::Student;
use crate::image_batch::ImageBatch;

/// The gradients of a step and its mean loss, `[1]`, as the whole graph would give them.
pub(super) fn backward<C: Classifier>(
    student: &Student<C>,
    batch: ImageBatch,
) -> (GradientsParams, Tensor<1>) {
    let model = &student.model;
    let forward = model.valid(); // The same parameters, without a graph.
    let as_trained = student.forward(batch.branches.as_deref(), &batch.goal);
    let inner: Option<Vec<_>> = as_trained.scales.map(|of| of.iter().map(without_graph).collect());
    let plain = Forward { scales: inner.as_deref(), ..as_trained };
    let mut inputs = Vec::with_capacity(model.num_layers());
    let mut tokens = forward.embed(batch.images.clone().inner());
    for layer in 0..model.num_layers() {
        inputs.push(tokens.clone());
        tokens = forward.forward_layer(layer, tokens, plain);
    }

    let mut gradients = GradientsAccumulator::new();
    let mut accumulate = |of_part| gradients.accumulate(student, of_part);
    let tokens = Tensor::from_inner(tokens).require_grad();
    let loss = student.loss(tokens.clone(), &batch.goal);
    let mut part = loss.backward();
    let mut dy = tokens.grad_remove(&mut part).expect("the loss depends on the last tokens");
    accumulate(GradientsParams::from_grads(part, student));

    for (layer, input) in inputs.into_iter().enumerate().rev() {
        let input = Tensor::from_inner(input).require_grad();
        let mut part = vector_jacobian(model.forward_layer(layer, input.clone(), as_trained), dy);
        dy = input.grad_remove(&mut part).expect("a layer depends on its input");
        accumulate(GradientsParams::from_grads(part, student));
    }
    let part = vector_jacobian(model.embed(batch.images), dy);
    accumulate(GradientsParams::from_grads(part, student));
    (gradients.grads(), loss.inner())
}

/// The gradients of everything that `y` was computed from, given the gradient `dy` of `y`; none if
/// `y` was computed from frozen parameters only.
fn vector_jacobian(y: Tensor<3>, dy: Tensor<3>) -> burn::tensor::Gradients {
    // burn cannot differentiate a sum in which nothing is tracked.
    let anchor = Tensor::<1>::zeros([1], (&y.device(), y.dtype())).require_grad();
    ((y * Tensor::from_inner(dy)).sum() + anchor).backward()
}

/// The same factors for a model without a graph.
fn without_graph(scales: &BranchScales) -> BranchScales {
    let [attention, mlp] = [&scales.attention, &scales.mlp].map(|scale| scale.clone().inner());
    BranchScales { attention, mlp }
}
