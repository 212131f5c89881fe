//! Which parameters of the ancestor each tensor of a learngene is made of.

use std::collections::BTreeSet;

use learngene_format::{
    FfnNorm, LayerClusters, Manifest, RepresentativePolicy, is_nested, nested_names, origin_name,
};
use learngene_shape::{Parameter, Part, Place, Shape, average_heads};
use learngene_tensors::{StateDict, Tensor};

use crate::rounding::are_rounded_by_inputs;

/// What a tensor of a learngene is made of.
pub(crate) enum TensorSource {
    /// The tensor of this name whole, or of several names their average.
    Whole(Vec<String>),
    /// Of this parameter, for each centroid of its layer the average of these heads: of one alone
    /// that head.
    Heads { parameter: Parameter, centroids: Vec<Vec<usize>> },
}

/// Every tensor that condensing makes by its name, in the order of the model's parameters.
pub(crate) fn tensor_sources(manifest: &Manifest) -> Vec<(String, TensorSource)> {
    let roles = Roles::of(&manifest.ancestor.shape);
    let mut sources = Vec::new();
    for kept in manifest.shape.parameters() {
        let parameter = roles.of_ancestor(kept.clone(), &manifest.layers);
        if manifest.keep_projection && kept.is_output_projection() {
            let whole = TensorSource::Whole(vec![parameter.name.clone()]);
            sources.push((origin_name(&kept), whole));
        }
        if !manifest.stores(&kept) {
            continue;
        }
        let source = match parameter.place {
            Place::Layer { layer, part } if travels_with_ffn(part, manifest) => {
                let layers = ffn_layers(manifest, layer).into_iter();
                let names = layers.map(|from| roles.in_layer(&parameter, from).name.clone());
                TensorSource::Whole(names.collect())
            }
            Place::Layer { layer, .. } if parameter.head_axis().is_some() => {
                let heads = &manifest.clusters.heads;
                let centroids = centroids(&heads.layers[layer], heads.representative);
                TensorSource::Heads { parameter, centroids }
            }
            _ => TensorSource::Whole(vec![parameter.name]),
        };
        sources.push((kept.name, source));
    }
    sources
}

impl TensorSource {
    /// The tensor, made of the ancestor's; `None` where the ancestor lacks a parameter of it, such as
    /// a classifier, or where parameters to be averaged differ in shape.
    pub fn of(&self, ancestor: &StateDict) -> Option<Tensor> {
        match self {
            Self::Whole(names) => {
                let tensors = names.iter().map(|name| ancestor.get(name));
                average(&tensors.collect::<Option<Vec<_>>>()?)
            }
            Self::Heads { parameter, centroids } => {
                Some(average_heads(parameter, ancestor.get(&parameter.name)?, centroids))
            }
        }
    }
}

/// Names of a learngene's tensors that hold fitted numbers, or such as were rounded by what they are
/// multiplied with, instead of the ancestor's.
pub(crate) fn fitted_names(manifest: &Manifest) -> BTreeSet<String> {
    let Some(refit) = &manifest.refit else { return BTreeSet::new() };
    let is_fitted = |weight: &Parameter| {
        is_nested(weight) || weight.is_layer_matrix() && are_rounded_by_inputs(manifest.store)
    };
    let weights = manifest.shape.parameters().into_iter().filter(is_fitted);
    let names = |weight: Parameter| {
        let is_held = refit.any_size && is_nested(&weight);
        let nested = is_held.then(|| nested_names(&weight));
        [weight.bias_name(), weight.name].into_iter().chain(nested.into_iter().flatten())
    };
    weights.flat_map(names).collect()
}

/// The parameters of each layer; those at one place of the lists have one role.
struct Roles(Vec<Vec<Parameter>>);

impl Roles {
    fn of(shape: &Shape) -> Self {
        Self((0..shape.depth()).map(|layer| shape.layer_parameters(layer)).collect())
    }

    /// The parameter that has in another layer the role of a layer's parameter.
    fn in_layer(&self, parameter: &Parameter, layer: usize) -> &Parameter {
        let own = parameter.place.layer().expect("a parameter of a layer");
        let role = self.0[own].iter().position(|of_layer| of_layer.name == parameter.name);
        &self.0[layer][role.expect("the layer has the parameter")]
    }

    /// The ancestor's parameter that one of the centroid model comes from.
    fn of_ancestor(&self, kept: Parameter, layers: &[usize]) -> Parameter {
        match kept.place.layer() {
            Some(layer) => self.in_layer(&kept, layers[layer]).clone(),
            None => kept,
        }
    }
}

/// For each centroid of a layer, in order of priority, the ancestor's heads whose average it is:
/// one head alone where a member stands for its cluster.
pub(crate) fn centroids(clusters: &LayerClusters, policy: RepresentativePolicy) -> Vec<Vec<usize>> {
    match policy {
        RepresentativePolicy::Nearest => {
            clusters.representatives.iter().map(|head| vec![*head]).collect()
        }
        RepresentativePolicy::Mean => {
            clusters.clusters.iter().map(|cluster| clusters.members(*cluster)).collect()
        }
    }
}

fn travels_with_ffn(part: Part, manifest: &Manifest) -> bool {
    let norm_travels = manifest.clusters.ffn.norm == FfnNorm::Representative;
    part == Part::Ffn || part == Part::Norm2 && norm_travels
}

/// Layers whose average a layer's FFN is: one alone where a layer stands for its group.
fn ffn_layers(manifest: &Manifest, layer: usize) -> Vec<usize> {
    let ffn = &manifest.clusters.ffn;
    let group = ffn.group_of(layer);
    match ffn.representative {
        RepresentativePolicy::Nearest => vec![group.representative],
        RepresentativePolicy::Mean => group.layers.clone(),
    }
}

/// Average of tensors of one shape, summed in f64 in their order; of one alone that tensor, to the
/// bit. `None` where shapes differ.
fn average(tensors: &[&Tensor]) -> Option<Tensor> {
    let (first, others) = tensors.split_first()?;
    if others.is_empty() {
        return Some((*first).clone());
    }
    let mut sums: Vec<f64> = first.values.iter().copied().map(f64::from).collect();
    for other in others {
        if other.shape != first.shape {
            return None;
        }
        let values = other.values.iter().copied().map(f64::from);
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    let count = tensors.len() as f64;
    let values = sums.into_iter().map(|sum| (sum / count) as f32).collect();
    Some(Tensor::new(first.shape.clone(), values))
}
