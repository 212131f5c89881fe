//! GELU. The forward pass of a tracked tensor computes the slope along with the value,
//! for both need the same exponential; the backward pass is then one product.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Autodiff, Flex, flex::FlexTensor, tensor::FloatTensor};
use multiversion::multiversion;
use rayon::{iter::repeat_n, prelude::*};

use super::buffer::{self, TASK, overwrite};
use super::math::exp_nonpositive;

/// `gelu(x)`.
pub(crate) fn forward(x: FlexTensor) -> FlexTensor {
    let tasks = x.layout().num_elements().div_ceil(TASK);
    overwrite(x, TASK, repeat_n((), tasks), |x, ()| apply(x))
}

/// `(gelu(x), gelu'(x))`.
fn forward_and_slope(x: FlexTensor) -> (FlexTensor, FlexTensor) {
    let mut slope = vec![0.0; x.layout().num_elements()];
    let y = overwrite(x, TASK, slope.par_chunks_mut(TASK), apply_and_slope);
    let slope = buffer::new(slope, y.layout().shape().clone());
    (y, slope)
}

/// `gradient * slope`.
fn backward(gradient: FlexTensor, slope: &FlexTensor) -> FlexTensor {
    overwrite(gradient, TASK, slope.storage().par_chunks(TASK), multiply)
}

/// The operation on the autodiff graph.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (x, x_node) = x.into_parts();
    match Gelu.prepare::<C>([x_node]).compute_bound().stateful() {
        OpsKind::Tracked(graph) => {
            let (y, slope) = forward_and_slope(x);
            graph.finish(slope, y)
        }
        OpsKind::UnTracked(graph) => graph.finish(forward(x)),
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    /// `gelu'(x)`.
    type State = FlexTensor;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            backward(gradient, &ops.state)
        });
    }
}

/// `(gelu(x), gelu'(x))`, within 2e-7 of the truth (relative where it exceeds 1).
///
/// With the normal distribution's density `phi(x) = exp(-x^2 / 2) / sqrt(2 pi)` and
/// cumulative distribution `Phi`: `gelu(x) = x Phi(x)` and `gelu'(x) = Phi(x) + x phi(x)`.
///
/// `Phi(-|x|) = t (a1 + a2 t + .. + a5 t^4) exp(-x^2 / 2) / 2` with `t = 1 / (1 + p |x| / sqrt 2)`:
/// Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26.
#[inline(always)]
fn value_and_slope(x: f32) -> (f32, f32) {
    const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    /// a5 down to a1.
    const A: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    /// 1 / sqrt(2 pi).
    const FRAC_1_SQRT_TAU: f32 = 0.398_942_3;

    let exponential = exp_nonpositive(-0.5 * x * x);
    let t = 1.0 / x.abs().mul_add(P, 1.0);
    let mut polynomial = A[0];
    for a in &A[1..] {
        polynomial = polynomial.mul_add(t, *a);
    }
    let tail = 0.5 * polynomial * t * exponential; // Phi(-|x|)
    let cdf = if x >= 0.0 { 1.0 - tail } else { tail };
    let density = FRAC_1_SQRT_TAU * exponential;
    (x * cdf, x.mul_add(density, cdf))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn apply(values: &mut [f32]) {
    for value in values {
        *value = value_and_slope(*value).0;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn apply_and_slope(values: &mut [f32], slopes: &mut [f32]) {
    for (value, slope) in values.iter_mut().zip(slopes) {
        (*value, *slope) = value_and_slope(*value);
    }
}

/// `x` becomes `gelu(x)`, and its gradient is multiplied by `gelu'(x)`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn apply_backward(x: &mut [f32], gradients: &mut [f32]) {
    for (x, gradient) in x.iter_mut().zip(gradients) {
        let (value, slope) = value_and_slope(*x);
        *x = value;
        *gradient *= slope;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn multiply(product: &mut [f32], factor: &[f32]) {
    for (product, factor) in product.iter_mut().zip(factor) {
        *product *= factor;
    }
}
