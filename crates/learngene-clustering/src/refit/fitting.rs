//! The fits of a learngene's matrices, in the order in which they need each other.

use std::{collections::BTreeMap, error::Error as StdError};

use burn::{
    module::Param,
    nn,
    tensor::{Tensor, TensorData},
};
use learngene_format as format;
use learngene_format::{Learngene, Residual};
use learngene_models::{Classifier, Model};

use super::{
    images::Images,
    linear_map::LinearMap,
    moments::{Moments, Sums},
    params::RefitParams,
    streams::{Pair, Streams},
};
use crate::error::ClusteringError;

/// A relative error below this is rounding of f32: the layer does what the ancestor's does.
const NEGLIGIBLE: f64 = 1e-10;

/// What was fitted so far.
pub(super) struct Fitting<'a> {
    learngene: &'a Learngene,
    params: &'a RefitParams,
    ancestor: &'a Model,
    /// The model of centroid heads, with what was fitted so far.
    own: Model,
    /// The fitted tensors, by the names of the format.
    pub tensors: BTreeMap<String, format::Tensor>,
    /// `[layer]`: of all centroids, then of fewer.
    pub attention: Vec<Vec<format::ProjectionFit>>,
    /// `[layer]`: what the ancestor's columns times the root of each cluster's size would do.
    pub rescaled: Vec<Residual>,
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
        let nothing = Residual { relative: 0.0, median_channel: 0.0, worst_channel: 0.0 };
        Self {
            learngene,
            params,
            ancestor,
            own,
            tensors: BTreeMap::new(),
            attention: vec![Vec::new(); depth],
            rescaled: vec![nothing; depth],
            ffn: vec![None; learngene.manifest().ffn.groups.len()],
        }
    }

    /// Fits every layer on the ancestor's tokens, in one pass over the images.
    pub fn on_ancestors_inputs<F, I, E>(
        &mut self,
        images: &mut Images<F>,
    ) -> Result<(), ClusteringError>
    where
        F: Fn() -> I,
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let layers = 0..self.attention.len();
        let heads = layers.map(|layer| Some(self.sums_of_heads(layer))).collect();
        self.on_ancestors_tokens(images, heads)
    }

    /// Fits the layers of which there are sums, and all shared feed-forward networks, on the
    /// ancestor's tokens.
    fn on_ancestors_tokens<F, I, E>(
        &mut self,
        images: &mut Images<F>,
        mut heads: Vec<Option<Sums>>,
    ) -> Result<(), ClusteringError>
    where
        F: Fn() -> I,
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let groups = 0..self.ffn.len();
        let mut hidden: Vec<Option<Sums>> =
            groups.map(|group| self.is_shared(group).then(|| self.sums_of_hidden(group))).collect();
        images.each(|batch| {
            let mut tokens = self.ancestor.embed(batch);
            for (layer, heads) in heads.iter_mut().enumerate() {
                tokens = self.ancestor.enter(layer, tokens);
                let all_heads = self.ancestor.heads(layer, tokens.clone());
                let added = self.ancestor.project(layer, all_heads);
                if let Some(sums) = heads {
                    sums.push(layer, self.own.heads(layer, tokens.clone()), added.clone())?;
                }
                tokens = tokens + added;

                let added = self.ancestor.feed_forward(layer, tokens.clone());
                if let Some(sums) = &mut hidden[self.learngene.manifest().ffn.group_of(layer)] {
                    sums.push(layer, self.own.hidden(layer, tokens.clone()), added.clone())?;
                }
                tokens = tokens + added;
            }
            Ok(())
        })?;
        for (layer, sums) in heads.iter().enumerate() {
            if let Some(sums) = sums {
                self.fit_projection(layer, &sums.moments())?;
            }
        }
        for (group, sums) in hidden.iter().enumerate() {
            if let Some(sums) = sums {
                self.fit_second(group, &sums.moments())?;
            }
        }
        Ok(())
    }

    /// Fits one layer after the other, each on the tokens that those before it leave, for the
    /// tokens of the ancestor.
    pub fn on_own_inputs<F, I, E>(
        &mut self,
        images: &mut Images<F>,
        budget: usize,
    ) -> Result<(), ClusteringError>
    where
        F: Fn() -> I,
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        if (0..self.ffn.len()).any(|group| self.is_shared(group)) {
            // Layers of a group feed each other, so its matrix needs a first value.
            let no_heads = self.attention.iter().map(|_| None).collect();
            self.on_ancestors_tokens(images, no_heads)?;
        }
        let mut streams = Streams::new(images, self.ancestor, budget)?;
        for (group, of) in self.learngene.manifest().ffn.groups.iter().enumerate() {
            let first = of.layers[0];
            streams.keep(&self.own, 2 * first);
            self.fit_attention(first, &mut streams)?;
            streams.keep(&self.own, 2 * first + 1);
            if self.is_shared(group) {
                let mut sums = self.sums_of_hidden(group);
                for &layer in &of.layers {
                    if layer > first {
                        self.fit_attention(layer, &mut streams)?;
                    }
                    streams.each(&self.own, 2 * layer + 1, |[of_ancestor, own]| {
                        let added = self.ancestor.feed_forward(layer, of_ancestor.clone());
                        let wanted = added + (of_ancestor - own.clone());
                        sums.push(layer, self.own.hidden(layer, own), wanted)
                    })?;
                }
                self.fit_second(group, &sums.moments())?;
                // What these layers are fed has changed with the matrix.
                for &layer in &of.layers[1..] {
                    self.fit_attention(layer, &mut streams)?;
                }
            }
        }
        Ok(())
    }

    /// Fits a layer's projection on the tokens that the layers before it leave.
    fn fit_attention<F, I, E>(
        &mut self,
        layer: usize,
        streams: &mut Streams<'_, F>,
    ) -> Result<(), ClusteringError>
    where
        F: Fn() -> I,
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let mut sums = self.sums_of_heads(layer);
        streams.each(&self.own, 2 * layer, |pair: Pair| {
            let [of_ancestor, own] = pair;
            let of_ancestor = self.ancestor.enter(layer, of_ancestor);
            let own = self.own.enter(layer, own);
            let all_heads = self.ancestor.heads(layer, of_ancestor.clone());
            let added = self.ancestor.project(layer, all_heads);
            let wanted = added + (of_ancestor - own.clone());
            sums.push(layer, self.own.heads(layer, own), wanted)
        })?;
        self.fit_projection(layer, &sums.moments())
    }

    /// Fits the projection of a layer's centroids, and of fewer.
    fn fit_projection(&mut self, layer: usize, moments: &Moments) -> Result<(), ClusteringError> {
        let sizes = &self.learngene.manifest().layers[layer].sizes;
        let (centroids, dtype) = (sizes.len(), self.learngene.manifest().dtype);
        let prior = LinearMap::projection(self.learngene, layer);
        let head_dim = prior.weight.nrows() / centroids;

        let mut rescaled = prior.clone();
        for (input, mut row) in rescaled.weight.rows_mut().into_iter().enumerate() {
            row *= (sizes[input / head_dim] as f64).sqrt();
        }
        self.rescaled[layer] = moments.residual(&rescaled);

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
    fn fit_second(&mut self, group: usize, moments: &Moments) -> Result<(), ClusteringError> {
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
        let before = moments.residual(&prior);
        if before.relative > NEGLIGIBLE {
            let fitted = moments.fit(&prior.weight, self.params.ridge);
            let fitted = fitted.ok_or(ClusteringError::Unsolvable { layer })?;
            let fitted = fitted.rounded(self.learngene.manifest().dtype)?;
            let after = moments.residual(&fitted);
            if after.relative < before.relative {
                return Ok((fitted, format::Fit { before, after }));
            }
        }
        Ok((prior, format::Fit { after: before.clone(), before }))
    }

    fn is_shared(&self, group: usize) -> bool {
        self.learngene.manifest().ffn.groups[group].layers.len() > 1
    }

    fn sums_of_heads(&self, layer: usize) -> Sums {
        let shape = self.own.config().layer(layer);
        Sums::new(shape.heads.attention_dim(), shape.embed_dim)
    }

    fn sums_of_hidden(&self, group: usize) -> Sums {
        let layer = self.learngene.manifest().ffn.groups[group].layers[0];
        let shape = self.own.config().layer(layer);
        Sums::new(shape.mlp_hidden_dim, shape.embed_dim)
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
