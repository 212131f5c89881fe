//! Attention, and its weights.

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;

use super::{assert_close, check, tensor, to_vec};
use crate::{flex, plain};

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
        let (plain_tokens, plain_weights) = plain::attention(qkv.clone(), None, num_heads);
        assert_close("tokens", &to_vec(&tokens), &to_vec(&plain_tokens), 1e-5);
        assert_close("weights", &to_vec(&weights), &to_vec(&plain_weights), 1e-5);
        check(
            &|x| flex::attention(x[0].clone(), num_heads),
            &|x| plain::attention(x[0].clone(), None, num_heads).0,
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
