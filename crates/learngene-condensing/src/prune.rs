//! One-shot structured pruning: what learngenes are compared with.

mod scores;
mod sizes;
mod taylor;

use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::Checkpoint;
use learngene_format::{Store, centroid_shape};
use learngene_models::Model;
use learngene_shape::{LayerSizes, Shape};
use learngene_tensors::{Result, StateDict};

use crate::{
    FitOptions,
    ancestor::check_parameters,
    fit::Fitting,
    half::Half,
    images::Images,
    measure::linear,
    tokens::{LEAST_PER_FEATURE, Tokens},
};
use scores::{Scores, magnitude, random, variance};

/// Which heads and hidden units are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// Pretraining-Finetuning: the first layers whole; of the next one, the first heads and hidden
    /// units, as large a part of them as fits.
    First,
    /// The largest weights: the norm of the weights that a head or hidden unit reads with, times the norm
    /// of those that read it. The same part of every layer (Li et al., 2017,
    /// <https://arxiv.org/abs/1608.08710>).
    Magnitude,
    /// Drawn at random, the same part of every layer.
    Random {
        /// Seed of the draw.
        seed: u64,
    },
    /// The largest variance over the images' tokens. Those that go become constants, their means, which
    /// move into the bias. The same part of every layer (Polyak and Wolf, 2015,
    /// <https://doi.org/10.1109/ACCESS.2015.2494536>).
    Variance,
    /// The largest `(a dL/da)^2` for each parameter, over all layers together: with `a dL/da` summed over
    /// the tokens of an image and the square averaged over images, to first order the squared change of
    /// the cross-entropy without the head or hidden unit (Molchanov et al., 2019,
    /// <https://arxiv.org/abs/1906.10771>). An ancestor without a classifier gets a linear one, by ridge
    /// regression from its features to the images' classes.
    Taylor,
}

/// What is pruned by, and how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PruneOptions {
    /// Which heads and hidden units are kept.
    pub criterion: Criterion,
    /// The largest number of parameters.
    pub max_params: u64,
    /// Fits the matrices that read what is kept to the ancestor's tokens, layer by layer, as a learngene's
    /// are: the ridge, as a multiple of the features' mean variance.
    pub refit: Option<f64>,
    /// Keeps the ancestor's classifier.
    pub classifier: bool,
}

/// A smaller model.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// Its shape: layers of the ancestor, from the first on.
    pub shape: Shape,
    /// Its parameters, by timm's names.
    pub parameters: StateDict,
}

/// `[layer][half]`: the heads and hidden units that are kept, in the ancestor's order.
type Kept = Vec<[Vec<usize>; 2]>;

/// Keeps some heads and hidden units of an ancestor and removes all others, in one shot.
///
/// Where as many parameters cannot be reached by hidden units alone, heads are removed too.
///
/// # Shapes
/// - batches: images `[batch, 3, image_size, image_size]`, normalised, and the class of each, which
///   [`Criterion::Taylor`] alone reads; the same ones every time
///
/// # Errors
/// Fewer parameters than the smallest model has; a ridge that is negative or not finite; the images' own
/// error; no image; images that are nearly blank or, where classes are read, have none; tokens that are
/// not finite.
pub fn prune<F, I, E>(
    ancestor: &Checkpoint,
    batches: F,
    options: PruneOptions,
    device: &Device,
) -> Result<Pruned>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<(Tensor<4>, Vec<usize>), E>>,
    E: StdError,
{
    let PruneOptions { criterion, max_params, refit, classifier } = options;
    let fit = FitOptions::default();
    FitOptions { ridge: refit.unwrap_or(fit.ridge), ..fit }.check()?;
    check_parameters(ancestor)?;
    let classes = if classifier { ancestor.shape.num_classes() } else { 0 };
    let whole = ancestor.shape.with_num_classes(classes)?;
    let model = Model::load(&ancestor.shape, &ancestor.parameters, device)?;
    let mut images =
        Images::new(|| batches().into_iter().map(|batch| batch.map(|(images, _)| images)));
    let mut means = None;
    let same_part = |scores: &Scores| Ok(best(scores, &sizes::same_part(&whole, max_params)?));
    let kept = match criterion {
        Criterion::First => first(&sizes::first(&whole, max_params)?),
        Criterion::Magnitude => same_part(&magnitude(ancestor))?,
        Criterion::Random { seed } => same_part(&random(&whole, seed))?,
        Criterion::Variance => {
            let (scores, of_features) = variance(&model, &mut images)?;
            means = Some(of_features);
            same_part(&scores)?
        }
        Criterion::Taylor => {
            images.each(|_| Ok(()))?;
            let scores = taylor::scores(ancestor, &model, &batches, device)?;
            sizes::over_all(&whole, &scores, max_params)?
        }
    };
    let layers: StateDict = match refit {
        Some(ridge) => {
            let tokens = Tokens::embed(&model, &mut images, LEAST_PER_FEATURE)?;
            let options = FitOptions { ridge, any_size: false, ..fit };
            let fitting = Fitting::new(model.clone(), model, tokens, options, Store::F32);
            let keep = &mut |layer: usize, half, _: &_| Ok(kept[layer][half as usize].clone());
            fitting.run(kept.len(), keep)?.tensors
        }
        None => cut(ancestor, &kept, means.as_deref()),
    };
    let sizes: Vec<LayerSizes> = kept.iter().map(sizes_of).collect();
    let of_layers: Vec<usize> = (0..sizes.len()).collect();
    let shape = centroid_shape(&whole, &of_layers, |layer| sizes[layer])?;
    let of_shape = shape.parameters().into_iter().map(|parameter| {
        let tensor = layers.get(&parameter.name).or(ancestor.parameters.get(&parameter.name));
        (parameter.name, tensor.expect("the ancestor has all parameters").clone())
    });
    Ok(Pruned { parameters: of_shape.collect(), shape })
}

/// The first heads and hidden units of layers.
fn first(sizes: &[LayerSizes]) -> Kept {
    let of_layer =
        |sizes: &LayerSizes| [(0..sizes.num_heads).collect(), (0..sizes.hidden_dim).collect()];
    sizes.iter().map(of_layer).collect()
}

/// As many of each layer as its sizes say, those of the highest scores.
fn best(scores: &Scores, sizes: &[LayerSizes]) -> Kept {
    let of_half = |scores: &Vec<f64>, count: usize| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
        order.truncate(count);
        order.sort_unstable();
        order
    };
    let of_layer = |([heads, units], sizes): (&[Vec<f64>; 2], &LayerSizes)| {
        [of_half(heads, sizes.num_heads), of_half(units, sizes.hidden_dim)]
    };
    scores.iter().zip(sizes).map(of_layer).collect()
}

fn sizes_of([heads, units]: &[Vec<usize>; 2]) -> LayerSizes {
    LayerSizes { num_heads: heads.len(), hidden_dim: units.len() }
}

/// The ancestor's parameters of what is kept; with the means of all features, what the others add on
/// average is in the biases.
fn cut(ancestor: &Checkpoint, kept: &Kept, means: Option<&[[Vec<f64>; 2]]>) -> StateDict {
    let Checkpoint { shape, parameters, .. } = ancestor;
    let mut tensors = StateDict::default();
    for (layer, of_layer) in kept.iter().enumerate() {
        for (half, kept) in Half::BOTH.into_iter().zip(of_layer) {
            tensors.extend(half.cut(parameters, shape, layer, kept));
            let Some(means) = means else { continue };
            let weight = half.weight(shape, layer);
            let mut map = linear(parameters, &weight);
            let stays = half.features_of(shape, layer, kept);
            for (feature, mean) in means[layer][half as usize].iter().enumerate() {
                if !stays.contains(&feature) {
                    map.bias.scaled_add(*mean, &map.weight.row(feature));
                }
            }
            let [_, bias] = map.to_rows();
            let name = weight.bias_name();
            let shape = vec![bias.len()];
            tensors.insert(name, learngene_tensors::Tensor::new(shape, bias));
        }
    }
    tensors
}

#[cfg(test)]
mod tests;
