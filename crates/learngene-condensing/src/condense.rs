//! From an ancestor's checkpoint, its densities and clusters to the learngene.

use std::{borrow::Cow, collections::BTreeMap};

use learngene_format as format;
use learngene_format::{Learngene, Manifest, Tensor};
use learngene_models::checkpoint::Checkpoint;
use rayon::prelude::*;

use crate::{
    ancestor::{Ancestor, centroids},
    cluster::HeadClusters,
    content::Content,
    distances::{Convention, MeanAttentionDistances},
    error::ClusteringError,
    manifest,
};

/// What a learngene holds beside its centroids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CondenseOptions {
    /// Keeps each layer's whole output projection, which the projection policy `origin` needs.
    pub keep_projection: bool,
    /// Keeps the ancestor's classifier, where it has one.
    pub classifier: bool,
}

/// Condenses an ancestor into a learngene: of each cluster one head, whole, and everything that
/// every descendant needs.
///
/// A head is its query, key and value rows and biases and the columns of the output projection
/// that read it. Under [`Representative::Mean`](crate::Representative::Mean) each of these is
/// averaged over the cluster. Layers that share a feed-forward network have that of one of them, or
/// the average of all, and its `norm2` where that travels with it
/// ([`FfnNorm`](crate::FfnNorm)). Numbers are stored in the checkpoint's own format.
///
/// # Errors
/// When the distances do not say how they were measured; when distances or clusters tell that they
/// were made of another checkpoint, or the clusters that they were found in other distances; when
/// parameters of the checkpoint are missing, or one is not finite.
pub fn condense(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
    options: CondenseOptions,
) -> Result<Learngene, ClusteringError> {
    let manifest = describe(ancestor, distances, clusters, options)?;
    let ancestor = Ancestor::new(ancestor)?;
    let tensors: Vec<Result<(String, Tensor), ClusteringError>> = manifest
        .expected_tensors()?
        .into_par_iter()
        .map(|(name, shape)| {
            let values = values(&name, &manifest, ancestor)?;
            let tensor = Tensor::from_f32(manifest.dtype, shape, &values)?;
            Ok((name, tensor))
        })
        .collect();
    // Of several errors the first by name, so that threads do not decide which.
    let tensors = tensors.into_iter().collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Learngene::new(manifest, tensors)?)
}

/// The values of the learngene's tensor of this name.
fn values<'a>(
    name: &str,
    manifest: &Manifest,
    ancestor: Ancestor<'a>,
) -> Result<Cow<'a, [f32]>, ClusteringError> {
    match Content::of(name, manifest, ancestor.config()) {
        Content::Whole(sources) => ancestor.average(&sources),
        Content::Heads { layer, part } => {
            let policy = manifest.clustering.representative;
            let groups = centroids(&manifest.layers[layer], policy);
            let heads: Vec<_> =
                groups.iter().map(|heads| ancestor.average_head(part, layer, heads)).collect();
            Ok(Cow::Owned(heads.concat()))
        }
    }
}

/// The manifest of what [`condense`] makes, but for what follows from the tensors.
pub(crate) fn describe(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
    options: CondenseOptions,
) -> Result<Manifest, ClusteringError> {
    check_match(ancestor, distances, clusters)?;
    let depth = ancestor.config.depth();
    Ok(Manifest {
        version: format::VERSION,
        producer: crate::PRODUCER.into(),
        architecture: manifest::architecture(&ancestor.config),
        ancestor: format::Ancestor {
            sha256: manifest::sha256(&ancestor.sha256, "the checkpoint's hash")?,
            parameters: ancestor.parameters.num_parameters() as u64,
        },
        probe: manifest::probe(distances)?,
        clustering: manifest::clustering(clusters, depth),
        layers: clusters.layers.iter().map(manifest::layer_clusters).collect(),
        ffn: manifest::ffn(clusters.ffn.as_ref(), depth),
        refit: None,
        dtype: manifest::dtype(ancestor.dtype),
        keep_projection: options.keep_projection,
        classifier: options.classifier && ancestor.config.num_classes() > 0,
        parameters: format::Parameters::default(),
        tensors: BTreeMap::new(),
    })
}

/// Checks that distances and clusters are sound, and made of this ancestor and of each other as far
/// as they tell.
fn check_match(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
) -> Result<(), ClusteringError> {
    distances.check()?;
    clusters.check()?;
    let want = ancestor.config.num_heads();
    let labelled: Vec<usize> = clusters.layers.iter().map(|layer| layer.labels.len()).collect();
    for (source_file, num_heads, sha256) in [
        ("distances", distances.num_heads(), &distances.ancestor_sha256),
        ("clusters", labelled, &clusters.ancestor_sha256),
    ] {
        if num_heads != want {
            return Err(ClusteringError::Mismatch {
                what: "number of heads per layer",
                source_file,
                got: format!("{num_heads:?}"),
                want: format!("{want:?}"),
            });
        }
        if let Some(sha256) = sha256
            && *sha256 != ancestor.sha256
        {
            return Err(ClusteringError::Mismatch {
                what: "ancestor hash",
                source_file,
                got: sha256.clone(),
                want: ancestor.sha256.clone(),
            });
        }
    }
    let convention = |convention: Convention| format!("{convention:?}").to_lowercase();
    for (what, of_clusters, of_distances) in [
        ("convention", clusters.convention.map(convention), distances.convention.map(convention)),
        (
            "number of images",
            clusters.images.map(|images| images.to_string()),
            distances.images.map(|images| images.to_string()),
        ),
        ("hash of the images", clusters.images_sha256.clone(), distances.images_sha256.clone()),
    ] {
        if let (Some(clusters), Some(distances)) = (of_clusters, of_distances)
            && clusters != distances
        {
            return Err(ClusteringError::OtherDistances { what, clusters, distances });
        }
    }
    Ok(())
}

#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;
