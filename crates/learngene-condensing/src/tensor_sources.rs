//! Which parameters of the ancestor each tensor of a learngene is made of.

use std::collections::BTreeSet;

use learngene_format::{
    FfnNorm, LayerClusters, Manifest, RepresentativePolicy, bias_name, first_names,
    is_output_projection, origin_name, output_projections,
};
use learngene_shape::{Axis, Parameter, Part, Place, Shape, average_heads};
use learngene_tensors::{StateDict, Tensor};

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
    for parameter in manifest.ancestor.shape.parameters() {
        let name = parameter.name.clone();
        if manifest.keep_projection && is_output_projection(&parameter) {
            sources.push((origin_name(&parameter), TensorSource::Whole(vec![name.clone()])));
        }
        if !manifest.stores(&parameter) {
            continue;
        }
        let source = match parameter.place {
            Place::Layer { layer, part } if travels_with_ffn(part, manifest) => {
                let layers = ffn_layers(manifest, layer).into_iter();
                let names = layers.map(|from| roles.in_layer(&parameter, from).to_owned());
                TensorSource::Whole(names.collect())
            }
            Place::Layer { layer, .. } if parameter.head_axis().is_some() => {
                let heads = &manifest.clusters.heads;
                let centroids = centroids(&heads.layers[layer], heads.representative);
                TensorSource::Heads { parameter, centroids }
            }
            _ => TensorSource::Whole(vec![name.clone()]),
        };
        sources.push((name, source));
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

/// Names of a learngene's tensors that may hold fitted numbers instead of the ancestor's.
pub(crate) fn refitted_names(manifest: &Manifest) -> BTreeSet<String> {
    let Some(refit) = &manifest.refit else { return BTreeSet::new() };
    let mut names = BTreeSet::new();
    let shape = &manifest.ancestor.shape;
    for (projection, fits) in output_projections(shape).iter().zip(&refit.attention) {
        names.extend([projection.name.clone(), bias_name(projection)]);
        names.extend(fits[1..].iter().flat_map(|fit| first_names(projection, fit.heads)));
    }
    for (group, fit) in manifest.clusters.ffn.groups.iter().zip(&refit.ffn) {
        if fit.is_some() {
            let second = second_matrix(shape, group.representative);
            names.extend([second.name.clone(), bias_name(&second)]);
        }
    }
    names
}

/// The weight of a layer's FFN that reads its hidden units.
pub(crate) fn second_matrix(shape: &Shape, layer: usize) -> Parameter {
    let is_second = |parameter: &Parameter| {
        parameter.reads(1) && matches!(parameter.axes[1], Axis::Hidden { .. })
    };
    let second = shape.layer_parameters(layer).into_iter().find(is_second);
    second.expect("a layer's FFN reads its hidden units")
}

/// Names of the parameters of each layer; those at one place of the lists have one role.
pub(crate) struct Roles(Vec<Vec<String>>);

impl Roles {
    pub fn of(shape: &Shape) -> Self {
        let mut names = vec![Vec::new(); shape.depth()];
        for parameter in shape.parameters() {
            if let Some(layer) = parameter.place.layer() {
                names[layer].push(parameter.name);
            }
        }
        Self(names)
    }

    /// Name of the parameter that has in another layer the role of a layer's parameter.
    pub fn in_layer(&self, parameter: &Parameter, layer: usize) -> &str {
        let own = parameter.place.layer().expect("a parameter of a layer");
        let role = self.0[own].iter().position(|name| *name == parameter.name);
        &self.0[layer][role.expect("the layer has the parameter")]
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
