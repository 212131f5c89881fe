//! How much the last features change with the tokens that each half of a layer leaves.
//!
//! With `f` the features after the last layer, each in parts of its standard deviation over the images,
//! and `r` normal numbers, the gradient `g` of `r f` in the tokens has `E[(g d)^2] = |J d|^2` for a change
//! `d`. So `S`, the sum over the tokens of an image of `g g^T` averaged over images, gives what errors of
//! covariance `D` at each token do to the features: `tr(S D)`, where errors of tokens are independent.

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};
use learngene_least_squares::{Cholesky, NotFinite};
use learngene_models::{Classifier, Model, Pool};
use learngene_tensors::Result;
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    half::Half,
    images::Images,
    sums::{add, fetch, unsolvable},
};

/// Tokens for each channel that suffice for a covariance of gradients.
const TOKENS_PER_CHANNEL: usize = 8;

/// Images whose tokens of all layers are kept at a time.
const IMAGES: usize = 4;

/// Part of the mean of a covariance's diagonal that is added to it, so that it has a factor.
const JITTER: f64 = 1e-6;

/// Of one half of a layer: `M` with `M M^T = S / features`, so that an error `e` of a token costs
/// `|M^T e|^2` of the features' variance. `[embed_dim, embed_dim]`
pub(crate) type Metric = Array2<f64>;

/// Sums of `g g^T` over tokens, of both halves of a layer.
type Sums = [Option<Tensor<2>>; 2];

/// The metrics of both halves of every layer, from images evenly taken of all, as many as have enough
/// tokens, for the features' standard deviations.
pub(crate) fn metrics(
    ancestor: &Model,
    images: &mut Images<'_>,
    deviations: &[f64],
) -> Result<Vec<[Metric; 2]>> {
    let shape = ancestor.shape();
    let last = shape.layer(shape.depth() - 1);
    let batches =
        images.chosen((TOKENS_PER_CHANNEL * last.embed_dim).div_ceil(last.field.tokens()))?;
    let tracked = ancestor.clone().fork(&ancestor.device().autodiff()).no_grad();
    let mut sums: Vec<Sums> = vec![[None, None]; ancestor.num_layers()];
    let mut draw = ChaCha8Rng::seed_from_u64(0);
    let mut count = 0;
    for images in batches.into_iter().flat_map(|images| images.split(IMAGES, 0)) {
        count += images.dims()[0];
        let weights = weights(images.dims()[0], deviations, &mut draw);
        add_gradients([ancestor, &tracked], images, weights, &mut sums);
    }
    let scale = (count * deviations.len()) as f64;
    let root = |(layer, sums): (usize, Sums)| -> Result<[Metric; 2]> {
        let factors = sums.map(|sum| factor(sum.expect("every half has gradients"), scale));
        let [attention, ffn] = factors.map(|factor| factor.ok_or(NotFinite));
        Ok([attention.map_err(unsolvable(layer))?, ffn.map_err(unsolvable(layer))?])
    };
    sums.into_iter().enumerate().map(root).collect()
}

/// `r` in units of the features' standard deviations, one draw for each image.
fn weights(images: usize, deviations: &[f64], draw: &mut ChaCha8Rng) -> TensorData {
    let normal = |deviation: &f64| {
        let drawn: f64 = StandardNormal.sample(draw);
        (drawn / deviation) as f32
    };
    let numbers = deviations.iter().cycle().take(images * deviations.len()).map(normal);
    TensorData::new(numbers.collect::<Vec<f32>>(), [images, deviations.len()])
}

/// Adds `g g^T` over the tokens of some images, for `g` from the last half to the first. One half at a
/// time is run by the model that tracks gradients: it keeps much more of each than the tokens.
fn add_gradients(
    [plain, tracked]: [&Model; 2],
    images: Tensor<4>,
    weights: TensorData,
    sums: &mut [Sums],
) {
    let mut tokens = plain.embed(images);
    let mut before: Vec<[Tensor<3>; 2]> = Vec::new();
    for layer in 0..sums.len() {
        before.push(Half::BOTH.map(|half| {
            let before = tokens.clone();
            tokens = step(plain, layer, half, before.clone());
            before
        }));
    }
    let device = tracked.device();
    let weights = Tensor::from_data(weights, &device);
    let mut gradient =
        gradient_of(tokens, |tokens| (tracked.pool_tokens(tokens, Pool::Both) * weights).sum());
    for (layer, (before, sums)) in before.into_iter().zip(sums).enumerate().rev() {
        for (half, tokens) in Half::BOTH.into_iter().zip(before).rev() {
            let [batch, seq, width] = gradient.dims();
            let rows = gradient.clone().reshape([batch * seq, width]);
            add(&mut sums[half as usize], rows.clone().transpose().matmul(rows));
            gradient = gradient_of(tokens, |tokens| {
                (step(tracked, layer, half, tokens) * Tensor::from_inner(gradient)).sum()
            });
        }
    }
}

/// Tokens after a half of a layer.
fn step(model: &Model, layer: usize, half: Half, tokens: Tensor<3>) -> Tensor<3> {
    let tokens = match half {
        Half::Attention => model.layer_input(layer, tokens),
        Half::Ffn => tokens,
    };
    half.run(model, layer, tokens)
}

/// Gradient of a scalar in the tokens that it is computed from.
fn gradient_of(tokens: Tensor<3>, scalar: impl FnOnce(Tensor<3>) -> Tensor<1>) -> Tensor<3> {
    let tokens = Tensor::from_inner(tokens).require_grad();
    tokens.grad(&scalar(tokens.clone()).backward()).expect("the scalar depends on the tokens")
}

/// `M` of `M M^T = S`; `None` where a number is not finite.
fn factor(sum: Tensor<2>, scale: f64) -> Option<Metric> {
    let dims = sum.dims();
    let values = fetch(sum).into_iter().map(|value| f64::from(value) / scale).collect();
    let sum = Array2::from_shape_vec(dims, values).expect("as many values");
    let mean = sum.diag().mean().filter(|mean| *mean > 0.0).unwrap_or(1.0);
    Some(Cholesky::of_penalised(&sum, JITTER * mean, mean)?.lower())
}
