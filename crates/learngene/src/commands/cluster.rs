//! `learngene cluster`

use std::path::PathBuf;

use learngene_format::Distances;
use serde::Serialize;

use crate::{
    args::{OutArgs, Written},
    cluster_args::{ClusterArgs, FfnArgs},
    kind::Kind,
    text::count,
};

/// Clusters the heads of each layer by their mean attention distance.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene cluster --distances distances.json --eps 10 --out clusters.json",
    mut_arg("out", |out| out.value_parser(Kind::Clusters.name()))
)]
pub struct Args {
    /// Distances from `learngene probe`.
    #[arg(long, value_name = "FILE")]
    distances: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    ffn: FfnArgs,
    #[command(flatten)]
    out: OutArgs,
}

/// What was clustered, for a program.
#[derive(Serialize)]
struct Clustered {
    #[serde(flatten)]
    written: Written,
    heads: usize,
    clusters: usize,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    args.out.prepare(Kind::Clusters, &[&args.distances])?;
    let distances = Distances::read(&args.distances)?;
    let clusters = args.cluster.cluster(&args.ffn, &distances, None)?;
    clusters.write(&args.out.out)?;
    let json = args.out.json;
    let clustered = Clustered {
        written: args.out.written()?,
        heads: distances.num_heads().iter().sum(),
        clusters: clusters.heads.num_centroids().iter().sum(),
    };
    super::print(json, &clustered, |Clustered { written, heads, clusters }| {
        let clusters = count(*clusters, "cluster", "clusters");
        format!("{}: {heads} heads in {clusters}", written.file.display())
    })
}
