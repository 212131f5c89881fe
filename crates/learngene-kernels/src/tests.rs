//! The fused operations against burn's own: values and gradients.

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

use crate::{AdamWStep, flex, plain};

type Operation<'a> = &'a dyn Fn(&[Tensor<3>]) -> Tensor<3>;

/// Numbers of a fixed irregular sequence in `[-1, 1)`, others for every seed.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(shape: [usize; 3], scale: f32, seed: u64, device: &Device) -> Tensor<3> {
    let values = values(shape.iter().product(), seed);
    let values: Vec<f32> = values.into_iter().map(|x| x * scale).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn to_vec<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.to_data().try_to_vec().expect("the tests use f32")
}

/// Both within `tolerance` of each other, in relation to the greatest of them and to 1.
fn assert_close(what: &str, found: &[f32], wanted: &[f32], tolerance: f32) {
    assert_eq!(found.len(), wanted.len(), "{what}: lengths differ");
    let greatest = wanted.iter().fold(1.0_f32, |max, x| max.max(x.abs()));
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let close = (found - wanted).abs() <= tolerance * greatest;
        assert!(close, "{what}[{i}]: {found} fused, {wanted} plain");
    }
}

/// Values and the gradients of all inputs agree, for a loss that weighs every output differently.
fn check(fused: Operation, plain: Operation, inputs: &[Tensor<3>]) {
    let device = Device::flex().autodiff();
    for device in [device.clone(), device.gradient_checkpointing()] {
        let run = |operation: Operation| {
            let inputs: Vec<_> = inputs
                .iter()
                .map(|x| Tensor::<3>::from_data(x.to_data(), &device).require_grad())
                .collect();
            let output = operation(&inputs);
            let loss = output.clone() * tensor(output.dims(), 1.0, 99, &device);
            let gradients = loss.sum().backward();
            let gradients: Vec<_> = inputs
                .iter()
                .map(|x| to_vec(&x.grad(&gradients).expect("every input is tracked")))
                .collect();
            (to_vec(&output), gradients)
        };
        let ((found, found_gradients), (wanted, wanted_gradients)) = (run(fused), run(plain));
        assert_close("value", &found, &wanted, 1e-6);
        assert_close("untracked value", &to_vec(&fused(inputs)), &wanted, 1e-6);
        for (found, wanted) in found_gradients.iter().zip(&wanted_gradients) {
            assert_close("gradient", found, wanted, 1e-5);
        }
    }
}

fn shapes() -> impl Strategy<Value = [usize; 3]> {
    (1_usize..4, 1_usize..40, 1_usize..140).prop_map(|(batch, seq, width)| [batch, seq, width])
}

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

/// A matrix and a row in one, as [`check`] wants its inputs.
fn matrix<const D: usize>(x: &Tensor<D>) -> Tensor<2> {
    let [_, rows, columns] = x.dims()[..] else { panic!("[1, rows, columns] is wanted") };
    x.clone().reshape([rows, columns])
}

fn row_of(x: &Tensor<3>) -> Tensor<1> {
    x.clone().flatten(0, 2)
}

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

    #[test]
    fn adamw_agrees(shape in shapes(), weight_decay in 0.0_f64..0.5, seed in any::<u64>()) {
        let device = Device::flex();
        let parameter = tensor(shape, 1.0, seed, &device);
        let start = [parameter, Tensor::zeros(shape, &device), Tensor::zeros(shape, &device)];
        let [mut fused, mut plain] = [start.clone(), start];
        for time in 1..=5 {
            let step = AdamWStep {
                learning_rate: 1e-2,
                betas: (0.9, 0.999),
                epsilon: 1e-8,
                weight_decay,
                time,
            };
            let gradient = tensor(shape, 1.0, seed ^ time as u64, &device);
            fused = flex::adamw(fused, gradient.clone(), step);
            plain = plain::adamw(plain, gradient, step);
            for (fused, plain) in fused.iter().zip(&plain) {
                assert_close("adamw", &to_vec(fused), &to_vec(plain), 1e-6);
            }
        }
    }
}

/// What burn's own optimiser makes of the same gradients.
#[test]
fn adamw_is_burns() {
    use burn::{
        module::Param,
        nn::Linear,
        optim::{AdamWConfig, GradientsParams},
    };

    let device = Device::flex();
    let start = tensor([1, 3, 4], 1.0, 1, &device).reshape([3, 4]);
    let weight = Param::from_tensor(Tensor::from_data(start.to_data(), &device.clone().autodiff()));
    let mut module = Linear { weight, bias: None };
    let config = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.05);
    let mut optimizer = config.init();
    let mut tensors = [start, Tensor::zeros([3, 4], &device), Tensor::zeros([3, 4], &device)];
    for time in 1..=4 {
        let gradient = tensor([1, 3, 4], 1.0, 7 + time as u64, &device).reshape([3, 4]);
        let mut gradients = GradientsParams::new();
        gradients.register(module.weight.id, gradient.clone());
        module = optimizer.step(1e-2, module, gradients);
        let step = AdamWStep {
            learning_rate: 1e-2,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            weight_decay: f64::from(0.05_f32),
            time,
        };
        tensors = crate::adamw(tensors, gradient, step);
        assert_close("burn", &to_vec(&tensors[0]), &to_vec(&module.weight.val().inner()), 1e-6);
    }
}

#[test]
fn a_step_touches_no_tensor_that_others_hold() {
    let device = Device::flex();
    let start = [1, 2, 3].map(|seed| tensor([2, 3, 4], 1.0, seed, &device).abs());
    let before = start.each_ref().map(to_vec);
    let gradient = tensor([2, 3, 4], 1.0, 4, &device);
    let step = AdamWStep {
        learning_rate: 0.1,
        betas: (0.9, 0.99),
        epsilon: 1e-8,
        weight_decay: 0.1,
        time: 3,
    };
    let after = flex::adamw(start.clone(), gradient, step);
    assert_eq!(start.each_ref().map(to_vec), before);
    assert!(after.iter().zip(&before).all(|(after, before)| to_vec(after) != *before));
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn attention_agrees(
        (batch, seq) in (1_usize..4, 1_usize..40),
        (num_heads, head_dim) in (1_usize..5, 1_usize..36),
        spread in 0.1_f32..2.0,
        seed in any::<u64>(),
    ) {
        // Both paths round a score in f32, and the exponential makes that a relative error of a
        // weight: about 1e-6 for scores of 20, as the widest heads and spreads here give.
        let qkv = tensor([batch, seq, 3 * num_heads * head_dim], spread, seed, &Device::flex());
        let (tokens, weights) = flex::attention_with_weights(qkv.clone(), num_heads);
        let (plain_tokens, plain_weights) = plain::attention(qkv.clone(), num_heads);
        assert_close("tokens", &to_vec(&tokens), &to_vec(&plain_tokens), 1e-5);
        assert_close("weights", &to_vec(&weights), &to_vec(&plain_weights), 1e-5);
        check(
            &|x| flex::attention(x[0].clone(), num_heads),
            &|x| plain::attention(x[0].clone(), num_heads).0,
            &[qkv],
        );
    }
}

#[test]
fn attention_reads_views_and_keeps_nan_in_its_image() {
    let device = Device::flex();
    let qkv = tensor([3, 24, 7], 1.0, 13, &device);
    let view = qkv.swap_dims(1, 2); // [3, 7, 24]
    let dense = Tensor::<3>::from_data(view.to_data(), &device);
    let wanted = to_vec(&flex::attention(dense, 2));
    assert_eq!(to_vec(&flex::attention(view.clone(), 2)), wanted);

    let broken =
        view.slice_assign([1..2, 2..3, 0..24], Tensor::full([1, 1, 24], f32::NAN, &device));
    let found = to_vec(&flex::attention(broken, 2));
    let image = 7 * 8;
    assert_eq!(found[..image], wanted[..image]);
    assert!(found[image..2 * image].iter().all(|x| x.is_nan()));
    assert_eq!(found[2 * image..], wanted[2 * image..]);
}

#[test]
#[should_panic(expected = "the last dimension of qkv is 10, wanted a multiple of 3 * 2 heads")]
fn a_projection_that_heads_do_not_divide_is_refused() {
    crate::attention(tensor([1, 2, 10], 1.0, 1, &Device::flex()), 2);
}

#[test]
#[should_panic(expected = "attention: qkv is [0, 2, 12], wanted at least one element")]
fn a_projection_of_no_images_is_refused() {
    crate::attention(tensor([0, 2, 12], 1.0, 1, &Device::flex()), 2);
}

#[test]
fn weights_can_be_had_with_gradients_too() {
    let device = Device::flex().autodiff();
    let qkv = tensor([2, 5, 12], 1.0, 3, &device).require_grad();
    let (tokens, weights) = crate::attention_with_weights(qkv.clone(), 2);
    assert_close("tokens", &to_vec(&tokens), &to_vec(&crate::attention(qkv.clone(), 2)), 1e-6);
    let gradients = weights.slice([0..2, 0..2, 0..5, 0..1]).sum().backward();
    assert!(qkv.grad(&gradients).is_some());
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

fn row(values: &[f32]) -> Tensor<1> {
    Tensor::from_floats(values, &Device::flex())
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

/// Views (permuted, a part of a longer buffer) and tensors held elsewhere too.
#[test]
fn views_are_read_as_they_stand_and_what_others_hold_is_not_touched() {
    let device = Device::flex();
    let x = tensor([4, 5, 6], 3.0, 7, &device);
    let before = to_vec(&x);
    let views = [x.clone().permute([2, 0, 1]), x.clone().slice([1..3, 0..5, 0..6]), x.clone()];
    for view in views {
        let dense = Tensor::<3>::from_data(view.to_data(), &device);
        assert_eq!(to_vec(&flex::gelu(view.clone())), to_vec(&flex::gelu(dense.clone())));
        assert_eq!(to_vec(&flex::softmax(view, 0.5)), to_vec(&flex::softmax(dense, 0.5)));
    }
    assert_eq!(to_vec(&x), before);
}

#[test]
fn gradients_pass_through_permuted_inputs_and_outputs() {
    let x = tensor([3, 5, 4], 2.0, 3, &Device::flex());
    let through = |operation: fn(Tensor<3>) -> Tensor<3>, x: &[Tensor<3>]| {
        operation(x[0].clone().permute([2, 0, 1])).swap_dims(0, 2)
    };
    let (fused, plain) = (|x| flex::softmax(x, 0.3), |x| plain::softmax(x, 0.3));
    check(&|x| through(fused, x), &|x| through(plain, x), std::slice::from_ref(&x));
    check(&|x| through(flex::gelu, x), &|x| through(plain::gelu, x), &[x]);
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
fn results_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be started").install(|| {
            let x = tensor([16, 65, 96], 2.0, 11, &device).require_grad(); // several tasks
            let weight = Tensor::<1>::ones([96], &device).require_grad();
            let bias = Tensor::<1>::zeros([96], &device).require_grad();
            let y = flex::layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-6);
            let square = Tensor::<2>::ones([96, 96], &device);
            let y =
                flex::mlp(y.clone(), [square.clone(), square], [bias.clone(), bias.clone()]) + y;
            let tokens = flex::attention(y.clone(), 2);
            let loss = (flex::gelu(y.clone()) * flex::softmax(y, 2.0)).sum() + tokens.sum();
            let gradients = loss.backward();
            let parameters = [weight, bias].map(|p| to_vec(&p.grad(&gradients).expect("tracked")));
            (to_vec(&x.grad(&gradients).expect("tracked")), parameters)
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn other_dtypes_and_empty_tensors_are_left_to_burn() {
    let device = Device::flex();
    let x = tensor([1, 2, 3], 1.0, 1, &device);
    assert!(flex::takes(&x));
    assert!(!flex::takes(&x.clone().cast(DType::F64)));
    assert!(!flex::takes(&x.cast(DType::F16)));
    assert!(!flex::takes(&Tensor::<2>::zeros([0, 3], &device)));
}

#[test]
#[should_panic(expected = "layer_norm: bias has 2 elements, the last dimension of x 3")]
fn a_bias_of_another_length_is_refused() {
    let x = tensor([1, 2, 3], 1.0, 1, &Device::flex());
    crate::layer_norm(x, row(&[1.0; 3]), row(&[0.0; 2]), 1e-6);
}
