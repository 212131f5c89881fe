//! How much the last features change with the tokens that each half of a layer leaves.
//!
//! With `f` the features after the last layer, each in parts of its standard deviation over the images,
//! and `r` normal numbers, the gradient `g` of `r f` in the tokens has `E[(g d)^2] = |J d|^2` for a change
//! `d`. So `S`, the sum over the tokens of an image of `g g^T` averaged over images, gives what errors of
//! covariance `D` at each token do to the features: `tr(S D)`, where errors of tokens are independent.

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use learngene_least_squares::{Cholesky, NotFinite};
use learngene_models::{Classifier, Model, Pool};
use learngene_tensors::Result;
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    images::Images,
    sums::{fetch, unsolvable},
    tokens::Half,
};

/// Tokens for each channel that suffice for a covariance of gradients.
const TOKENS_PER_CHANNEL: usize = 16;

/// Images whose activations are kept at a time.
const IMAGES: usize = 2;

/// Part of the mean of a covariance's diagonal that is added to it, so that it has a factor.
const JITTER: f64 = 1e-6;

/// Of one half of a layer: `M` with `M M^T = S / features`, so that an error `e` of a token costs
/// `|M^T e|^2` of the features' variance. `[embed_dim, embed_dim]`
pub(crate) type Metric = Array2<f64>;

/// The metrics of both halves of every layer, from images evenly taken of all, as many as have enough
/// tokens.
pub(crate) fn metrics(
    ancestor: &Model,
    images: &mut Images<'_>,
    device: &Device,
) -> Result<Vec<[Metric; 2]>> {
    let batches = chosen(ancestor, images)?;
    let deviations = deviations(ancestor, &batches);
    let tracked = ancestor.clone().fork(&device.clone().autodiff()).no_grad();
    let shape = ancestor.shape();
    let zeros = |layer: &learngene_shape::LayerShape| {
        [(); 2].map(|()| Array2::<f64>::zeros((layer.embed_dim, layer.embed_dim)))
    };
    let mut sums: Vec<[Array2<f64>; 2]> = shape.layers().iter().map(zeros).collect();
    let mut draw = ChaCha8Rng::seed_from_u64(0);
    let mut count = 0;
    for images in batches.iter().flat_map(|images| images.clone().split(IMAGES, 0)) {
        count += images.dims()[0];
        let images = Tensor::from_data(images.to_data(), &device.clone().autodiff());
        add_gradients(&tracked, images, &deviations, &mut draw, &mut sums);
    }
    let features = deviations.len() as f64;
    let root = |(layer, sums): (usize, [Array2<f64>; 2])| -> Result<[Array2<f64>; 2]> {
        let [attention, ffn] = sums.map(|sum| factor(&(sum / (count as f64 * features))));
        let none = || unsolvable(layer)(NotFinite);
        Ok([attention.ok_or_else(none)?, ffn.ok_or_else(none)?])
    };
    sums.into_iter().enumerate().map(root).collect()
}

/// Images evenly taken of all.
fn chosen(model: &Model, images: &mut Images<'_>) -> Result<Vec<Tensor<4>>> {
    let shape = model.shape();
    let last = shape.layer(shape.depth() - 1);
    let wanted = (TOKENS_PER_CHANNEL * last.embed_dim).div_ceil(last.field.tokens());
    images.each(|_| Ok(()))?; // They are counted first.
    let all = images.count() as usize;
    let stride = (all / wanted).max(1);
    let (mut seen, mut chosen) = (0, Vec::new());
    images.each(|batch| {
        let [size, ..] = batch.dims();
        let of_batch = (0..size).filter(|index| (seen + index) % stride == 0);
        let of_batch: Vec<Tensor<4>> =
            of_batch.map(|index| batch.clone().slice_dim(0, index..index + 1)).collect();
        seen += size;
        if !of_batch.is_empty() {
            chosen.push(Tensor::cat(of_batch, 0));
        }
        Ok(())
    })?;
    Ok(chosen)
}

/// Standard deviation of each feature over the images.
fn deviations(model: &Model, batches: &[Tensor<4>]) -> Vec<f64> {
    let features = batches.iter().map(|images| model.pooled_features(images.clone(), Pool::Both));
    let features: Tensor<2> = Tensor::cat(features.collect(), 0);
    let mean = features.clone().mean_dim(0);
    let variances = fetch((features - mean).powi_scalar(2).mean_dim(0));
    let variances: Vec<f64> = variances.into_iter().map(f64::from).collect();
    // A feature that hardly varies would drown all others.
    let least = 1e-4 * variances.iter().sum::<f64>() / variances.len() as f64;
    variances
        .into_iter()
        .map(|variance| variance.max(least).max(f64::MIN_POSITIVE).sqrt())
        .collect()
}

/// Adds `g g^T` over all tokens, for one draw of `r` for each image.
fn add_gradients(
    model: &Model,
    images: Tensor<4>,
    deviations: &[f64],
    draw: &mut ChaCha8Rng,
    sums: &mut [[Array2<f64>; 2]],
) {
    let (batch, device) = (images.dims()[0], images.device());
    let mut tokens = model.embed(images);
    let mut changes: Vec<[Tensor<3>; 2]> = Vec::new();
    for layer in 0..sums.len() {
        tokens = model.layer_input(layer, tokens);
        changes.push(Half::BOTH.map(|half| {
            let change = Tensor::zeros_like(&tokens).require_grad();
            tokens = half.run(model, layer, tokens.clone()) + change.clone();
            change
        }));
    }
    let features = model.pool_tokens(tokens, Pool::Both);
    let normal = |deviation: &f64| {
        let drawn: f64 = StandardNormal.sample(draw);
        (drawn / deviation) as f32
    };
    let numbers: Vec<f32> =
        deviations.iter().cycle().take(batch * deviations.len()).map(normal).collect();
    let weights = TensorData::new(numbers, [batch, deviations.len()]);
    let gradients = (features * Tensor::from_data(weights, &device)).sum().backward();
    for (sums, changes) in sums.iter_mut().zip(changes) {
        for (sum, change) in sums.iter_mut().zip(changes) {
            let gradient = change.grad(&gradients).expect("features depend on every token");
            let [batch, seq, width] = gradient.dims();
            let rows = gradient.reshape([batch * seq, width]);
            let products = fetch(rows.clone().transpose().matmul(rows));
            sum.iter_mut().zip(products).for_each(|(sum, product)| *sum += f64::from(product));
        }
    }
}

/// `M` of `M M^T = S`; `None` where a number is not finite.
fn factor(sum: &Array2<f64>) -> Option<Metric> {
    let mean = sum.diag().mean().filter(|mean| *mean > 0.0).unwrap_or(1.0);
    Some(Cholesky::of_penalised(sum, JITTER * mean, mean)?.lower())
}
