//! One pass over the images, after which the error of any heads is arithmetic on the host.

use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_format::Dtype;
use learngene_models::{Classifier, checkpoint::Checkpoint};

use crate::{
    cluster::FfnGroup,
    error::ClusteringError,
    manifest,
    refit::{Images, LinearMap, Moments, NEGLIGIBLE, Sums},
};

/// What the images say of heads and feed-forward networks.
pub(super) struct Measured {
    layers: Vec<Heads>,
    dtype: Dtype,
    /// Of each group: the moments of its network.
    groups: Vec<(FfnGroup, Moments, LinearMap)>,
}

/// The heads of a layer.
struct Heads {
    head_dim: usize,
    /// Of all heads' outputs, with the attention's output.
    moments: Moments,
    projection: LinearMap,
}

impl Measured {
    /// Nothing, before there are images.
    pub fn nothing() -> Self {
        Self { layers: Vec::new(), dtype: Dtype::F32, groups: Vec::new() }
    }

    /// Looks at all images once, for every layer's heads and for networks of these groups.
    pub fn of<I, E>(
        ancestor: &Checkpoint,
        images: impl Fn() -> I,
        groups: Vec<FfnGroup>,
        device: &Device,
    ) -> Result<Self, ClusteringError>
    where
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let shape = |layer: usize| ancestor.config.layer(layer);
        let layers = 0..ancestor.config.depth();
        let mut heads: Vec<Sums> =
            layers.clone().map(|layer| Sums::new(shape(layer).heads.attention_dim(), 0)).collect();
        let of_group = |group: &FfnGroup| {
            let shape = shape(group.representative);
            Sums::new(shape.mlp_hidden_dim, shape.embed_dim)
        };
        let mut networks: Vec<Sums> = groups.iter().map(of_group).collect();
        let model = ancestor.config.load(&ancestor.parameters, device)?;
        Images::new(images).each(|batch| {
            let mut tokens = model.embed(batch);
            for layer in layers.clone() {
                tokens = model.enter(layer, tokens);
                let all_heads = model.heads(layer, tokens.clone());
                heads[layer].push_features(layer, all_heads.clone())?;
                tokens = tokens + model.project(layer, all_heads);
                let added = model.feed_forward(layer, tokens.clone());
                // Nested groups often have one representative.
                let mut hidden: Option<(usize, Tensor<3>)> = None;
                for (group, sums) in groups.iter().zip(&mut networks) {
                    if group.layers.contains(&layer) {
                        let from = group.representative;
                        let known = hidden.take().filter(|(of, _)| *of == from);
                        let (_, features) =
                            known.unwrap_or_else(|| (from, model.hidden(from, tokens.clone())));
                        sums.push_on_device(layer, features.clone(), added.clone())?;
                        hidden = Some((from, features));
                    }
                }
                tokens = tokens + added;
            }
            Ok(())
        })?;
        let with_projection = |(layer, sums): (usize, Sums)| {
            let projection = linear(ancestor, layer, "attn.proj");
            let moments = sums.moments().with_targets_of(&projection);
            Heads { head_dim: shape(layer).heads.head_dim, moments, projection }
        };
        let with_second = |(group, sums): (FfnGroup, Sums)| {
            let second = linear(ancestor, group.representative, "mlp.fc2");
            (group, sums.moments(), second)
        };
        Ok(Self {
            layers: heads.into_iter().enumerate().map(with_projection).collect(),
            dtype: manifest::dtype(ancestor.dtype),
            groups: groups.into_iter().zip(networks).map(with_second).collect(),
        })
    }

    /// What is left of the attention's output where these heads alone are kept, their projection
    /// fitted: relative to its variance.
    pub fn attention_error(
        &self,
        layer: usize,
        heads: &[usize],
        ridge: f64,
    ) -> Result<f64, ClusteringError> {
        let Heads { head_dim, moments, projection } = &self.layers[layer];
        let inputs: Vec<usize> =
            heads.iter().flat_map(|head| head * head_dim..(head + 1) * head_dim).collect();
        let prior = projection.of_inputs(&inputs);
        self.error(&moments.of(&inputs), layer, prior, ridge)
    }

    /// What is left of the outputs of a group's networks where that of one layer stands for all, its
    /// second matrix fitted: relative to the variance over all of them. Nothing of a layer alone.
    pub fn ffn_error(&self, layers: &[usize], ridge: f64) -> Result<f64, ClusteringError> {
        let found = self.groups.iter().find(|(group, ..)| group.layers == layers);
        let Some((group, moments, second)) = found else { return Ok(0.0) };
        self.error(moments, group.layers[0], second.clone(), ridge)
    }

    /// The error of a fit, nothing where rounding alone is left.
    fn error(
        &self,
        moments: &Moments,
        layer: usize,
        prior: LinearMap,
        ridge: f64,
    ) -> Result<f64, ClusteringError> {
        let (_, fit) = moments.best(layer, prior, ridge, self.dtype)?;
        Ok(if fit.after.relative > NEGLIGIBLE { fit.after.relative } else { 0.0 })
    }
}

fn linear(ancestor: &Checkpoint, layer: usize, part: &str) -> LinearMap {
    let [weight, bias] = ["weight", "bias"].map(|kind| {
        let name = format!("{}.{part}.{kind}", ancestor.config.block(layer));
        &ancestor.parameters.get(&name).expect("the ancestor has all its parameters").values
    });
    LinearMap::from_rows(weight, bias)
}
