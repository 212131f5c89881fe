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

use super::buffer::{self, dense, rows_per_task};
use super::math::{LANES, add_lanes, sum};

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
fn backward(saved: &Saved, gradient: FlexTensor) -> [FlexTensor; 3] {
    let mut gradient = dense(gradient);
    let embed_dim = saved.weight.layout().num_elements();
    let rows = rows_per_task(embed_dim);
    let tasks = saved.moments.len().div_ceil(rows);

    // Sums of each task's rows, added up in order: the same whatever the number of threads.
    let mut weight_parts = vec![0.0; tasks * embed_dim];
    let mut bias_parts = vec![0.0; tasks * embed_dim];
    gradient
        .storage_mut::<f32>()
        .par_chunks_mut(rows * embed_dim)
        .zip(saved.x.storage::<f32>().par_chunks(rows * embed_dim))
        .zip(saved.moments.par_chunks(rows))
        .zip(weight_parts.par_chunks_mut(embed_dim))
        .zip(bias_parts.par_chunks_mut(embed_dim))
        .for_each(|((((gradient, x), moments), weight_sum), bias_sum)| {
            let weight = saved.weight.storage();
            apply_backward(gradient, weight_sum, bias_sum, x, moments, weight);
        });

    [
        gradient,
        add_parts(&weight_parts, embed_dim),
        add_parts(&bias_parts, embed_dim),
    ]
}

fn add_parts(parts: &[f32], embed_dim: usize) -> FlexTensor {
    let mut sums = vec![0.0; embed_dim];
    for part in parts.chunks_exact(embed_dim) {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    buffer::new(sums, Shape::new([embed_dim]))
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
    match LayerNorm
        .prepare::<C>([x_node, weight_node, bias_node])
        .compute_bound()
        .stateful()
    {
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
        let inputs = backward(&ops.state, gradient);
        for (parent, gradient) in ops.parents.into_iter().zip(inputs) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// `y = (x - mean) * inverse_deviation * weight + bias`, row by row.
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
    for ((y, x), moments) in y
        .chunks_exact_mut(embed_dim)
        .zip(x.chunks_exact(embed_dim))
        .zip(moments)
    {
        let mean = sum(x, |x| x) / embed_dim as f32;
        let variance = sum(x, |x| (x - mean) * (x - mean)) / embed_dim as f32;
        let inverse_deviation = 1.0 / (variance + eps).sqrt();
        for ((y, x), (weight, bias)) in y.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
            *y = ((x - mean) * inverse_deviation).mul_add(*weight, *bias);
        }
        *moments = Moments {
            mean,
            inverse_deviation,
        };
    }
}

/// With `n = (x - mean) * inverse_deviation` and `g = dy * weight`, row by row:
/// `dx = inverse_deviation * (g - mean(g) - n * mean(g * n))`, written over `dy`;
/// `dweight += dy * n`; `dbias += dy`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn apply_backward(
    gradient: &mut [f32],
    weight_sum: &mut [f32],
    bias_sum: &mut [f32],
    x: &[f32],
    moments: &[Moments],
    weight: &[f32],
) {
    let embed_dim = weight.len();
    let width = embed_dim as f32;
    for ((gradient, x), moments) in gradient
        .chunks_exact_mut(embed_dim)
        .zip(x.chunks_exact(embed_dim))
        .zip(moments)
    {
        let Moments {
            mean,
            inverse_deviation,
        } = *moments;
        let (mut g_lanes, mut gn_lanes) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (g_chunks, g_rest) = gradient.as_chunks::<LANES>();
        let (x_chunks, x_rest) = x.as_chunks::<LANES>();
        let (w_chunks, w_rest) = weight.as_chunks::<LANES>();
        let (ws_chunks, ws_rest) = weight_sum.as_chunks_mut::<LANES>();
        let (bs_chunks, bs_rest) = bias_sum.as_chunks_mut::<LANES>();
        for ((((dy, x), w), ws), bs) in g_chunks
            .iter()
            .zip(x_chunks)
            .zip(w_chunks)
            .zip(ws_chunks)
            .zip(bs_chunks)
        {
            for i in 0..LANES {
                let n = (x[i] - mean) * inverse_deviation;
                let g = dy[i] * w[i];
                ws[i] = dy[i].mul_add(n, ws[i]);
                bs[i] += dy[i];
                g_lanes[i] += g;
                gn_lanes[i] = g.mul_add(n, gn_lanes[i]);
            }
        }
        let (mut g_sum, mut gn_sum) = (add_lanes(g_lanes), add_lanes(gn_lanes));
        for ((((dy, x), w), ws), bs) in g_rest
            .iter()
            .zip(x_rest)
            .zip(w_rest)
            .zip(ws_rest)
            .zip(bs_rest)
        {
            let n = (x - mean) * inverse_deviation;
            let g = dy * w;
            *ws = dy.mul_add(n, *ws);
            *bs += dy;
            g_sum += g;
            gn_sum = g.mul_add(n, gn_sum);
        }
        let (g_mean, gn_mean) = (g_sum / width, gn_sum / width);
        for ((dy, x), w) in gradient.iter_mut().zip(x).zip(weight) {
            let n = (x - mean) * inverse_deviation;
            *dy = inverse_deviation * (dy.mul_add(*w, -g_mean) - n * gn_mean);
        }
    }
}
