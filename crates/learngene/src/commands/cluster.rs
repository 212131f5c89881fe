//! `learngene cluster`

use std::path::PathBuf;

use learngene_clustering::{MeanAttentionDistances, cluster};

use crate::{ancestry::ClusterArgs, files::check_output};

/// Clusters the heads of each layer by their mean attention distance.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene cluster --distances distances.json --eps 10 --out clusters.json"
)]
pub struct Args {
    /// Distances that the probe measured.
    #[arg(long, value_name = "FILE")]
    distances: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// File for the clusters, JSON.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    check_output(&args.out, &[&args.distances])?;
    let distances = MeanAttentionDistances::read(&args.distances)?;
    let image_size = distances.preprocess.as_ref().map(|preprocess| preprocess.image_size);
    let params = args.cluster.params(image_size)?.check()?;
    let clusters = cluster(&distances, &params)?;
    clusters.write(&args.out)?;
    let heads: usize = distances.num_heads().iter().sum();
    let kept: usize = clusters.layers.iter().map(|layer| layer.sizes.len()).sum();
    super::say(format_args!("{}: {heads} heads in {kept} clusters", args.out.display()))
}
