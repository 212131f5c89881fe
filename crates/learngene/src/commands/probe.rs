//! `learngene probe`

use learngene_models::Model;
use serde::Serialize;

use crate::{
    ancestry::ProbeArgs,
    args::{CheckpointArgs, OutArgs, Written},
    kind::Kind,
    text::count,
};

/// Measures the mean attention distance of every head of an ancestor.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene probe deit_base.pth --images photos/ --out distances.json",
    mut_arg("out", |out| out.value_parser(Kind::Distances.name()))
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    out: OutArgs,
}

/// What was measured, for a program.
#[derive(Serialize)]
struct Probed {
    #[serde(flatten)]
    written: Written,
    layers: usize,
    heads: usize,
    images: u64,
    /// Attention rows left out, because almost all their mass lay on the class token.
    skipped_rows: u64,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    args.out.prepare(Kind::Distances, args.checkpoint.checkpoint.file().as_slice())?;
    let ancestor = args.checkpoint.read(args.probe.shown.preprocess.image_size, None)?;
    let images = args.probe.shown.open(&ancestor, &args.checkpoint.checkpoint)?;
    let model = Model::load(&ancestor.shape, &ancestor.parameters, &images.device)?;
    let distances = args.probe.measure(&model, ancestor.sha256, &images)?;
    distances.write(&args.out.out)?;
    let json = args.out.json;
    let probed = Probed {
        written: args.out.written()?,
        layers: distances.num_heads().len(),
        heads: distances.num_heads().iter().sum(),
        images: distances.images,
        skipped_rows: distances.skipped_rows,
    };
    super::print(json, &probed, |Probed { written, layers, heads, images, .. }| {
        let (heads, layers) = (count(*heads, "head", "heads"), count(*layers, "layer", "layers"));
        let images = count(*images as usize, "image", "images");
        format!("{}: {heads} in {layers}, measured on {images}", written.file.display())
    })
}
