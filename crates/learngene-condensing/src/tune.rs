//! Chooses how much of an ancestor to keep: every setting of the clustering that differs from the
//! others, scored by how well fitted matrices make up for what it leaves out.

mod bootstrap;
mod candidates;
mod curve;
mod error;
mod front;
mod measure;
mod params;
mod search;
mod size;

use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_format as format;
use learngene_format::RefitInputs;
use learngene_models::checkpoint::Checkpoint;

pub use bootstrap::{ClusterStability, Stability, stability};
pub use curve::{TuneCurve, TunePoint, TuneSetting};
pub use error::TuneError;
pub use params::{Budget, CheckedTuneParams, TuneParams};

use self::{measure::Measured, search::Search, size::Sizes};
use crate::{
    CondenseOptions, HeadClusters, MeanAttentionDistances, PRODUCER, Representative,
    ancestor::Ancestor,
    cluster::{ClusterParams, cluster, cluster_ffns},
    condense::describe,
    error::ClusteringError,
    manifest,
};

/// Finds the settings of the clustering that no other beats in size and feature error together, and
/// of these the one for a budget.
///
/// Clusters on a line change only where eps passes a gap between neighbouring distances (for
/// `min_points` above 2: any distance of two heads), so all partitions that any eps can make are
/// tried, not a grid. Layers do not bear on each other's error, so the best eps for each layer are
/// found exactly, layer by layer, among all their combinations; so is one radius that joins
/// feed-forward networks.
///
/// The feature error is that which [`refit`](crate::refit) on the ancestor's inputs leaves: squared
/// difference of a layer's attention output from the ancestor's on the images, relative to its
/// variance, and likewise of feed-forward outputs, each relative to that of its own layer also where
/// layers share a network, averaged over both of all layers. The error of any heads follows from the
/// second moments of all heads' outputs, so one pass over the images is enough: `tokens (num_heads *
/// head_dim)^2` products a layer, and a linear solve on the host for each set of heads. Joined
/// networks want those of `mlp_hidden_dim + embed_dim` features for each layer and each other that
/// may stand for it, which are multiplied on the device; such a pair holds `8 mlp_hidden_dim
/// (mlp_hidden_dim + embed_dim)` bytes.
///
/// # Shapes
/// - images: batches, each `[batch, 3, image_size, image_size]`, normalised, of which the distances
///   were measured
///
/// # Errors
/// Distances of another ancestor, or that do not say how they were measured; the images' own error;
/// no image or nearly blank ones; tokens that are not finite; a budget that no setting meets.
pub fn tune<I, E>(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    images: impl Fn() -> I,
    params: &CheckedTuneParams,
    device: &Device,
) -> Result<TuneCurve, ClusteringError>
where
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError + Send + Sync + 'static,
{
    distances.check()?;
    let probe = manifest::probe(distances)?;
    let sizes = Sizes::of(Ancestor::new(ancestor)?, ancestor.dtype);
    let params = params.get();
    let mut search = Search::new(ancestor, distances, params)?;
    search.measured = Measured::of(ancestor, images, search.ffn_groups(), device)?;

    let default = search.default_point(&sizes)?;
    let one_eps = search.one_eps(&sizes)?;
    let per_layer = search.per_layer(&sizes)?;
    let front = if params.one_eps { &one_eps } else { &per_layer };
    let (chosen, file_bytes) =
        choose(front, &sizes, params, |setting| file_bytes(ancestor, distances, setting, params))?;
    Ok(TuneCurve {
        ancestor_sha256: ancestor.sha256.clone(),
        ancestor_parameters: sizes.ancestor,
        ancestor_bytes: sizes.bytes(sizes.ancestor),
        images: probe.images,
        images_sha256: probe.images_sha256.to_string(),
        num_heads: distances.num_heads(),
        ridge: params.ridge,
        budget: params.budget,
        chosen,
        chosen_file_bytes: file_bytes,
        default,
        one_eps,
        per_layer,
        stability: None,
        producer: PRODUCER.to_owned(),
    })
}

/// The best point of a front that the budget allows, and the bytes of its file.
fn choose(
    front: &[TunePoint],
    sizes: &Sizes,
    params: &TuneParams,
    file_bytes: impl Fn(&TuneSetting) -> Result<u64, ClusteringError>,
) -> Result<(TunePoint, u64), ClusteringError> {
    let max_bytes = match params.budget {
        Budget::MaxBytes(bytes) => bytes,
        Budget::MaxShare(share) => {
            (share / 100.0 * sizes.bytes(sizes.ancestor) as f64).floor() as u64
        }
        Budget::MaxError(want) => {
            // Smaller points come first, and have larger errors.
            let least = front.last().map_or(0.0, |point| point.error);
            let found = front.iter().find(|point| point.error <= want);
            let point = found.ok_or(TuneError::TooExact { least, want })?;
            return Ok((point.clone(), file_bytes(&point.setting)?));
        }
    };
    // Beside its numbers a file has a header, of some kilobytes that depend on the setting.
    let mut least = u64::MAX;
    for point in front.iter().rev().filter(|point| point.bytes <= max_bytes) {
        let bytes = file_bytes(&point.setting)?;
        if bytes <= max_bytes {
            return Ok((point.clone(), bytes));
        }
        least = least.min(bytes);
    }
    if let Some(point) = front.first().filter(|point| point.bytes > max_bytes) {
        least = file_bytes(&point.setting)?;
    }
    let (ancestor, joined) = (sizes.bytes(sizes.ancestor), params.ffn);
    Err(TuneError::TooSmall { least, want: max_bytes, ancestor, joined }.into())
}

/// Bytes that a learngene of this setting has at most once it is refitted.
fn file_bytes(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    setting: &TuneSetting,
    params: &TuneParams,
) -> Result<u64, ClusteringError> {
    let clusters = clusters(ancestor, distances, setting)?;
    let mut manifest = describe(ancestor, distances, &clusters, CondenseOptions::default())?;
    let fit = longest_fit();
    let of_layer = |layer: &format::LayerClusters| {
        vec![format::ProjectionFit { heads: layer.sizes.len(), fit: fit.clone() }]
    };
    let of_group = |group: &format::FfnGroup| (group.layers.len() > 1).then(|| fit.clone());
    manifest.refit = Some(format::Refit {
        inputs: RefitInputs::Ancestor,
        ridge: params.ridge,
        images: manifest.probe.images,
        images_sha256: manifest.probe.images_sha256,
        attention: manifest.layers.iter().map(of_layer).collect(),
        ffn: manifest.ffn.groups.iter().map(of_group).collect(),
    });
    Ok(manifest.file_length()?)
}

/// Numbers as long as they can be in JSON; those of the fit are not known before it is done.
fn longest_fit() -> format::Fit {
    let longest = 1.234_567_890_123_456_7e-100;
    let residual =
        format::Residual { relative: longest, median_channel: longest, worst_channel: longest };
    format::Fit { before: residual.clone(), after: residual }
}

fn cluster_params(setting: &TuneSetting) -> ClusterParams {
    let representative = Representative::Nearest;
    ClusterParams { algorithm: setting.algorithm(), representative }
}

/// The clusters that a setting makes.
fn clusters(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    setting: &TuneSetting,
) -> Result<HeadClusters, ClusteringError> {
    let mut clusters = cluster(distances, &cluster_params(setting).check()?)?;
    let ffn = setting.ffn_params().check()?;
    clusters.ffn = Some(cluster_ffns(distances, &ancestor.config.stages(), &ffn)?);
    Ok(clusters)
}

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod tests;
