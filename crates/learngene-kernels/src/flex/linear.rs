//! A linear layer. Its backward pass treats all rows of an activation as one matrix.

use burn::backend::autodiff::{
    NodeId,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use burn::tensor::Shape;
use rayon::prelude::*;

use super::buffer::{self, build, dense, row_length};
use super::gemm::{View, affine, multiply, rows_per_product, weight_gradient};

/// `x * weight + bias`.
pub(crate) fn forward(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    apply(&dense(x), &dense(weight), &dense(bias))
}

fn apply(x: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
    let (d_input, d_output) = (row_length(x), row_length(bias));
    let rows = x.layout().num_elements() / d_input;
    let task = rows_per_product(rows, d_output);
    let weight = View::new(weight.storage(), d_output);
    let [y] = build(
        [(rows * d_output, task * d_output)],
        x.storage::<f32>().par_chunks(task * d_input),
        |[y], x| [affine(y, x, weight, bias.storage())],
    );
    buffer::new(y, with_row_length(x, d_output))
}

/// The shape of a tensor with another last dimension.
pub(crate) fn with_row_length(tensor: &FlexTensor, length: usize) -> Shape {
    let mut shape: Vec<usize> = tensor.layout().shape().to_vec();
    *shape.last_mut().expect("a tensor of rows") = length;
    Shape::from(shape)
}

/// The operation on the autodiff graph.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    bias: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (x, x_node) = x.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (bias, bias_node) = bias.into_parts();
    let (x, weight) = (dense(x), dense(weight));
    let y = apply(&x, &weight, &dense(bias));
    match Linear.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
        OpsKind::Tracked(graph) => graph.finish((x, weight), y),
        OpsKind::UnTracked(graph) => graph.finish(y),
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    /// The input and the weight.
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (x, weight) = ops.state;
        let [x_id, weight_id, bias_id] = ops.parents.map(|node| node.map(|node| node.id));
        let gradient = dense(gradients.consume::<Flex>(&ops.node));
        let dy = View::new(gradient.storage(), row_length(&gradient));
        let ids = [weight_id, bias_id];
        register_parameters(gradients, ids, View::new(x.storage(), row_length(&x)), dy);
        if let Some(id) = x_id {
            let weight = View::new(weight.storage(), row_length(&weight));
            let dx = multiply(dy, weight.transposed());
            gradients.register::<Flex>(id, buffer::new(dx, x.layout().shape().clone()));
        }
    }
}

/// Works out and registers the gradients of a weight and a bias, where these are tracked.
pub(crate) fn register_parameters(
    gradients: &mut Gradients,
    [weight, bias]: [Option<NodeId>; 2],
    x: View,
    dy: View,
) {
    if weight.is_none() && bias.is_none() {
        return;
    }
    let (dw, db) = weight_gradient(x, dy);
    let d_output = db.len();
    if let Some(id) = weight {
        let shape = Shape::new([dw.len() / d_output, d_output]);
        gradients.register::<Flex>(id, buffer::new(dw, shape));
    }
    if let Some(id) = bias {
        gradients.register::<Flex>(id, buffer::new(db, Shape::new([d_output])));
    }
}
