//! Attention with a bias of the scores: shared by all windows, and one for each window of an image.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::{assert_close, check, tensor, to_vec, values};
use crate::{flex, plain};

/// A bias `[groups, num_heads, seq, seq]` in which some pairs are masked out, but no token from
/// itself. As `[groups * num_heads, seq, seq]`, which [`check`] wants.
fn masked_bias(groups: usize, num_heads: usize, seq: usize, seed: u64) -> Tensor<3> {
    let shape = [groups * num_heads, seq, seq];
    let mut bias = values(shape.iter().product(), seed);
    let masks = values(bias.len(), seed ^ 1);
    for (pair, (bias, mask)) in bias.iter_mut().zip(masks).enumerate() {
        let (query, key) = (pair / seq % seq, pair % seq);
        if mask > 0.3 && query != key {
            *bias = -100.0;
        }
    }
    Tensor::from_data(TensorData::new(bias, shape), &Device::flex())
}

/// `[groups, num_heads, seq, seq]` again.
fn by_head(bias: &Tensor<3>, num_heads: usize) -> Tensor<4> {
    let [matrices, seq, _] = bias.dims();
    bias.clone().reshape([matrices / num_heads, num_heads, seq, seq])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn biased_attention_agrees(
        (images, groups) in (1_usize..6, prop_oneof![Just(1_usize), 2_usize..6]),
        seq in 1_usize..50,
        (num_heads, head_dim) in (1_usize..4, 1_usize..36),
        spread in 0.1_f32..1.5,
        seed in any::<u64>(),
    ) {
        let shape = [images * groups, seq, 3 * num_heads * head_dim];
        let qkv = tensor(shape, spread, seed, &Device::flex());
        let bias = masked_bias(groups, num_heads, seq, seed ^ 2);
        let fused = flex::biased_attention_with_weights(qkv.clone(), by_head(&bias, num_heads), num_heads);
        let plain = plain::attention(qkv.clone(), Some(by_head(&bias, num_heads)), num_heads);
        assert_close("tokens", &to_vec(&fused.0), &to_vec(&plain.0), 1e-6);
        assert_close("weights", &to_vec(&fused.1), &to_vec(&plain.1), 1e-6);
        check(
            &|x| flex::biased_attention(x[0].clone(), by_head(&x[1], num_heads), num_heads),
            &|x| plain::attention(x[0].clone(), Some(by_head(&x[1], num_heads)), num_heads).0,
            &[qkv, bias],
        );
    }

    /// A bias of zero is none, and on both paths.
    #[test]
    fn without_a_bias_it_is_attention(
        (images, groups, seq) in (1_usize..4, 1_usize..4, 1_usize..50),
        (num_heads, head_dim) in (1_usize..4, 1_usize..36),
        seed in any::<u64>(),
    ) {
        let shape = [images * groups, seq, 3 * num_heads * head_dim];
        let qkv = tensor(shape, 1.0, seed, &Device::flex());
        let zero = Tensor::<4>::zeros([groups, num_heads, seq, seq], &Device::flex());
        let biased = |x: &[Tensor<3>]| {
            let zero = Tensor::from_data(zero.to_data(), &x[0].device());
            crate::biased_attention(x[0].clone(), zero, num_heads)
        };
        check(&biased, &|x| crate::attention(x[0].clone(), num_heads), std::slice::from_ref(&qkv));
        let (_, found) = plain::attention(qkv.clone(), Some(zero.clone()), num_heads);
        let (_, wanted) = plain::attention(qkv, None, num_heads);
        assert_close("weights", &to_vec(&found), &to_vec(&wanted), 1e-6);
    }
}

/// Windows lie image by image, so each takes the bias of its place in the image.
#[test]
fn a_window_takes_the_bias_of_its_group() {
    let (images, groups, num_heads, seq) = (3, 4, 2, 5);
    let device = Device::flex();
    let qkv = tensor([images * groups, seq, 3 * num_heads * 8], 1.0, 5, &device);
    let bias = by_head(&masked_bias(groups, num_heads, seq, 6), num_heads);
    let found = crate::biased_attention(qkv.clone(), bias.clone(), num_heads);
    for i in 0..images * groups {
        let [qkv, found] = [&qkv, &found].map(|x| x.clone().slice_dim(0, i..i + 1));
        let bias = bias.clone().slice_dim(0, i % groups..i % groups + 1);
        assert_eq!(to_vec(&found), to_vec(&crate::biased_attention(qkv, bias, num_heads)), "{i}");
    }
}

/// One long image, whose queries several threads share: each part needs its rows of the bias.
#[test]
fn parts_of_the_queries_take_their_rows_of_the_bias() {
    let qkv = tensor([1, 300, 24], 1.0, 1, &Device::flex());
    let bias = by_head(&masked_bias(1, 2, 300, 2), 2);
    let wanted = to_vec(&plain::attention(qkv.clone(), Some(bias.clone()), 2).0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build();
    let found =
        pool.expect("threads can be started").install(|| flex::biased_attention(qkv, bias, 2));
    assert_close("tokens", &to_vec(&found), &wanted, 1e-6);
}

#[test]
fn gradients_of_a_bias_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    for (images, groups) in [(150, 1), (5, 1), (40, 6), (1, 70)] {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads can be started").install(|| {
                let qkv = tensor([images * groups, 9, 48], 2.0, 3, &device).require_grad();
                let bias = tensor([groups * 2, 9, 9], 1.0, 4, &device).require_grad();
                let tokens = flex::biased_attention(qkv.clone(), by_head(&bias, 2), 2);
                let gradients = (tokens.clone() * tokens).sum().backward();
                [qkv, bias].map(|x| to_vec(&x.grad(&gradients).expect("tracked")))
            })
        };
        let alone = run(1);
        assert!((2..7).all(|threads| run(threads) == alone), "{images} images, {groups} groups");
    }
}

#[test]
fn a_bias_or_a_projection_that_is_not_trained_gets_no_gradient() {
    let device = Device::flex().autodiff();
    let [qkv, bias] = [[4, 3, 12], [2, 3, 3]].map(|shape| tensor(shape, 1.0, 1, &device));
    let run = |qkv: &Tensor<3>, bias: &Tensor<3>| {
        let gradients = flex::biased_attention(qkv.clone(), by_head(bias, 1), 1).backward();
        (qkv.grad(&gradients).is_some(), bias.grad(&gradients).is_some())
    };
    assert_eq!(run(&qkv.clone().require_grad(), &bias), (true, false));
    assert_eq!(run(&qkv, &bias.require_grad()), (false, true));
}

#[test]
fn weights_of_biased_attention_can_be_had_with_gradients_too() {
    let device = Device::flex().autodiff();
    let qkv = tensor([2, 5, 12], 1.0, 3, &device);
    let bias = tensor([2, 5, 5], 1.0, 4, &device).require_grad();
    let (tokens, weights) = crate::biased_attention_with_weights(qkv.clone(), by_head(&bias, 2), 2);
    let alone = crate::biased_attention(qkv, by_head(&bias, 2), 2);
    assert_close("tokens", &to_vec(&tokens), &to_vec(&alone), 1e-6);
    let gradients = weights.slice([0..2, 0..2, 0..5, 0..1]).sum().backward();
    assert!(bias.grad(&gradients).is_some());
}

fn refused(bias: [usize; 4]) {
    let device = Device::flex();
    crate::biased_attention(tensor([6, 2, 12], 1.0, 1, &device), Tensor::zeros(bias, &device), 2);
}

#[test]
#[should_panic(expected = "dimensions of the bias after the first, for 2 heads and 2 tokens")]
fn a_bias_of_other_heads_is_refused() {
    refused([1, 3, 2, 2]);
}

#[test]
#[should_panic(expected = "first dimension of qkv is 6, wanted a multiple of the 4 groups")]
fn groups_that_do_not_divide_the_windows_are_refused() {
    refused([4, 2, 2, 2]);
}
