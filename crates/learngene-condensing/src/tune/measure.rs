//! One pass over the images, after which the error of any heads is arithmetic on the host.

use std::{collections::BTreeMap, error::Error as StdError};

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::Checkpoint;
use learngene_format::{FfnGroup, bias_name, output_projections};
use learngene_least_squares::{LinearMap, Moments, NEGLIGIBLE, Sums};
use learngene_models::{Classifier, Model};
use learngene_shape::{Head, HeadLayout, Parameter};
use learngene_tensors::{Dtype, Result};

use crate::{
    images::Images,
    sums::{push_features, push_on_device, unsolvable},
    tensor_sources::second_matrix,
};

/// Least variance that an error is relative to, in parts of the largest in its group: the error of a
/// layer that gives nearly nothing stays a finite number.
const LEAST_VARIANCE: f64 = 1e-6;

/// What the images say of heads and FFNs.
pub(super) struct Measured {
    layers: Vec<Heads>,
    dtype: Dtype,
    /// The groups of FFNs, each with the second matrix that stands for it.
    groups: Vec<(FfnGroup, LinearMap)>,
    /// Of a layer, and another that may stand for its FFN: what that one's hidden features are
    /// there, with what the layer's own FFN gives.
    ffns: BTreeMap<(usize, usize), Sums>,
}

/// The heads of a layer.
struct Heads {
    layout: HeadLayout,
    /// Of all heads' outputs, with the attention's output.
    moments: Moments,
    projection: LinearMap,
}

impl Measured {
    /// Looks at all images once, for every layer's heads and for FFNs of these groups.
    pub fn of<I, E>(
        ancestor: &Checkpoint,
        images: impl Fn() -> I,
        groups: Vec<FfnGroup>,
        device: &Device,
    ) -> Result<Self>
    where
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError,
    {
        let shape = |layer: usize| ancestor.shape.layer(layer);
        let layers = 0..ancestor.shape.depth();
        let mut heads: Vec<Sums> =
            layers.clone().map(|layer| Sums::new(shape(layer).heads.attention_dim(), 0)).collect();
        let mut ffns = BTreeMap::new();
        for group in &groups {
            let shape = shape(group.representative);
            for &layer in &group.layers {
                ffns.entry((layer, group.representative))
                    .or_insert_with(|| Sums::new(shape.ffn.hidden_dim, shape.embed_dim));
            }
        }
        let model = Model::load(&ancestor.shape, &ancestor.parameters, device)?;
        Images::new(images).each(|batch| {
            let mut tokens = model.embed(batch);
            for layer in layers.clone() {
                tokens = model.layer_input(layer, tokens);
                let all_heads = model.heads(layer, tokens.clone());
                push_features(&mut heads[layer], layer, all_heads.clone())?;
                tokens = tokens + model.project(layer, all_heads);
                let added = model.feed_forward(layer, tokens.clone());
                for (&(_, from), sums) in ffns.range_mut((layer, 0)..(layer + 1, 0)) {
                    let features = model.hidden(from, tokens.clone());
                    push_on_device(sums, layer, features, added.clone())?;
                }
                tokens = tokens + added;
            }
            Ok(())
        })?;
        let projections = output_projections(&ancestor.shape);
        let with_projection = |(layer, sums): (usize, Sums)| {
            let projection = linear(ancestor, &projections[layer]);
            let moments = sums.moments().with_targets_of(&projection);
            Heads { layout: shape(layer).heads, moments, projection }
        };
        let with_second = |group: FfnGroup| {
            let second = second_matrix(&ancestor.shape, group.representative);
            let second = linear(ancestor, &second);
            (group, second)
        };
        Ok(Self {
            layers: heads.into_iter().enumerate().map(with_projection).collect(),
            dtype: ancestor.dtype,
            groups: groups.into_iter().map(with_second).collect(),
            ffns,
        })
    }

    /// What is left of the attention's output where these heads alone are kept, their projection
    /// fitted: relative to its variance.
    pub fn attention_error(&self, layer: usize, heads: &[usize], ridge: f64) -> Result<f64> {
        let Heads { layout, moments, projection } = &self.layers[layer];
        let inputs: Vec<usize> =
            heads.iter().flat_map(|head| layout.columns(Head(*head))).collect();
        let prior = projection.of_inputs(&inputs);
        let best = moments.of(&inputs).best(prior, ridge, |values| self.dtype.round(values));
        let (_, fit) = best.map_err(unsolvable(layer))?;
        Ok(or_nothing(fit.after.relative))
    }

    /// What is left of the output of each of a group's FFNs where that of one layer stands for
    /// all, its second matrix fitted: relative to the variance of that output alone, so that layers
    /// with large outputs do not hide the others. Nothing of a layer alone.
    pub fn ffn_errors(&self, layers: &[usize], ridge: f64) -> Result<Vec<f64>> {
        let found = self.groups.iter().find(|(group, _)| group.layers == layers);
        let Some((group, second)) = found else { return Ok(vec![0.0; layers.len()]) };
        let shape = second.weight.dim();
        let sums = layers.iter().map(|layer| &self.ffns[&(*layer, group.representative)]);
        let mut all = Sums::new(shape.0, shape.1);
        sums.clone().for_each(|sums| all.add(sums));
        // The fit that `refit` makes, of all their tokens alike.
        let best = all.moments().best(second.clone(), ridge, |values| self.dtype.round(values));
        let (fitted, _) = best.map_err(unsolvable(layers[0]))?;
        let of_layer = |sums: &Sums| {
            let moments = sums.moments();
            (moments.errors(&fitted).iter().sum::<f64>(), moments.target_variances.sum())
        };
        let of_layers: Vec<(f64, f64)> = sums.map(of_layer).collect();
        let largest = of_layers.iter().map(|(_, variance)| *variance).fold(0.0, f64::max);
        let relative = |(error, variance): (f64, f64)| match largest > 0.0 {
            true => or_nothing(error / variance.max(LEAST_VARIANCE * largest)),
            false => 0.0,
        };
        Ok(of_layers.into_iter().map(relative).collect())
    }
}

/// An error, nothing where rounding alone is left.
fn or_nothing(error: f64) -> f64 {
    if error > NEGLIGIBLE { error } else { 0.0 }
}

/// The linear layer of a weight.
fn linear(ancestor: &Checkpoint, weight: &Parameter) -> LinearMap {
    let values = |name: &str| {
        let tensor = ancestor.parameters.get(name);
        &tensor.expect("the ancestor has all its parameters").values
    };
    LinearMap::from_rows(values(&weight.name), values(&bias_name(weight)))
}
