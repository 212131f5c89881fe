//! Softmax of scaled scores. Its backward pass needs the output alone.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::{iter::repeat_n, prelude::*};

use super::buffer::{overwrite, row_length, rows_per_task};
use super::math::{LANES, add_lanes, exp_nonpositive, sum_pairs};

/// `softmax(scale * x)`.
pub(crate) fn forward(x: FlexTensor, scale: f32) -> FlexTensor {
    let classes = row_length(&x);
    let task = rows_per_task(classes) * classes;
    let tasks = x.layout().num_elements().div_ceil(task);
    overwrite(x, task, repeat_n((), tasks), |x, ()| apply(x, classes, scale))
}

/// The gradient of `x` from that of `y = softmax(scale * x)`.
fn backward(gradient: FlexTensor, y: &FlexTensor, scale: f32) -> FlexTensor {
    let classes = row_length(y);
    let task = rows_per_task(classes) * classes;
    overwrite(gradient, task, y.storage().par_chunks(task), |gradient, y| {
        apply_backward(gradient, y, classes, scale);
    })
}

/// The operation on the autodiff graph.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
    scale: f32,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (x, x_node) = x.into_parts();
    let y = forward(x, scale);
    match Softmax.prepare::<C>([x_node]).compute_bound().stateful() {
        OpsKind::Tracked(graph) => graph.finish((y.clone(), scale), y),
        OpsKind::UnTracked(graph) => graph.finish(y),
    }
}

#[derive(Debug)]
struct Softmax;

impl Backward<Flex, 1> for Softmax {
    /// The output and the scale.
    type State = (FlexTensor, f32);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (y, scale) = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            backward(gradient, &y, scale)
        });
    }
}

/// The greatest `scale * x` of a row; NaN is passed over, for the sum will find it.
#[inline(always)]
fn greatest(row: &[f32], scale: f32) -> f32 {
    let max = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = max(lanes[i], chunk[i] * scale);
        }
    }
    let greatest = lanes.into_iter().fold(f32::NEG_INFINITY, max);
    rest.iter().fold(greatest, |a, &x| max(a, x * scale))
}

/// `y_i = exp(scale x_i - m) / sum_j exp(scale x_j - m)` with `m = max_j scale x_j`, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn apply(rows: &mut [f32], classes: usize, scale: f32) {
    for row in rows.chunks_exact_mut(classes) {
        let greatest = greatest(row, scale);
        let mut sums = [0.0; LANES];
        let mut exponentials = |values: &mut [f32; LANES], count: usize| {
            for i in 0..LANES {
                // Not a fused multiply-add: its unrounded product may exceed the rounded maximum.
                let exponential = exp_nonpositive(values[i] * scale - greatest);
                values[i] = if i < count { exponential } else { 0.0 };
                sums[i] += values[i];
            }
        };
        let (chunks, rest) = row.as_chunks_mut::<LANES>();
        for chunk in chunks {
            exponentials(chunk, LANES);
        }
        // What is left over takes no longer than a whole register of elements.
        if let Some(&first) = rest.first() {
            let mut register = [first; LANES];
            register[..rest.len()].copy_from_slice(rest);
            exponentials(&mut register, rest.len());
            rest.copy_from_slice(&register[..rest.len()]);
        }
        let inverse = 1.0 / add_lanes(sums);
        for x in row {
            *x *= inverse;
        }
    }
}

/// `dx_i = scale y_i (dy_i - sum_j y_j dy_j)`, written over `dy`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn apply_backward(gradient: &mut [f32], y: &[f32], classes: usize, scale: f32) {
    for (gradient, y) in gradient.chunks_exact_mut(classes).zip(y.chunks_exact(classes)) {
        let mean = sum_pairs(y, gradient, |y, dy| y * dy);
        for (gradient, y) in gradient.iter_mut().zip(y) {
            *gradient = scale * y * (*gradient - mean);
        }
    }
}
