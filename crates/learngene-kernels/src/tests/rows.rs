//! GELU, softmax and layer norm: what works element by element or row by row.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{check, row, shapes, tensor, to_vec};
use crate::{flex, plain};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gelu_agrees(shape in shapes(), spread in 0.1_f32..12.0, seed in any::<u64>()) {
        let x = tensor(shape, spread, seed, &Device::flex());
        check(&|x| flex::gelu(x[0].clone()), &|x| plain::gelu(x[0].clone()), &[x]);
    }

    #[test]
    fn softmax_agrees(
        shape in shapes(),
        spread in 0.1_f32..30.0,
        scale in -2.0_f64..2.0,
        seed in any::<u64>(),
    ) {
        let x = tensor(shape, spread, seed, &Device::flex());
        check(
            &|x| flex::softmax(x[0].clone(), scale),
            &|x| plain::softmax(x[0].clone(), scale),
            &[x],
        );
    }

    #[test]
    fn layer_norm_agrees(shape in shapes(), spread in 0.5_f32..5.0, seed in any::<u64>()) {
        let device = Device::flex();
        let x = tensor(shape, spread, seed, &device);
        let [weight, bias] = [1, 2].map(|i| tensor([1, 1, shape[2]], 1.0, seed ^ i, &device));
        let (weight, bias) = (weight + 1.0, bias);
        // A small eps would make rows of nearly equal elements amplify rounding.
        let eps = 1e-2;
        let parts = |x: &[Tensor<3>]| (x[0].clone(), x[1].clone().flatten(0, 2), x[2].clone().flatten(0, 2));
        check(
            &|x| {
                let (x, weight, bias) = parts(x);
                flex::layer_norm(x, weight, bias, eps)
            },
            &|x| {
                let (x, weight, bias) = parts(x);
                plain::layer_norm(x, weight, bias, eps)
            },
            &[x, weight, bias],
        );
    }
}

/// `gelu(x)` and its slope in f64, from the series
/// `Phi(x) = 1/2 + phi(x) (x + x^3 / 3 + x^5 / (3 * 5) + ..)`.
fn true_gelu(x: f64) -> (f64, f64) {
    let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let (mut term, mut series) = (x, 0.0);
    for odd in (3..400).step_by(2) {
        series += term;
        term *= x * x / f64::from(odd);
    }
    let cdf = 0.5 + density * series;
    (x * cdf, cdf + x * density)
}

#[test]
fn gelu_is_within_3e_7_of_the_truth() {
    let device = Device::flex().autodiff();
    let inputs: Vec<f32> = (-10_000..=10_000).map(|i| i as f32 * 1e-3).collect();
    let x = Tensor::<1>::from_floats(inputs.as_slice(), &device).require_grad();
    let y = flex::gelu(x.clone());
    let slopes = x.grad(&y.backward()).expect("x is tracked");
    for ((&x, y), slope) in inputs.iter().zip(to_vec(&y)).zip(to_vec(&slopes)) {
        let (true_y, true_slope) = true_gelu(f64::from(x));
        let error = (f64::from(y) - true_y).abs() / f64::from(x.abs().max(1.0));
        assert!(error < 3e-7, "gelu({x}) = {y}, error {error}");
        let error = (f64::from(slope) - true_slope).abs();
        assert!(error < 3e-7, "gelu'({x}) = {slope}, error {error}");
    }
}

/// In 8 bits, nothing is left of `1 + erf` where erf is near -1.
#[test]
fn gelu_in_bf16_is_rounded_once() {
    let x: Vec<f32> = (-24..=24).map(|i| i as f32 / 8.0).collect(); // bf16 holds these exactly.
    let short = plain::gelu(row(&x).cast(DType::BF16));
    assert_eq!(short.dtype(), DType::BF16);
    for (&x, y) in x.iter().zip(to_vec(&short.cast(DType::F32))) {
        let (wanted, _) = true_gelu(f64::from(x));
        // The last of 8 bits.
        let tolerance = wanted.abs() / 256.0 + 1e-6;
        assert!((f64::from(y) - wanted).abs() <= tolerance, "gelu({x}) = {y}, wanted {wanted}");
    }
}

fn softmax_of(values: &[f32], scale: f64) -> Vec<f32> {
    to_vec(&flex::softmax(row(values), scale))
}

#[test]
fn a_large_score_does_not_overflow() {
    assert_eq!(softmax_of(&[3e38, 0.0, -3e38], 1.0), [1.0, 0.0, 0.0]);
}

#[test]
fn a_negative_scale_prefers_the_least_score() {
    assert_eq!(softmax_of(&[0.0, 1e4], -1.0), [1.0, 0.0]);
}

#[test]
fn a_masked_score_weighs_nothing() {
    assert_eq!(softmax_of(&[2.0, f32::NEG_INFINITY, 2.0], 1.0), [0.5, 0.0, 0.5]);
}

#[test]
fn a_row_of_one_score_is_certain() {
    assert_eq!(softmax_of(&[-7.0], 0.5), [1.0]);
}

#[test]
fn nan_stays_in_its_row() {
    let x = Tensor::<2>::from_floats([[f32::NAN, 1.0], [1.0, 1.0]], &Device::flex());
    let [ones, zeros] = [row(&[1.0, 1.0]), row(&[0.0, 0.0])];
    for y in [flex::softmax(x.clone(), 1.0), flex::layer_norm(x.clone(), ones, zeros, 1e-6)] {
        let y = to_vec(&y);
        assert!(y[0].is_nan() && y[1].is_nan(), "the row with NaN: {y:?}");
        assert!(y[2].is_finite() && y[3].is_finite(), "the row without: {y:?}");
    }
    let y = to_vec(&flex::gelu(x));
    assert!(y[0].is_nan() && y[1..].iter().all(|y| y.is_finite()), "gelu: {y:?}");
}

#[test]
fn only_tracked_inputs_of_layer_norm_get_gradients() {
    let device = Device::flex().autodiff();
    let x = tensor([2, 3, 4], 1.0, 5, &device);
    let weight = Tensor::<1>::ones([4], &device).require_grad();
    let bias = Tensor::<1>::zeros([4], &device);
    let gradients = flex::layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-6).backward();
    assert!(weight.grad(&gradients).is_some());
    assert!(x.grad(&gradients).is_none() && bias.grad(&gradients).is_none());
}

#[test]
#[should_panic(expected = "layer_norm: bias has 2 elements, the last dimension of x 3")]
fn a_bias_of_another_length_is_refused() {
    let x = tensor([1, 2, 3], 1.0, 1, &Device::flex());
    crate::layer_norm(x, row(&[1.0; 3]), row(&[0.0; 2]), 1e-6);
}
