//! AdamW: against its equations in burn's terms, and against burn's own optimiser.

use burn::{
    module::Param,
    nn::Linear,
    optim::{AdamWConfig, GradientsParams},
    tensor::{Device, Tensor},
};
use proptest::prelude::*;

use super::{assert_close, shapes, tensor, to_vec};
use crate::{AdamWStep, flex, plain};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
            weight_decay: 0.05,
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
