//! `learngene condense`

use std::path::{Path, PathBuf};

use learngene_checkpoints::Checkpoint;
use learngene_condensing::{CheckedRefitParams, CondenseOptions, RefitParams, condense, refit};
use learngene_format::{Clusters, Distances, Learngene, RefitInputs};
use learngene_tensors::Sha256;
use serde::Serialize;

use crate::{
    ancestry::{ProbeArgs, ProbeImages},
    args::{CheckpointArgs, Either, OutArgs, Written, choice, number, whole_number},
    cluster_args::{ClusterArgs, FfnArgs},
    kind::Kind,
    measured::check_ancestor,
    progress,
    text::{count, thousands},
};

/// Condenses an ancestor into a learngene: probes it, clusters its heads, keeps one of each cluster.
///
/// Distances from `probe` and clusters from `cluster` can take the place of the first two steps.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene condense --checkpoint deit_base.pth --images photos/ --out deit_base.learngene\n  \
    learngene condense --checkpoint deit_base.pth --distances distances.json --clusters clusters.json \
    --out deit_base.learngene",
    mut_arg("out", |out| out.value_parser(Kind::Learngene.name()))
)]
#[command(group = clap::ArgGroup::new("densities").required(true).args(["images", "distances"]))]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    #[command(flatten)]
    densities: Either<Measured, ProbeArgs>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    ffn: FfnArgs,
    /// Keeps each layer's whole output projection, for the projection policy `origin`.
    #[arg(long, help_heading = "Output")]
    keep_projection: bool,
    /// Keeps the ancestor's classifier.
    #[arg(long, help_heading = "Output")]
    keep_classifier: bool,
    #[command(flatten)]
    refit: RefitArgs,
    #[command(flatten)]
    out: OutArgs,
}

/// How output projections are fitted to the ancestor's outputs.
#[derive(clap::Args)]
#[command(next_help_heading = "Refit")]
struct RefitArgs {
    /// Fits every output projection, so that the heads kept alone give what all heads gave on the
    /// probe images: each layer fed the ancestor's inputs, or its own, which also makes up for the
    /// layers before it.
    #[arg(long, value_name = "ancestor|own", requires = "images",
        value_parser = choice::<RefitInputs>(["ancestor", "own"]))]
    refit: Option<RefitInputs>,
    /// Ridge of the fit, as a multiple of the mean variance of what the heads give.
    #[arg(long, value_name = "RIDGE", default_value_t = RefitParams::default().ridge,
        value_parser = number::<f64>, requires = "refit")]
    ridge: f64,
    /// Fits the projections of so many heads too, the first of each layer in order of priority, for
    /// descendants in that order with fewer heads than a layer has clusters; one number, or several
    /// sizes.
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',', requires = "refit",
        value_parser = whole_number::<usize>, allow_hyphen_values = true)]
    target_heads: Vec<usize>,
}

impl RefitArgs {
    fn params(&self) -> anyhow::Result<Option<CheckedRefitParams>> {
        let Some(inputs) = self.refit else { return Ok(None) };
        let Self { ridge, ref target_heads, .. } = *self;
        Ok(Some(RefitParams { inputs, ridge, target_heads: target_heads.clone() }.check()?))
    }
}

/// The learngene with fitted projections.
fn refitted(
    learngene: Learngene,
    ancestor: &Checkpoint,
    images: &ProbeImages,
    params: &CheckedRefitParams,
) -> anyhow::Result<Learngene> {
    let bar = progress::bar(images.len() as u64, "images").with_message("fitting");
    let batches = || {
        bar.set_position(0);
        images.batches(&bar)
    };
    let learngene = refit(&learngene, ancestor, batches, images.sha256, params, &images.device)?;
    bar.finish_and_clear();
    Ok(learngene)
}

/// What earlier commands left.
#[derive(clap::Args)]
#[command(next_help_heading = "Instead of a probe")]
struct Measured {
    /// Distances that `probe` measured.
    // The group `ProbeArgs` is empty, for clap puts no flags into that of a struct with flattened ones.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["limit", "split", "batch_size",
        "convention", "bad_images", "PreprocessArgs", "DeviceArgs"])]
    distances: PathBuf,
    /// Clusters that `cluster` found in these distances.
    #[arg(long, value_name = "FILE", requires = "distances",
        conflicts_with_all = ["images", "ClusterArgs", "FfnArgs"])]
    clusters: Option<PathBuf>,
}

/// What was condensed, for a program.
#[derive(Serialize)]
struct Condensed {
    #[serde(flatten)]
    written: Written,
    heads: usize,
    kept_heads: usize,
    images: u64,
    parameters: u64,
    ancestor_parameters: u64,
}

/// Reads the checkpoint that distances were measured on, for the images that were probed then.
///
/// Where it cannot be read, perhaps it is another one than the distances were measured on, and that is
/// what the user should hear.
fn read_ancestor(
    args: &CheckpointArgs,
    file: &Path,
    distances: &Distances,
) -> anyhow::Result<Checkpoint> {
    // Positions for the images that were probed, as if they were probed here.
    let read = args.read(Some(distances.preprocessing.image_size), None);
    let (sha256, shape) = match &read {
        Ok(Checkpoint { sha256, shape, .. }) => (*sha256, Some(shape)),
        Err(_) => (Sha256::of_file(args.checkpoint.path()?)?, None),
    };
    check_ancestor(file, distances, &args.checkpoint, sha256, shape)?;
    read
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut inputs: Vec<&Path> = args.checkpoint.checkpoint.file().into_iter().collect();
    if let Either::Left(Measured { distances, clusters }) = &args.densities {
        inputs.push(distances);
        inputs.extend(clusters.as_deref());
    }
    let refit = args.refit.params()?;
    args.out.prepare(Kind::Learngene, &inputs)?;
    let mut probed = None;
    let (ancestor, distances, clusters) = match &args.densities {
        Either::Left(Measured { distances, clusters }) => {
            let (file, distances) = (distances, Distances::read(distances)?);
            let clusters = clusters.as_ref().map(Clusters::read).transpose()?;
            (read_ancestor(&args.checkpoint, file, &distances)?, distances, clusters)
        }
        Either::Right(probe) => {
            let ancestor = args.checkpoint.read(probe.preprocess.image_size, None)?;
            args.cluster.check(&args.ffn, &ancestor.shape)?;
            let images = probe.open(&ancestor, &args.checkpoint.checkpoint)?;
            let distances = probe.measure(&ancestor, &images)?;
            probed = Some(images);
            (ancestor, distances, None)
        }
    };
    let clusters = match clusters {
        Some(clusters) => clusters,
        None => args.cluster.cluster(&args.ffn, &distances, Some(&ancestor.shape))?,
    };
    let options =
        CondenseOptions { keep_projection: args.keep_projection, classifier: args.keep_classifier };
    let learngene = condense(&ancestor, &distances, &clusters, options)?;
    let learngene = match (refit, probed) {
        (Some(params), Some(images)) => refitted(learngene, &ancestor, &images, &params)?,
        _ => learngene,
    };
    drop(ancestor); // Its memory serves what is written.
    learngene.write(&args.out.out)?;

    let manifest = learngene.manifest();
    let json = args.out.json;
    let condensed = Condensed {
        written: args.out.written()?,
        heads: distances.num_heads().iter().sum(),
        kept_heads: clusters.heads.num_centroids().iter().sum(),
        images: distances.images,
        parameters: manifest.parameters.stored,
        ancestor_parameters: manifest.ancestor.parameters,
    };
    super::print(json, &condensed, |condensed| {
        format!(
            "{}: {} of {} heads by {}, {} of {} parameters",
            condensed.written.file.display(),
            condensed.kept_heads,
            condensed.heads,
            count(condensed.images as usize, "image", "images"),
            thousands(condensed.parameters),
            thousands(condensed.ancestor_parameters)
        )
    })
}
