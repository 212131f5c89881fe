//! Linear layers and the feed-forward network.

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;

use super::{check, matrix, row_of, shapes, tensor};
use crate::{flex, plain};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn linear_agrees(
        shape in shapes(),
        d_output in 1_usize..100,
        spread in 0.1_f32..2.0,
        seed in any::<u64>(),
    ) {
        let device = Device::flex();
        let x = tensor(shape, spread, seed, &device);
        let weight = tensor([1, shape[2], d_output], 0.2, seed ^ 1, &device);
        let bias = tensor([1, 1, d_output], 1.0, seed ^ 2, &device);
        check(
            &|x| flex::linear(x[0].clone(), matrix(&x[1]), row_of(&x[2])),
            &|x| plain::linear(x[0].clone(), matrix(&x[1]), row_of(&x[2])),
            &[x, weight, bias],
        );
    }

    #[test]
    fn mlp_agrees(
        shape in shapes(),
        (d_hidden, d_output) in (1_usize..200, 1_usize..60),
        spread in 0.1_f32..2.0,
        seed in any::<u64>(),
    ) {
        let device = Device::flex();
        let x = tensor(shape, spread, seed, &device);
        let w1 = tensor([1, shape[2], d_hidden], 0.2, seed ^ 1, &device);
        let w2 = tensor([1, d_hidden, d_output], 0.2, seed ^ 2, &device);
        let [b1, b2] = [d_hidden, d_output].map(|width| tensor([1, 1, width], 1.0, seed ^ 3, &device));
        let parts = |x: &[Tensor<3>]| {
            (x[0].clone(), [matrix(&x[1]), matrix(&x[2])], [row_of(&x[3]), row_of(&x[4])])
        };
        check(
            &|x| {
                let (x, weights, biases) = parts(x);
                flex::mlp(x, weights, biases)
            },
            &|x| {
                let (x, [w1, w2], [b1, b2]) = parts(x);
                plain::linear(plain::gelu(plain::linear(x, w1, b1)), w2, b2)
            },
            &[x, w1, w2, b1, b2],
        );
    }
}

#[test]
#[should_panic(expected = "linear: the weight does not fit an input of 3 and a bias of 2 elements")]
fn a_weight_that_does_not_fit_is_refused() {
    let device = Device::flex();
    let x = tensor([1, 2, 3], 1.0, 1, &device);
    crate::linear(x, Tensor::zeros([2, 3], &device), Tensor::zeros([2], &device));
}

/// Weights that are not trained get no gradient, and what lies before them still does.
#[test]
fn frozen_weights_let_gradients_pass() {
    let device = Device::flex().autodiff();
    let x = tensor([2, 3, 4], 1.0, 1, &device).require_grad();
    let weights = [2, 3].map(|seed| matrix(&tensor([1, 4, 4], 1.0, seed, &device)));
    let bias = Tensor::<1>::zeros([4], &device).require_grad();
    let biases = [bias.clone(), Tensor::zeros([4], &device)];
    let gradients = flex::mlp(x.clone(), weights.clone(), biases).backward();
    assert!(x.grad(&gradients).is_some() && bias.grad(&gradients).is_some());
    assert!(weights.iter().all(|weight| weight.grad(&gradients).is_none()));
}
