//! From an ancestor's checkpoint, its densities and clusters to the learngene.

use std::collections::BTreeMap;

use learngene_format as format;
use learngene_format::{Learngene, Manifest, Tensor};
use learngene_models::checkpoint::Checkpoint;

use crate::{
    ancestor::{Ancestor, Content, centroids},
    cluster::HeadClusters,
    distances::MeanAttentionDistances,
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
/// averaged over the cluster. Numbers are stored in the checkpoint's own format.
///
/// # Errors
/// When distances or clusters were made of another checkpoint or do not say how, when parameters
/// of the checkpoint are missing, or when one is not finite.
pub fn condense(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
    options: CondenseOptions,
) -> Result<Learngene, ClusteringError> {
    check_match(ancestor, distances, clusters)?;
    let manifest = describe(ancestor, distances, clusters, options)?;
    let ancestor = Ancestor::new(ancestor)?;
    let policy = manifest.clustering.representative;
    let tensors = manifest.expected_tensors()?.into_iter().map(|(name, shape)| {
        let values = match Content::of(&name, &manifest) {
            Content::Whole(source) => match ancestor.whole(&source) {
                Some(tensor) => tensor.values.clone(),
                None => return Err(ClusteringError::MissingTensor { name: source }),
            },
            Content::Heads { layer, part } => {
                let centroids = centroids(&manifest.layers[layer], policy).into_iter();
                centroids.flat_map(|heads| ancestor.average(part, layer, &heads)).collect()
            }
        };
        Ok((name, Tensor::from_f32(manifest.dtype, shape, &values)?))
    });
    let tensors = tensors.collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Learngene::new(manifest, tensors)?)
}

/// The manifest, but for what follows from the tensors.
fn describe(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
    options: CondenseOptions,
) -> Result<Manifest, ClusteringError> {
    let depth = ancestor.config.depth();
    Ok(Manifest {
        version: format::VERSION,
        producer: crate::PRODUCER.into(),
        architecture: format::Architecture::Vit(manifest::architecture(&ancestor.config)),
        ancestor: format::Ancestor {
            sha256: manifest::sha256(&ancestor.sha256, "the checkpoint's hash")?,
            parameters: ancestor.parameters.num_parameters() as u64,
        },
        probe: manifest::probe(distances)?,
        clustering: manifest::clustering(&clusters.parameters, depth),
        layers: clusters.layers.iter().map(manifest::layer_clusters).collect(),
        ffn_groups: (0..depth).map(|layer| vec![layer]).collect(),
        dtype: manifest::dtype(ancestor.dtype),
        keep_projection: options.keep_projection,
        classifier: options.classifier && ancestor.config.num_classes > 0,
        parameters: format::Parameters::default(),
        tensors: BTreeMap::new(),
    })
}

fn check_match(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
) -> Result<(), ClusteringError> {
    distances.check()?;
    clusters.check()?;
    let same = |what, source_file, got: String, want: String| match got == want {
        true => Ok(()),
        false => Err(ClusteringError::Mismatch { what, source_file, got, want }),
    };
    let heads = |heads: &[usize]| format!("{heads:?}");
    let want = heads(&ancestor.config.num_heads);
    same("number of heads per layer", "distances", heads(&distances.num_heads()), want.clone())?;
    let labelled: Vec<usize> = clusters.layers.iter().map(|layer| layer.labels.len()).collect();
    same("number of heads per layer", "clusters", heads(&labelled), want)?;
    for (file, hash) in
        [("distances", &distances.ancestor_sha256), ("clusters", &clusters.ancestor_sha256)]
    {
        if let Some(hash) = hash {
            same("ancestor hash", file, hash.clone(), ancestor.sha256.clone())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
