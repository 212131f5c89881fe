//! Chooses how much of an ancestor to keep: every setting of the clustering that differs from the
//! others, scored by how well fitted matrices make up for what it leaves out.

mod bootstrap;
mod candidates;
mod curve;
mod front;
mod measure;
mod params;
mod search;
mod setting;
mod size;

use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::Checkpoint;
use learngene_clustering::{PRODUCER as CLUSTERS_PRODUCER, cluster, cluster_ffns};
use learngene_format::{
    Clusters, Distances, FfnGroup, Fit, ProjectionFit, Refit, RefitInputs, Residual, ffn_runs,
};
use learngene_shape::Shape;
use learngene_tensors::{Error, Result};

pub use bootstrap::{ClusterStability, Stability, stability};
pub use curve::{TuneCurve, TunePoint};
pub use params::{Budget, CheckedTuneParams, TuneParams};
pub use setting::TuneSetting;

use self::{measure::Measured, search::Search, size::Sizes};
use crate::{
    CondenseOptions, PRODUCER,
    ancestor::{check_distances, check_parameters},
    condense::describe,
};

/// Finds the settings of the clustering that no other beats in size and feature error together, and
/// of these the one for a budget.
///
/// Clusters on a line change only where eps passes a gap between neighbouring distances (for
/// `min_points` above 2: any distance of two heads), so all partitions that any eps can make are
/// tried, not a grid. Layers do not bear on each other's error, so the best eps for each layer are
/// found exactly, layer by layer, among all their combinations; so is one radius that joins
/// FFNs.
///
/// The feature error is that which [`refit`](crate::refit) on the ancestor's inputs leaves: squared
/// difference of a layer's attention output from the ancestor's on the images, relative to its
/// variance, and likewise of FFN outputs, each relative to that of its own layer also where layers
/// share an FFN, averaged over both of all layers. The error of any heads follows from the
/// second moments of all heads' outputs, so one pass over the images is enough: `tokens (num_heads *
/// head_dim)^2` products a layer, and a linear solve on the host for each set of heads. Joined FFNs
/// need those of `hidden_dim + embed_dim` features for each layer and each other that may stand for
/// it, which are multiplied on the device; such a pair holds `8 hidden_dim (hidden_dim + embed_dim)`
/// bytes.
///
/// # Shapes
/// - images: batches, each `[batch, 3, image_size, image_size]`, normalised, of which the distances
///   were measured
///
/// # Errors
/// Distances of another ancestor; an ancestor without all its parameters; the images' own error; no
/// image or nearly blank ones; tokens that are not finite; `min_points` by which all heads of a layer
/// are noise; a budget that no setting meets.
pub fn tune<I, E>(
    ancestor: &Checkpoint,
    distances: &Distances,
    images: impl Fn() -> I,
    params: &CheckedTuneParams,
    device: &Device,
) -> Result<TuneCurve>
where
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError,
{
    check_distances(ancestor, distances)?;
    check_parameters(ancestor)?;
    let sizes = Sizes::of(&ancestor.shape, ancestor.dtype);
    let params = params.get();
    let measure = |groups| Measured::of(ancestor, images, groups, device);
    let search = Search::new(&ancestor.shape, distances, params, measure)?;

    let default = search.default_point(&sizes)?;
    let one_eps = search.one_eps(&sizes)?;
    let per_layer = search.per_layer(&sizes)?;
    let front = if params.one_eps { &one_eps } else { &per_layer };
    let (chosen, file_bytes) =
        choose(front, &sizes, params, |setting| file_bytes(ancestor, distances, setting, params))?;
    Ok(TuneCurve {
        ancestor_sha256: ancestor.sha256,
        ancestor_parameters: sizes.ancestor,
        ancestor_bytes: sizes.bytes(sizes.ancestor),
        images: distances.images,
        images_sha256: distances.images_sha256,
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
    file_bytes: impl Fn(&TuneSetting) -> Result<u64>,
) -> Result<(TunePoint, u64)> {
    let max_bytes = match params.budget {
        Budget::MaxBytes(bytes) => bytes,
        Budget::MaxShare(share) => {
            (share / 100.0 * sizes.bytes(sizes.ancestor) as f64).floor() as u64
        }
        Budget::MaxError(most) => {
            // Smaller points come first, and have larger errors.
            let Some(point) = front.iter().find(|point| point.error <= most) else {
                let least = bound(front.last().map_or(0.0, |point| point.error));
                let expected = format!("at most {most}");
                return Err(Error::invalid("least feature error of any setting", least, expected));
            };
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
    let size = |bytes: u64| {
        let share = 100.0 * bytes as f64 / sizes.bytes(sizes.ancestor) as f64;
        format!("{} bytes, {share:.1} % of the ancestor's", thousands(bytes))
    };
    let hint =
        if params.ffn { "" } else { "; joined FFNs (without --heads-only) make smaller ones" };
    let expected = format!("at most {}{hint}", size(max_bytes));
    Err(Error::invalid("smallest learngene that clustering can make", size(least), expected))
}

/// Bytes that a learngene of this setting has at most once it is refitted.
fn file_bytes(
    ancestor: &Checkpoint,
    distances: &Distances,
    setting: &TuneSetting,
    params: &TuneParams,
) -> Result<u64> {
    let clusters = clusters(&ancestor.shape, distances, setting)?;
    let mut manifest = describe(ancestor, distances, &clusters, CondenseOptions::default());
    let fit = longest_fit();
    let of_layer = |heads| vec![ProjectionFit { heads, fit: fit.clone() }];
    let of_group = |group: &FfnGroup| (group.layers.len() > 1).then(|| fit.clone());
    manifest.refit = Some(Refit {
        inputs: RefitInputs::Ancestor,
        ridge: params.ridge,
        images: distances.images,
        images_sha256: distances.images_sha256,
        attention: clusters.heads.num_centroids().into_iter().map(of_layer).collect(),
        ffn: clusters.ffn.groups.iter().map(of_group).collect(),
    });
    manifest.file_length()
}

/// Numbers as long as they can be in JSON; those of the fit are not known before it is done.
fn longest_fit() -> Fit {
    let longest = 1.234_567_890_123_456_7e-100;
    let residual = Residual { relative: longest, median_channel: longest, worst_channel: longest };
    Fit { before: residual.clone(), after: residual }
}

/// The clusters that a setting makes.
fn clusters(shape: &Shape, distances: &Distances, setting: &TuneSetting) -> Result<Clusters> {
    let heads = cluster(distances, &setting.cluster_params().check()?)?;
    let ffn = setting.ffn_params().check()?.within(ffn_runs(shape))?;
    let ffn = cluster_ffns(distances, &heads, &ffn)?;
    Ok(Clusters::new(heads, ffn, distances, CLUSTERS_PRODUCER))
}

/// `2,400,000`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<&str> =
        groups.map(|group| std::str::from_utf8(group).expect("digits are ASCII")).collect();
    groups.join(",")
}

/// A bound that a number keeps, of four digits.
fn bound(number: f64) -> f64 {
    if number == 0.0 {
        return 0.0;
    }
    let scale = 10_f64.powi(3 - number.abs().log10().floor() as i32);
    (number * scale).ceil() / scale
}

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod tests;
