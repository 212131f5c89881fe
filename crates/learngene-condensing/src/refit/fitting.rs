//! What is fitted of a learngene, and the fit of one matrix from its moments.

use std::collections::BTreeMap;

use burn::{
    module::Param,
    nn,
    tensor::{Tensor, TensorData},
};
use learngene_format as format;
use learngene_format::Learngene;
use learngene_models::Model;

use super::{linear_map::LinearMap, moments::Moments, params::RefitParams};
use crate::error::ClusteringError;

/// What was fitted so far.
pub(super) struct Fitting<'a> {
    pub learngene: &'a Learngene,
    params: &'a RefitParams,
    pub ancestor: &'a Model,
    /// The model of centroid heads, with what was fitted so far.
    pub own: Model,
    /// The fitted tensors, by the names of the format.
    pub tensors: BTreeMap<String, format::Tensor>,
    /// `[layer]`: of all centroids, then of fewer.
    pub attention: Vec<Vec<format::ProjectionFit>>,
    /// `[group]`
    pub ffn: Vec<Option<format::Fit>>,
}

impl<'a> Fitting<'a> {
    pub fn new(
        learngene: &'a Learngene,
        params: &'a RefitParams,
        ancestor: &'a Model,
        own: Model,
    ) -> Self {
        let depth = learngene.manifest().layers.len();
        Self {
            learngene,
            params,
            ancestor,
            own,
            tensors: BTreeMap::new(),
            attention: vec![Vec::new(); depth],
            ffn: vec![None; learngene.manifest().ffn.groups.len()],
        }
    }

    /// Fits the projection of a layer's centroids, and of fewer.
    pub fn fit_projection(
        &mut self,
        layer: usize,
        moments: &Moments,
    ) -> Result<(), ClusteringError> {
        let manifest = self.learngene.manifest();
        let (centroids, dtype) = (manifest.layers[layer].sizes.len(), manifest.dtype);
        let prior = LinearMap::projection(self.learngene, layer);
        let head_dim = prior.weight.nrows() / centroids;

        let mut targets = self.params.target_heads.clone();
        targets.retain(|heads| *heads < centroids);
        targets.push(centroids);
        targets.sort_unstable_by(|fewer, more| more.cmp(fewer));
        targets.dedup();
        self.attention[layer].clear();
        for heads in targets {
            let inputs = heads * head_dim;
            let of_first = moments.of_first(inputs);
            let (map, fit) = self.best(layer, &of_first, prior.of_first(inputs))?;
            let infix = if heads < centroids { format!("first.{heads}.") } else { String::new() };
            let names =
                ["weight", "bias"].map(|kind| format!("layers.{layer}.attn.proj.{infix}{kind}"));
            self.tensors.extend(names.into_iter().zip(map.columns(heads, dtype)?));
            self.attention[layer].push(format::ProjectionFit { heads, fit });
            if heads == centroids {
                replace(self.own.linears_mut(layer).proj, &map);
            }
        }
        Ok(())
    }

    /// Fits the second matrix of a group's feed-forward network.
    pub fn fit_second(&mut self, group: usize, moments: &Moments) -> Result<(), ClusteringError> {
        let learngene = self.learngene;
        let layers = &learngene.manifest().ffn.groups[group].layers;
        let prior = LinearMap::second(learngene, group);
        let (map, fit) = self.best(layers[0], moments, prior)?;
        let names = ["weight", "bias"].map(|kind| format!("ffn.{group}.fc2.{kind}"));
        self.tensors.extend(names.into_iter().zip(map.rows(learngene.manifest().dtype)?));
        self.ffn[group] = Some(fit);
        for &layer in layers {
            replace(self.own.linears_mut(layer).fc2, &map);
        }
        Ok(())
    }

    /// The fitted map as the file can hold it, or the ancestor's where that does as well.
    fn best(
        &self,
        layer: usize,
        moments: &Moments,
        prior: LinearMap,
    ) -> Result<(LinearMap, format::Fit), ClusteringError> {
        moments.best(layer, prior, self.params.ridge, self.learngene.manifest().dtype)
    }
}

/// Gives a linear layer another matrix and bias.
fn replace(linear: &mut nn::Linear, map: &LinearMap) {
    let device = linear.weight.val().device();
    let (shape, [weight, bias]) = (map.weight.dim(), map.values());
    let weight = TensorData::new(weight, [shape.0, shape.1]);
    let bias = TensorData::new(bias, [shape.1]);
    linear.weight = Param::from_tensor(Tensor::from_data(weight, &device));
    linear.bias = Some(Param::from_tensor(Tensor::from_data(bias, &device)));
}
