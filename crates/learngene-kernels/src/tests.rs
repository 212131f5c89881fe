//! The fused operations against burn's own: values and gradients.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use crate::{flex, plain};

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
