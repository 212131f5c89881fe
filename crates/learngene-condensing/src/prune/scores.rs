//! Scores of heads and hidden units by weights, by chance and by their variance.

use learngene_checkpoints::Checkpoint;
use learngene_models::{Classifier, Model};
use learngene_shape::{Axis, Parameter, Shape};
use learngene_tensors::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    half::Half,
    images::Images,
    measure::pass,
    tokens::{LEAST_PER_FEATURE, Tokens},
};

/// `[layer][half]`: of each head and of each hidden unit; more is better.
pub(super) type Scores = Vec<[Vec<f64>; 2]>;

impl Half {
    /// Its heads, or its hidden units.
    pub(super) fn num_groups(self, shape: &Shape, layer: usize) -> usize {
        let layer = shape.layer(layer);
        match self {
            Self::Attention => layer.heads.num_heads,
            Self::Ffn => layer.ffn.hidden_dim,
        }
    }
}

/// Scores of every head and hidden unit of a shape.
fn each(shape: &Shape, mut score: impl FnMut(usize, Half, usize) -> f64) -> Scores {
    let mut of_half = |layer, half: Half| -> Vec<f64> {
        (0..half.num_groups(shape, layer)).map(|group| score(layer, half, group)).collect()
    };
    (0..shape.depth()).map(|layer| Half::BOTH.map(|half| of_half(layer, half))).collect()
}

/// Norm of the weights that a head or hidden unit reads with, times the norm of those that read it.
pub(super) fn magnitude(ancestor: &Checkpoint) -> Scores {
    let shape = &ancestor.shape;
    let layers: Vec<Vec<Parameter>> =
        (0..shape.depth()).map(|layer| shape.layer_parameters(layer)).collect();
    let norm = |half: Half, parameter: &Parameter, group: usize| {
        let tensor = ancestor.parameters.get(&parameter.name).expect("it was checked");
        let of_group = half.select(parameter, tensor, &[group]);
        of_group.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
    };
    each(shape, |layer, half, group| {
        let is_read_with = |parameter: &&Parameter| {
            let axis = parameter.axes[0];
            half.owns(parameter)
                && parameter.reads(1)
                && matches!(axis, Axis::Heads { .. } | Axis::Hidden { .. })
        };
        let first = layers[layer].iter().find(is_read_with).expect("each half begins in a matrix");
        norm(half, first, group) * norm(half, &half.weight(shape, layer), group)
    })
}

/// Numbers drawn from a seed.
pub(super) fn random(shape: &Shape, seed: u64) -> Scores {
    let mut draw = ChaCha8Rng::seed_from_u64(seed);
    each(shape, |_, _, _| draw.random())
}

/// Variance of every head's features together and of every hidden unit over the tokens of images, and the
/// means of all features.
pub(super) fn variance(
    model: &Model,
    images: &mut Images<'_>,
) -> Result<(Scores, Vec<[Vec<f64>; 2]>)> {
    let shape = model.shape();
    let mut tokens = Tokens::embed(model, images, LEAST_PER_FEATURE)?;
    let (mut variances, mut means) = (Vec::new(), Vec::new());
    for layer in 0..shape.depth() {
        tokens.enter(model, layer);
        let attention = pass(model, layer, Half::Attention, &mut tokens)?;
        let ffn = pass(model, layer, Half::Ffn, &mut tokens)?;
        let moments = [attention, ffn];
        variances.push(moments.each_ref().map(|moments| moments.covariance.diag().to_vec()));
        means.push(moments.map(|moments| moments.feature_means.to_vec()));
    }
    let scores = each(&shape, |layer, half, group| {
        let features = half.features_of(&shape, layer, &[group]);
        features.into_iter().map(|feature| variances[layer][half as usize][feature]).sum()
    });
    Ok((scores, means))
}
