//! Layer normalisation. Mean and inverse deviation of every row are kept for the backward pass,
//! the normalised values computed again.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;

use super::buffer::{self, dense, overwrite, rows_per_task, sum_parts};
use super::math::{sum, sum_pairs};

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    x: FlexTensor,
    weight: FlexTensor,
    moments: Vec<Moments>,
}

/// Mean and `1 / sqrt(variance + eps)` of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    mean: f32,
    inverse_deviation: f32,
}

impl Moments {
    #[inline(always)]
    fn of(row: &[f32], eps: f32) -> Self {
        let width = row.len() as f32;
        let mean = sum(row, |x| x) / width;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width;
        Self { mean, inverse_deviation: 1.0 / (variance + eps).sqrt() }
    }

    #[inline(always)]
    fn normalize(self, x: f32) -> f32 {
        (x - self.mean) * self.inverse_deviation
    }
}

/// The normalised tensor and what the backward pass needs.
pub(crate) fn forward(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    eps: f32,
) -> (FlexTensor, Saved) {
    let (x, weight, bias) = (dense(x), dense(weight), dense(bias));
    let embed_dim = weight.layout().num_elements();
    let elements = x.layout().num_elements();
    let rows = rows_per_task(embed_dim);

    let mut y = vec![0.0; elements];
    let mut moments = vec![Moments::default(); elements / embed_dim];
    y.par_chunks_mut(rows * embed_dim)
        .zip(x.storage::<f32>().par_chunks(rows * embed_dim))
        .zip(moments.par_chunks_mut(rows))
        .for_each(|((y, x), moments)| {
            apply(y, moments, x, weight.storage(), bias.storage(), eps);
        });

    let y = buffer::new(y, x.layout().shape().clone());
    (y, Saved { x, weight, moments })
}

/// The gradients of `x`, weight and bias.
fn backward(gradient: FlexTensor, saved: &Saved) -> [FlexTensor; 3] {
    let weight = saved.weight.storage();
    let embed_dim = weight.len();
    let rows = rows_per_task(embed_dim);

    // Sums over each task's rows, added up in order: the same whatever the number of threads.
    let tasks = saved.moments.len().div_ceil(rows);
    let mut weight_parts = vec![0.0; tasks * embed_dim];
    let mut bias_parts = vec![0.0; tasks * embed_dim];

    let x = saved.x.storage().par_chunks(rows * embed_dim);
    let saved_rows = x.zip(saved.moments.par_chunks(rows));
    let parts = weight_parts.par_chunks_mut(embed_dim).zip(bias_parts.par_chunks_mut(embed_dim));
    let gradient = overwrite(
        gradient,
        rows * embed_dim,
        saved_rows.zip(parts),
        |gradient, ((x, moments), (weight_part, bias_part))| {
            apply_backward(gradient, weight_part, bias_part, x, moments, weight);
        },
    );
    let sum = |parts| buffer::new(sum_parts(parts, embed_dim), Shape::new([embed_dim]));
    [gradient, sum(weight_parts), sum(bias_parts)]
}

/// The operation on the autodiff graph.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    bias: FloatTensor<Autodiff<Flex, C>>,
    eps: f32,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (x, x_node) = x.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (bias, bias_node) = bias.into_parts();
    let (y, saved) = forward(x, weight, bias, eps);
    match LayerNorm.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
        OpsKind::Tracked(graph) => graph.finish(saved, y),
        OpsKind::UnTracked(graph) => graph.finish(y),
    }
}

#[derive(Debug)]
struct LayerNorm;

impl Backward<Flex, 3> for LayerNorm {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
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

/// `y = normalize(x) * weight + bias`, row by row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn apply(
    y: &mut [f32],
    moments: &mut [Moments],
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
) {
    let embed_dim = weight.len();
    let rows = y.chunks_exact_mut(embed_dim).zip(x.chunks_exact(embed_dim));
    for ((y, x), saved) in rows.zip(moments) {
        let moments = Moments::of(x, eps);
        for ((y, x), (weight, bias)) in y.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
            *y = moments.normalize(*x).mul_add(*weight, *bias);
        }
        *saved = moments;
    }
}

/// With `n = normalize(x)` and `g = dy * weight`, row by row:
/// `dweight += dy * n`, `dbias += dy` and, written over `dy`,
/// `dx = inverse_deviation * (g - mean(g) - n * mean(g * n))`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn apply_backward(
    gradient: &mut [f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
    x: &[f32],
    moments: &[Moments],
    weight: &[f32],
) {
    let embed_dim = weight.len();
    let rows = gradient.chunks_exact_mut(embed_dim).zip(x.chunks_exact(embed_dim));
    for ((row, x), moments) in rows.zip(moments) {
        let parameters = weight_gradient.iter_mut().zip(&mut *bias_gradient);
        for ((dy, x), (dweight, dbias)) in row.iter().zip(x).zip(parameters) {
            *dweight = dy.mul_add(moments.normalize(*x), *dweight);
            *dbias += dy;
        }
        for (dy, weight) in row.iter_mut().zip(weight) {
            *dy *= weight; // g
        }
        let width = embed_dim as f32;
        let g_mean = sum(row, |g| g) / width;
        let gn_mean = sum_pairs(row, x, |g, x| g * moments.normalize(x)) / width;
        for (g, x) in row.iter_mut().zip(x) {
            *g = moments.inverse_deviation * (*g - g_mean - moments.normalize(*x) * gn_mean);
        }
    }
}
