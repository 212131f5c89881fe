//! The fused operations against burn's own: values and gradients; and what holds for all of them.

mod adamw;
mod attention;
mod biased_attention;
mod linear;
mod rows;

use burn::tensor::{DType, Device, Tensor, TensorData};
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

/// A matrix and a row in one, as [`check`] wants its inputs.
fn matrix<const D: usize>(x: &Tensor<D>) -> Tensor<2> {
    let [_, rows, columns] = x.dims()[..] else { panic!("[1, rows, columns] is wanted") };
    x.clone().reshape([rows, columns])
}

fn row_of(x: &Tensor<3>) -> Tensor<1> {
    x.clone().flatten(0, 2)
}

fn row(values: &[f32]) -> Tensor<1> {
    Tensor::from_floats(values, &Device::flex())
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
fn results_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    let run = |shape, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be started").install(|| {
            let x = tensor(shape, 2.0, 11, &device).require_grad();
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
    // Several images, and one whose rows several threads share.
    for shape in [[16, 65, 96], [1, 700, 96], [97, 1, 96], [1, 577, 96]] {
        let alone = run(shape, 1);
        assert!((2..9).all(|threads| run(shape, threads) == alone), "{shape:?}");
    }
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
