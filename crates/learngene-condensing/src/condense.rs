//! From an ancestor's checkpoint, its distances and clusters to the learngene.

use std::collections::BTreeMap;

use learngene_checkpoints::Checkpoint;
use learngene_format::{
    Ancestor, Clusters, Distances, Learngene, Manifest, Parameters, Store, VERSION,
};
use learngene_tensors::{Error, Result, StateDict};
use rayon::prelude::*;

use crate::{PRODUCER, ancestor::check_parameters, tensor_sources::tensor_sources};

/// What a learngene holds beside its centroids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CondenseOptions {
    /// Keeps each layer's whole output projection, which the projection policy `origin` needs.
    pub keep_projection: bool,
    /// Keeps the ancestor's classifier, where it has one.
    pub classifier: bool,
    /// How values are stored: without it as the checkpoint has them.
    pub store: Option<Store>,
}

/// Condenses an ancestor into a learngene: of each cluster one head, whole, and everything that
/// every descendant needs.
///
/// A head is what lies at its place in every parameter that has an axis of heads: its query, key and
/// value rows and biases, the columns of the output projection that read it, its relative positions.
/// Under [`RepresentativePolicy::Mean`](learngene_format::RepresentativePolicy::Mean) each of these
/// is averaged over the cluster. Layers that share an FFN have that of one of them, or the average of
/// all, and the norm before it where that travels with it
/// ([`FfnNorm`](learngene_format::FfnNorm)). Matrices of few bits
/// are rounded to the nearest levels.
///
/// # Errors
/// Distances or clusters that contradict themselves, or were made of another checkpoint or of other
/// images than each other; a checkpoint that lacks a parameter, or has one that is not finite.
pub fn condense(
    ancestor: &Checkpoint,
    distances: &Distances,
    clusters: &Clusters,
    options: CondenseOptions,
) -> Result<Learngene> {
    let manifest = describe(ancestor, distances, clusters, options)?;
    manifest.check()?;
    check_parameters(ancestor)?;
    let tensors = tensor_sources(&manifest).into_par_iter().map(|(name, source)| {
        let tensor = source.of(&ancestor.parameters);
        (name, tensor.expect("layers that share an FFN have equal ones, as was checked"))
    });
    let tensors: StateDict = tensors.collect::<Vec<_>>().into_iter().collect();
    Learngene::new(manifest, tensors)
}

/// The manifest of what [`condense`] makes, but for what follows from the tensors.
pub(crate) fn describe(
    ancestor: &Checkpoint,
    distances: &Distances,
    clusters: &Clusters,
    options: CondenseOptions,
) -> Result<Manifest> {
    clusters.check()?;
    let (whole, kept) = (&ancestor.shape, clusters.heads.num_centroids());
    let (found, expected) = (kept.len(), whole.depth());
    if found != expected {
        return Err(Error::invalid("layers of the clusters", found, expected));
    }
    Ok(Manifest {
        version: VERSION,
        producer: PRODUCER.into(),
        ancestor: Ancestor {
            sha256: ancestor.sha256,
            parameters: whole.count_parameters(),
            shape: whole.clone(),
        },
        distances: distances.clone(),
        clusters: clusters.clone(),
        shape: whole.with_num_heads(&kept)?,
        layers: (0..whole.depth()).collect(),
        refit: None,
        curves: None,
        store: options.store.unwrap_or(ancestor.dtype.into()),
        keep_projection: options.keep_projection,
        classifier: options.classifier && whole.num_classes() > 0,
        parameters: Parameters::default(),
        tensors: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests;
