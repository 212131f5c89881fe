//! The feed-forward network of a transformer layer, a few rows at a time: what a row becomes
//! between the two products stays in the cache.
//!
//! Of the hidden layer, much the largest of a model's activations, the backward pass is left what
//! goes into the activation function and computes the rest of it again.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use rayon::prelude::*;

use super::buffer::{self, build, dense, row_length};
use super::gelu;
use super::gemm::{Threads, View, affine, multiply, rows_per_product, write};
use super::linear::{register_parameters, with_row_length};

/// Weights and biases of the two linear layers, in the order in which they are used.
pub(crate) type Parameters<T> = [T; 4];

/// `gelu(x * w1 + b1) * w2 + b2`.
pub(crate) fn forward(x: FlexTensor, parameters: Parameters<FlexTensor>) -> FlexTensor {
    let (x, parameters) = (dense(x), parameters.map(dense));
    let layers = Layers::of(&x, &parameters);
    let [y] = build(
        [layers.output()],
        x.storage::<f32>().par_chunks(layers.task * layers.d_input),
        |[y], x| {
            let mut hidden = Box::new_uninit_slice(x.len() / layers.d_input * layers.d_hidden);
            let hidden = affine(&mut hidden, x, layers.w1, layers.b1);
            gelu::apply(hidden);
            [affine(y, hidden, layers.w2, layers.b2)]
        },
    );
    buffer::new(y, with_row_length(&x, layers.d_output))
}

/// The output, and what goes into the activation function.
fn forward_and_hidden(x: &FlexTensor, layers: &Layers) -> [FlexTensor; 2] {
    let [y, hidden] = build(
        [layers.output(), layers.hidden()],
        x.storage::<f32>().par_chunks(layers.task * layers.d_input),
        |[y, hidden], x| {
            let hidden = affine(hidden, x, layers.w1, layers.b1);
            let mut active = Box::new_uninit_slice(hidden.len());
            let active = active.write_copy_of_slice(hidden);
            gelu::apply(active);
            [affine(y, active, layers.w2, layers.b2), hidden]
        },
    );
    [
        buffer::new(y, with_row_length(x, layers.d_output)),
        buffer::new(hidden, with_row_length(x, layers.d_hidden)),
    ]
}

/// The two layers, and how their rows are shared among tasks.
struct Layers<'a> {
    w1: View<'a>,
    b1: &'a [f32],
    w2: View<'a>,
    b2: &'a [f32],
    d_input: usize,
    d_hidden: usize,
    d_output: usize,
    rows: usize,
    /// Rows of a task.
    task: usize,
}

impl<'a> Layers<'a> {
    fn of(x: &FlexTensor, [w1, b1, w2, b2]: &'a Parameters<FlexTensor>) -> Self {
        let (b1, b2) = (b1.storage(), b2.storage());
        let d_input = row_length(x);
        let rows = x.layout().num_elements() / d_input;
        Self {
            w1: View::new(w1.storage(), b1.len()),
            b1,
            w2: View::new(w2.storage(), b2.len()),
            b2,
            d_input,
            d_hidden: b1.len(),
            d_output: b2.len(),
            rows,
            task: rows_per_product(rows, b1.len().min(b2.len())),
        }
    }

    /// Elements of the hidden layer, and those of a task.
    fn hidden(&self) -> (usize, usize) {
        (self.rows * self.d_hidden, self.task * self.d_hidden)
    }

    /// Elements of the output, and those of a task.
    fn output(&self) -> (usize, usize) {
        (self.rows * self.d_output, self.task * self.d_output)
    }

    /// From what went into the activation function and from the gradient of the output: what came
    /// out of it, and the gradient of what went in, `(dy * w2^T) gelu'(hidden)`.
    fn backward(&self, hidden: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
        let hidden = hidden.par_chunks(self.task * self.d_hidden);
        let dy = dy.par_chunks(self.task * self.d_output);
        build([self.hidden(), self.hidden()], hidden.zip(dy), |[active, gradient], (hidden, dy)| {
            let dy = View::new(dy, self.d_output);
            let gradient = write(gradient, dy, self.w2.transposed(), Threads::Caller);
            let active = active.write_copy_of_slice(hidden);
            gelu::apply_backward(active, gradient);
            [active, gradient]
        })
    }
}

/// The operation on the autodiff graph.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
    [w1, b1, w2, b2]: Parameters<FloatTensor<Autodiff<Flex, C>>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (x, x_node) = x.into_parts();
    let (w1, w1_node) = w1.into_parts();
    let (b1, b1_node) = b1.into_parts();
    let (w2, w2_node) = w2.into_parts();
    let (b2, b2_node) = b2.into_parts();
    let (x, parameters) = (dense(x), [w1, b1, w2, b2].map(dense));
    let nodes = [x_node, w1_node, b1_node, w2_node, b2_node];
    match Mlp.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(graph) => {
            let [y, hidden] = forward_and_hidden(&x, &Layers::of(&x, &parameters));
            graph.finish(Saved { x, parameters, hidden }, y)
        }
        OpsKind::UnTracked(graph) => graph.finish(forward(x, parameters)),
    }
}

#[derive(Debug)]
struct Mlp;

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    parameters: Parameters<FlexTensor>,
    /// What went into the activation function.
    hidden: FlexTensor,
}

impl Backward<Flex, 5> for Mlp {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Self::State, 5>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let Saved { x, parameters, hidden } = ops.state;
        let [x_id, w1_id, b1_id, w2_id, b2_id] = ops.parents.map(|node| node.map(|node| node.id));
        let dy = dense(gradients.consume::<Flex>(&ops.node));
        let layers = Layers::of(&x, &parameters);
        let [active, dh] = layers.backward(hidden.storage(), dy.storage());
        drop(hidden);

        let dh = View::new(&dh, layers.d_hidden);
        let dy = View::new(dy.storage(), layers.d_output);
        let active = View::new(&active, layers.d_hidden);
        register_parameters(gradients, [w2_id, b2_id], active, dy);
        let inputs = View::new(x.storage(), layers.d_input);
        register_parameters(gradients, [w1_id, b1_id], inputs, dh);
        if let Some(id) = x_id {
            let dx = multiply(dh, layers.w1.transposed());
            gradients.register::<Flex>(id, buffer::new(dx, x.layout().shape().clone()));
        }
    }
}
