//! Where the heads of a learngene came from, told by their bytes.

use std::{collections::HashMap, fmt};

use learngene_format::{LayerClusters, Learngene, Manifest, Tensor};
use learngene_models::checkpoint::Checkpoint;
use serde::Serialize;

use crate::{
    ancestor::{Ancestor, centroids, members},
    content::{Content, HeadPart, is_refitted},
    error::ClusteringError,
    manifest,
};

/// What comparing a learngene with an ancestor, byte for byte, brought to light.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Whether the checkpoint has the hash of the file that the manifest names. Another file may
    /// well hold the same weights, in other names or another number format.
    pub is_named_file: bool,
    /// Every inherited head, by layer and order of priority.
    pub heads: Vec<InheritedHead>,
    /// Tensors besides heads that are the ancestor's, byte for byte.
    pub shared: Vec<String>,
    /// Tensors that hold what was fitted to the ancestor's outputs, as the manifest says; the
    /// columns of such a head are none of its parts.
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
    /// Which part.
    pub part: HeadPart,
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

    fn read(&self, ancestor: Ancestor<'_>, part: HeadPart) -> Vec<f32> {
        match self {
            Self::Head { layer, head } => ancestor.average_head(part, *layer, &[*head]),
            Self::Average { layer, heads } => ancestor.average_head(part, *layer, heads),
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
/// Each part of each centroid is looked for in every head of every layer, and among the averages
/// over each cluster, after the ancestor's numbers were rounded to the learngene's format. The
/// manifest tells shapes and clusters; which head a centroid is, the bytes tell, and
/// [`InheritedHead::claimed`] is what the manifest says of it.
///
/// # Errors
/// When the ancestor has another shape than the learngene's, or lacks a parameter. Weights that
/// differ are no error: they are what is looked for.
pub fn verify(
    learngene: &Learngene,
    ancestor: &Checkpoint,
) -> Result<Verification, ClusteringError> {
    let manifest = learngene.manifest();
    manifest::check_architecture(
        &manifest.architecture,
        &manifest::architecture(&ancestor.config),
    )?;
    let is_named_file = manifest.ancestor.sha256.to_string() == ancestor.sha256;
    let ancestor = Ancestor::new(ancestor)?;

    let heads = inherited_heads(learngene, ancestor)?;
    let (mut shared, mut refitted, mut differing) = (Vec::new(), Vec::new(), Vec::new());
    for (name, tensor) in learngene.tensors() {
        let list = match Content::of(name, manifest, ancestor.config()) {
            Content::Heads { layer, part } => {
                let is_part = |head: &InheritedHead| head.parts.iter().any(|of| of.part == part);
                if heads.iter().filter(|head| head.layer == layer).all(is_part) {
                    continue;
                }
                &mut refitted
            }
            Content::Whole(sources) if is_ancestors(tensor, &sources, ancestor)? => &mut shared,
            Content::Whole(_) if is_refitted(name, manifest) => &mut refitted,
            Content::Whole(_) => &mut differing,
        };
        list.push(name.clone());
    }
    Ok(Verification { is_named_file, heads, shared, refitted, differing })
}

/// Whether a tensor is that of the ancestor, or the average of several, byte for byte.
fn is_ancestors(
    tensor: &Tensor,
    sources: &[String],
    ancestor: Ancestor<'_>,
) -> Result<bool, ClusteringError> {
    // A classifier that the checkpoint lacks, or has for other classes, is no error.
    let is_there =
        |source: &String| ancestor.whole(source).is_some_and(|whole| whole.shape == tensor.shape());
    if !sources.iter().all(is_there) {
        return Ok(false);
    }
    let values = ancestor.average(sources)?;
    let stored = Tensor::from_f32(tensor.dtype(), tensor.shape().to_vec(), &values)?;
    Ok(stored.bytes() == tensor.bytes())
}

fn inherited_heads(
    learngene: &Learngene,
    ancestor: Ancestor<'_>,
) -> Result<Vec<InheritedHead>, ClusteringError> {
    let manifest = learngene.manifest();
    let sources = sources(&manifest.layers);
    let mut heads = claimed_heads(manifest);
    let mut found: Vec<Vec<Vec<usize>>> = vec![Vec::new(); heads.len()]; // [head][part][source]
    // All layers of a family have heads of the same parts.
    let parts: Vec<HeadPart> = HeadPart::of(ancestor.config().layer(0)).collect();
    for &part in &parts {
        let places = places(learngene, ancestor, part, &sources)?;
        for (head, found) in heads.iter().zip(&mut found) {
            let bytes = centroid(learngene, part, head);
            found.push(places.get(bytes).cloned().unwrap_or_default());
        }
    }
    for (head, found) in heads.iter_mut().zip(found) {
        let claimed = sources.iter().position(|source| *source == head.claimed);
        let parts = parts.iter().copied().zip(agree(&found, claimed));
        head.parts = parts
            .map(|(part, source)| PartOrigin { part, source: source.map(|at| sources[at].clone()) })
            .collect();
        // Columns that are not the ancestor's were fitted, where the manifest says that some were.
        let columns = HeadPart::ProjectionColumns;
        if is_refitted(&columns.tensor_name(head.layer), manifest) {
            head.parts.retain(|of| of.part != columns || of.source.as_ref() == Some(&head.claimed));
        }
    }
    Ok(heads)
}

/// Every head of every layer, and every cluster of several heads.
fn sources(layers: &[LayerClusters]) -> Vec<HeadSource> {
    let of_layer = |(layer, clusters): (usize, &LayerClusters)| {
        let heads = (0..clusters.labels.len()).map(|head| vec![head]);
        let groups = clusters.clusters.iter().map(|cluster| members(clusters, *cluster));
        let groups = groups.filter(|members| members.len() > 1);
        heads.chain(groups).map(|heads| HeadSource::new(layer, heads)).collect::<Vec<_>>()
    };
    layers.iter().enumerate().flat_map(of_layer).collect()
}

/// The centroids of all layers as the manifest tells of them.
fn claimed_heads(manifest: &Manifest) -> Vec<InheritedHead> {
    let policy = manifest.clustering.representative;
    let layers = manifest.layers.iter().enumerate();
    let heads = layers.flat_map(|(layer, clusters)| {
        centroids(clusters, policy).into_iter().enumerate().map(move |(centroid, heads)| {
            let claimed = HeadSource::new(layer, heads);
            InheritedHead { layer, centroid, claimed, parts: Vec::new() }
        })
    });
    heads.collect()
}

/// Which sources have which bytes as this part, in the learngene's number format.
fn places(
    learngene: &Learngene,
    ancestor: Ancestor<'_>,
    part: HeadPart,
    sources: &[HeadSource],
) -> Result<HashMap<Vec<u8>, Vec<usize>>, ClusteringError> {
    let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (at, source) in sources.iter().enumerate() {
        let values = source.read(ancestor, part);
        let tensor = Tensor::from_f32(learngene.manifest().dtype, vec![values.len()], &values)?;
        places.entry(tensor.bytes().to_vec()).or_default().push(at);
    }
    Ok(places)
}

/// The bytes of one part of one centroid.
fn centroid<'a>(learngene: &'a Learngene, part: HeadPart, head: &InheritedHead) -> &'a [u8] {
    let tensor = &learngene.tensors()[&part.tensor_name(head.layer)];
    let length = tensor.bytes().len() / tensor.shape()[0];
    &tensor.bytes()[head.centroid * length..][..length]
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
