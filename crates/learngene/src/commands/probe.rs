//! `learngene probe`

use std::path::PathBuf;

use crate::{ancestry::ProbeArgs, args::CheckpointArgs, files::check_output};

/// Measures the mean attention distance of every head of an ancestor.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene probe --checkpoint deit_base.pth --images photos/ --out distances.json"
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER")]
    images: String,
    #[command(flatten)]
    probe: ProbeArgs,
    /// File for the distances, JSON.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    check_output(&args.out, &[&args.checkpoint.checkpoint])?;
    let ancestor = args.checkpoint.read(args.probe.preprocess.image_size, None)?;
    let distances = args.probe.measure(&ancestor, &args.images)?;
    distances.write(&args.out)?;
    let heads: usize = distances.num_heads().iter().sum();
    super::say(format_args!(
        "{}: {heads} heads in {} layers, measured on {} images",
        args.out.display(),
        distances.num_heads().len(),
        distances.images.unwrap_or(0)
    ))
}
