//! Where the heads of a learngene came from, as its bytes say.

mod places;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    fmt,
};

use learngene_checkpoints::Checkpoint;
use learngene_format::{LayerClusters, Learngene, Manifest, Store, origin_name};
use learngene_shape::{Axis, Parameter, Shape, select_heads};
use learngene_tensors::{Dtype, Result, StateDict, Tensor};
use serde::Serialize;

use crate::{
    ancestor::{check_parameters, check_shape},
    rounding::are_rounded_by_inputs,
    tensor_sources::{TensorSource, centroids, fitted_names, tensor_sources},
    verify::places::{nearest, parts_of_sources, places},
};

/// What comparing a learngene with an ancestor, byte for byte, brought to light. Where matrices are of few
/// bits, the ancestor's are rounded alike before; where they were rounded by what they are multiplied
/// with, a head's is the nearest of the ancestor's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Whether the checkpoint has the hash of the file that the manifest names. Another file may
    /// well hold the same weights, in other names or another number format.
    pub is_named_file: bool,
    /// Every inherited head, by layer and order of priority.
    pub heads: Vec<InheritedHead>,
    /// Tensors besides heads that are the ancestor's, byte for byte.
    pub shared: Vec<String>,
    /// Tensors that hold what was fitted to the ancestor's outputs, or rounded by what it is multiplied
    /// with, as the manifest says. Fitted
    /// columns of a projection are no parts of their head.
    pub refitted: Vec<String>,
    /// Tensors besides heads that are neither.
    pub differing: Vec<String>,
}

/// A centroid of a learngene, and where each part of it stands in the ancestor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InheritedHead {
    /// Layer of the learngene.
    pub layer: usize,
    /// Index among the layer's centroids, in order of priority.
    pub centroid: usize,
    /// Where the manifest says that it came from.
    pub claimed: HeadSource,
    /// Where the bytes say that each part came from, refitted columns left out.
    pub parts: Vec<PartOrigin>,
}

/// Where one part of a head stands in the ancestor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartOrigin {
    /// The parameter that it is a part of, by timm's name: `blocks.3.attn.qkv.weight`.
    pub part: String,
    /// Where it stands, none where the ancestor has it nowhere. Where it stands in several heads,
    /// such as a bias of zeros, this is the one that most parts of the head have in common.
    pub source: Option<HeadSource>,
}

/// A head of the ancestor, or several of which a part is the average.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum HeadSource {
    /// One head as it is.
    Head {
        /// Its layer.
        layer: usize,
        /// Its index in the layer.
        head: usize,
    },
    /// The average over a cluster of heads.
    Average {
        /// Their layer.
        layer: usize,
        /// Their indices in the layer.
        heads: Vec<usize>,
    },
}

impl HeadSource {
    fn new(layer: usize, heads: Vec<usize>) -> Self {
        match heads[..] {
            [head] => Self::Head { layer, head },
            _ => Self::Average { layer, heads },
        }
    }

    fn layer(&self) -> usize {
        match self {
            Self::Head { layer, .. } | Self::Average { layer, .. } => *layer,
        }
    }

    fn heads(&self) -> &[usize] {
        match self {
            Self::Head { head, .. } => std::slice::from_ref(head),
            Self::Average { heads, .. } => heads,
        }
    }
}

impl fmt::Display for HeadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head { layer, head } => write!(f, "head {head} of layer {layer}"),
            Self::Average { layer, heads } => {
                let heads: Vec<String> = heads.iter().map(usize::to_string).collect();
                write!(f, "the average of heads {} of layer {layer}", heads.join(", "))
            }
        }
    }
}

impl InheritedHead {
    /// Where the whole head came from; none where its parts do not come from one place.
    pub fn source(&self) -> Option<&HeadSource> {
        let source = self.parts.first()?.source.as_ref()?;
        self.parts.iter().all(|part| part.source.as_ref() == Some(source)).then_some(source)
    }

    /// Whether the head came whole from where the manifest says.
    pub fn is_verified(&self) -> bool {
        self.source() == Some(&self.claimed)
    }
}

impl Verification {
    /// Whether every head came whole from where the manifest says, and everything else is the
    /// ancestor's, or refitted as the manifest says.
    pub fn is_verified(&self) -> bool {
        self.differing.is_empty() && self.heads.iter().all(InheritedHead::is_verified)
    }
}

/// Finds every head of a learngene in an ancestor by comparing bytes, and compares all other
/// tensors with the ancestor's.
///
/// A head has one part in each parameter that has an axis of heads. Each part of each centroid is
/// looked for in every head of every layer, and among the averages over each cluster, after the
/// ancestor's numbers were rounded to the learngene's format. The manifest gives shapes and
/// clusters; which head a centroid is, the bytes decide, and [`InheritedHead::claimed`] is what the
/// manifest says of it.
///
/// # Errors
/// An ancestor of another shape than the learngene's, or without a parameter of its own. Weights
/// that differ are no error: they are what is looked for.
pub fn verify(learngene: &Learngene, ancestor: &Checkpoint) -> Result<Verification> {
    let manifest = learngene.manifest();
    check_shape(&ancestor.shape, &manifest.ancestor.shape)?;
    check_parameters(ancestor)?;
    let sources: BTreeMap<String, TensorSource> = tensor_sources(manifest).into_iter().collect();
    let fitted = fitted_names(manifest);
    let has_units = |parameter: &Parameter| matches!(parameter.axes[0], Axis::Hidden { .. });
    let of_units = manifest.shape.parameters().into_iter().filter(has_units);
    let units: HashSet<String> = of_units.map(|parameter| parameter.name).collect();
    let matrices = manifest.shape.parameters().into_iter().filter(Parameter::is_layer_matrix);
    let matrices: HashSet<String> =
        matrices.flat_map(|matrix| [origin_name(&matrix), matrix.name]).collect();
    let rounded = |name: &str, source: &TensorSource| {
        let of_ancestor = source.of(&ancestor.parameters)?;
        Some(manifest.store.round(of_ancestor, matrices.contains(name)))
    };
    let is_ancestors = |name: &str, source: &TensorSource, tensor: &Tensor| {
        rounded(name, source).is_some_and(|of_ancestor| {
            of_ancestor.shape == tensor.shape && bytes(&of_ancestor.values) == bytes(&tensor.values)
        })
    };
    // Hidden units are chosen, and in another order, where they are not those of all.
    let is_of_units = |name: &str, source: &TensorSource, tensor: &Tensor| {
        units.contains(name) && rounded(name, source).is_some_and(|of| has_rows_of(tensor, &of))
    };

    let heads = inherited_heads(learngene, &ancestor.parameters);
    let is_part = |parameter: &Parameter| {
        let layer = parameter.place.layer();
        let mut of_layer = heads.iter().filter(|head| Some(head.layer) == layer);
        of_layer.all(|head| head.parts.iter().any(|of| of.part == parameter.name))
    };
    let (mut shared, mut refitted, mut differing) = (Vec::new(), Vec::new(), Vec::new());
    for (name, tensor) in learngene.tensors().iter() {
        let list = match sources.get(name) {
            Some(TensorSource::Heads { parameter, .. }) if is_part(parameter) => continue,
            Some(source) if is_ancestors(name, source, tensor) => &mut shared,
            Some(source) if is_of_units(name, source, tensor) => &mut shared,
            _ if fitted.contains(name) => &mut refitted,
            _ => &mut differing,
        };
        list.push(name.to_owned());
    }
    let is_named_file = manifest.ancestor.sha256 == ancestor.sha256;
    Ok(Verification { is_named_file, heads, shared, refitted, differing })
}

/// The bits of values, by which even zeros of two signs differ.
fn bytes(values: &[f32]) -> Cow<'_, [u8]> {
    Dtype::F32.encode(values)
}

/// Whether every row of a tensor is one of another's: of the FFN's first matrix, whose rows are hidden
/// units.
fn has_rows_of(tensor: &Tensor, other: &Tensor) -> bool {
    fn rows(of: &Tensor) -> HashSet<Cow<'_, [u8]>> {
        let width: usize = of.shape[1..].iter().product();
        of.values.chunks_exact(width).map(bytes).collect()
    }
    tensor.shape[1..] == other.shape[1..] && rows(tensor).is_subset(&rows(other))
}

fn inherited_heads(learngene: &Learngene, ancestor: &StateDict) -> Vec<InheritedHead> {
    let manifest = learngene.manifest();
    let sources = sources(&manifest.clusters.heads.layers);
    let store = manifest.store;
    let by_inputs = manifest.refit.is_some() && are_rounded_by_inputs(store);
    let of_ancestor = parts(&manifest.ancestor.shape, store, by_inputs);
    let of_learngene = parts(&manifest.shape, store, by_inputs);
    let mut heads = claimed_heads(manifest);
    let mut found: Vec<Vec<Vec<usize>>> = vec![Vec::new(); heads.len()]; // [head][part][source]
    let count = of_learngene.iter().map(Vec::len).max().unwrap_or(0);
    for part in 0..count {
        let of_sources = parts_of_sources(ancestor, &of_ancestor, part, &sources);
        let places = places(store, &of_sources);
        for (head, found) in heads.iter().zip(&mut found) {
            let Some(parameter) = of_learngene[head.layer].get(part) else { continue };
            let tensor = learngene.tensors().get(&parameter.name);
            let tensor = tensor.expect("a learngene has the heads of its layers");
            let alone = select_heads(parameter, tensor, &[head.centroid]);
            found.push(match by_inputs && parameter.is_layer_matrix() {
                true => nearest(&alone.values, &of_sources).into_iter().collect(),
                false => places.get(&*bytes(&alone.values)).cloned().unwrap_or_default(),
            });
        }
    }
    for (head, found) in heads.iter_mut().zip(found) {
        let claimed = sources.iter().position(|source| *source == head.claimed);
        let parts = of_learngene[head.layer].iter().zip(agree(&found, claimed));
        let parts = parts.filter_map(|(parameter, source)| {
            let source = source.map(|at| sources[at].clone());
            // Columns that are not the ancestor's were fitted, where some were.
            let may_be_fitted = manifest.refit.is_some() && parameter.is_output_projection();
            let is_part = !may_be_fitted || source.as_ref() == Some(&head.claimed);
            is_part.then(|| PartOrigin { part: parameter.name.clone(), source })
        });
        head.parts = parts.collect();
    }
    heads
}

/// `[layer]`: the parameters that have a part of every head. Those at one place of the lists have
/// one role. In few bits the heads' columns of an output projection share scales, so they are not
/// rounded each for itself; and a bias makes up for a matrix that was rounded by its inputs.
fn parts(shape: &Shape, store: Store, by_inputs: bool) -> Vec<Vec<Parameter>> {
    let of_layer = |layer: usize| {
        let parameters = shape.layer_parameters(layer).into_iter();
        let is_moved = |of: &Parameter| {
            store.of_matrices().is_some() && of.is_output_projection()
                || by_inputs && of.axes.len() == 1
        };
        parameters.filter(|of| of.head_axis().is_some() && !is_moved(of)).collect()
    };
    (0..shape.depth()).map(of_layer).collect()
}

/// Every head of every layer, and every cluster of several heads.
fn sources(layers: &[LayerClusters]) -> Vec<HeadSource> {
    let of_layer = |(layer, clusters): (usize, &LayerClusters)| {
        let heads = (0..clusters.labels.len()).map(|head| vec![head]);
        let groups = clusters.clusters.iter().map(|cluster| clusters.members(*cluster));
        let groups = groups.filter(|members| members.len() > 1);
        heads.chain(groups).map(|heads| HeadSource::new(layer, heads)).collect::<Vec<_>>()
    };
    layers.iter().enumerate().flat_map(of_layer).collect()
}

/// The centroids of all layers as the manifest says.
fn claimed_heads(manifest: &Manifest) -> Vec<InheritedHead> {
    let clusters = &manifest.clusters.heads;
    let heads = manifest.layers.iter().enumerate().flat_map(|(layer, &from)| {
        let of_layer = &clusters.layers[from];
        let centroids = centroids(of_layer, clusters.representative).into_iter().enumerate();
        centroids.map(move |(centroid, heads)| {
            let claimed = HeadSource::new(from, heads);
            InheritedHead { layer, centroid, claimed, parts: Vec::new() }
        })
    });
    heads.collect()
}

/// Of the places where each part was found, the one that most parts have in common, or a part's
/// own where it is not there; of equally common ones that of the manifest, then the first.
fn agree(found: &[Vec<usize>], claimed: Option<usize>) -> Vec<Option<usize>> {
    let votes = |place: usize| found.iter().filter(|places| places.contains(&place)).count();
    let places = claimed.into_iter().chain(found.iter().flatten().copied());
    let common = places.fold((None, 0), |best, place| match votes(place) {
        votes if votes > best.1 => (Some(place), votes),
        _ => best,
    });
    found
        .iter()
        .map(|places| match common.0 {
            Some(common) if places.contains(&common) => Some(common),
            _ => places.first().copied(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
