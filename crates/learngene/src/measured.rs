//! Distances and clusters that earlier commands left.

use std::path::Path;

use anyhow::{anyhow, bail};
use learngene_clustering::{HeadClusters, MeanAttentionDistances};
use learngene_models::ModelConfig;

use crate::{
    hub::Source,
    text::{count, heads},
};

/// Reads distances; of clusters in their place it says so.
pub fn read_distances(path: &Path) -> anyhow::Result<MeanAttentionDistances> {
    MeanAttentionDistances::read(path).map_err(|error| match HeadClusters::read(path) {
        Ok(_) => anyhow!(
            "{} holds clusters that `cluster` found, where the distances are wanted that `probe` \
             measured",
            path.display()
        ),
        Err(_) => error.into(),
    })
}

/// Reads clusters; of distances in their place it says so.
pub fn read_clusters(path: &Path) -> anyhow::Result<HeadClusters> {
    HeadClusters::read(path).map_err(|error| match MeanAttentionDistances::read(path) {
        Ok(_) => anyhow!(
            "{} holds distances that `probe` measured, where the clusters are wanted that `cluster` \
             found in them",
            path.display()
        ),
        Err(_) => error.into(),
    })
}

/// Refuses distances that were not measured on a checkpoint of this hash, where they tell theirs; the
/// shape of its model, where it could be read, helps to see which was meant.
pub fn check_ancestor(
    path: &Path,
    distances: &MeanAttentionDistances,
    checkpoint: &Source,
    sha256: &str,
    config: Option<&ModelConfig>,
) -> anyhow::Result<()> {
    let Some(measured) = distances.ancestor_sha256.as_deref().filter(|told| *told != sha256) else {
        return Ok(());
    };
    let there = shape(&distances.num_heads(), distances.patch_size);
    let compared = match config.map(|config| shape(&config.num_heads(), Some(config.patch_size())))
    {
        Some(here) if here == there => format!("both have {here}, but other weights"),
        Some(here) => format!("that one had {there}, this one has {here}"),
        None => format!("that one had {there}"),
    };
    bail!(
        "{} was measured on another checkpoint than {checkpoint} ({compared}): ancestor hash of the \
         distances is {measured}, but that of the checkpoint is {sha256}",
        path.display()
    )
}

/// `12 layers of 6 heads, patches of 16 px`.
fn shape(num_heads: &[usize], patch_size: Option<usize>) -> String {
    let patches = patch_size.map(|pixels| format!(", patches of {pixels} px")).unwrap_or_default();
    format!("{} of {} heads{patches}", count(num_heads.len(), "layer", "layers"), heads(num_heads))
}
