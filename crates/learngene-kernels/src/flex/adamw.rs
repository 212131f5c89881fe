//! AdamW in one pass over a parameter, its gradient and its moments.

use burn::backend::flex::FlexTensor;
use multiversion::multiversion;
use rayon::prelude::*;

use super::buffer::{TASK, dense, overwrite};
use crate::AdamWStep;

/// The parameter and both moments after a step; all are written over where nobody else holds them.
pub(crate) fn step(
    [parameter, moment_1, moment_2]: [FlexTensor; 3],
    gradient: FlexTensor,
    step: &AdamWStep,
) -> [FlexTensor; 3] {
    let gradient = dense(gradient);
    let [mut moment_1, mut moment_2] = [moment_1, moment_2].map(dense);
    let coefficients = Coefficients::of(step);
    // These are the optimiser's own; where they are not, Flex copies them first.
    let moments = moment_1
        .storage_mut::<f32>()
        .par_chunks_mut(TASK)
        .zip(moment_2.storage_mut::<f32>().par_chunks_mut(TASK));
    let beside = moments.zip(gradient.storage::<f32>().par_chunks(TASK));
    let parameter =
        overwrite(parameter, TASK, beside, |parameter, ((moment_1, moment_2), gradient)| {
            apply([parameter, moment_1, moment_2], gradient, coefficients);
        });
    [parameter, moment_1, moment_2]
}

/// What is the same for all elements.
#[derive(Clone, Copy)]
struct Coefficients {
    /// beta and 1 - beta of both moments.
    moment_1: [f32; 2],
    moment_2: [f32; 2],
    /// `1 / (1 - beta^t)` of both moments.
    correction: [f32; 2],
    /// `1 - learning_rate * weight_decay`.
    decay: f32,
    learning_rate: f32,
    epsilon: f32,
}

impl Coefficients {
    fn of(step: &AdamWStep) -> Self {
        let (beta_1, beta_2) = step.betas;
        let [correction_1, correction_2] = step.corrections();
        Self {
            moment_1: [beta_1 as f32, (1.0 - beta_1) as f32],
            moment_2: [beta_2 as f32, (1.0 - beta_2) as f32],
            correction: [(1.0 / correction_1) as f32, (1.0 / correction_2) as f32],
            decay: (1.0 - step.learning_rate * step.weight_decay) as f32,
            learning_rate: step.learning_rate as f32,
            epsilon: step.epsilon as f32,
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn apply(
    [parameter, moment_1, moment_2]: [&mut [f32]; 3],
    gradient: &[f32],
    Coefficients {
        moment_1: [b1, f1],
        moment_2: [b2, f2],
        correction: [c1, c2],
        decay,
        learning_rate,
        epsilon,
    }: Coefficients,
) {
    let moments = moment_1.iter_mut().zip(moment_2);
    for ((p, g), (m, v)) in parameter.iter_mut().zip(gradient).zip(moments) {
        *m = b1.mul_add(*m, f1 * g);
        *v = b2.mul_add(*v, f2 * (g * g));
        let update = *m * c1 / ((*v * c2).sqrt() + epsilon);
        *p = p.mul_add(decay, -learning_rate * update);
    }
}
