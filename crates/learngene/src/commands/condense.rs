//! `learngene condense`

use std::path::PathBuf;

use learngene_clustering::{CondenseOptions, MeanAttentionDistances, cluster, condense};

use crate::{
    ancestry::{ClusterArgs, ProbeArgs},
    args::CheckpointArgs,
    files::check_output,
};

/// Condenses an ancestor into a learngene: probes it, clusters its heads, keeps one of each cluster.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene condense --checkpoint deit_base.pth --images photos/ --out deit_base.learngene"
)]
#[command(group = clap::ArgGroup::new("densities").required(true).args(["images", "distances"]))]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images to show the ancestor: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER")]
    images: Option<String>,
    /// Distances that the probe measured before.
    #[arg(long, value_name = "FILE")]
    distances: Option<PathBuf>,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Keeps each layer's whole output projection, for the projection policy `origin`.
    #[arg(long)]
    keep_projection: bool,
    /// Keeps the ancestor's classifier.
    #[arg(long)]
    keep_classifier: bool,
    /// File for the learngene.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut inputs = vec![args.checkpoint.checkpoint.as_path()];
    inputs.extend(args.distances.as_deref());
    check_output(&args.out, &inputs)?;
    let ancestor = args.checkpoint.read(args.probe.preprocess.image_size, None)?;
    let distances = match (&args.images, &args.distances) {
        (Some(images), _) => args.probe.measure(&ancestor, images)?,
        (None, Some(path)) => MeanAttentionDistances::read(path)?,
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    // The radius follows the images that were probed, whatever size the checkpoint has.
    let probed_size = distances.preprocess.as_ref().map(|preprocess| preprocess.image_size);
    let params = args.cluster.params(probed_size)?.check()?;
    let clusters = cluster(&distances, &params)?;
    let options =
        CondenseOptions { keep_projection: args.keep_projection, classifier: args.keep_classifier };
    let learngene = condense(&ancestor, &distances, &clusters, options)?;
    learngene.write(&args.out)?;

    let manifest = learngene.manifest();
    let heads: usize = distances.num_heads().iter().sum();
    let kept: usize = clusters.layers.iter().map(|layer| layer.sizes.len()).sum();
    super::say(format_args!(
        "{}: {kept} of {heads} heads, {} of {} parameters",
        args.out.display(),
        manifest.parameters.stored,
        manifest.ancestor.parameters
    ))
}
