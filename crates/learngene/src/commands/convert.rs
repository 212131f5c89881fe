//! `learngene convert`

use std::path::PathBuf;

use learngene_models::{count_macs, count_parameters};

use crate::{
    args::{CheckpointArgs, WriteArgs, image_size},
    files::check_output,
};

/// Writes a checkpoint in other names, another number format or for another image size.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene convert --checkpoint runs/descendant/best.safetensors --names hf --dtype f16 \
    --out export/model.safetensors"
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Side of the square images in pixels; positions are interpolated where it differs.
    #[arg(long, value_name = "PIXELS", value_parser = image_size)]
    image_size: Option<usize>,
    #[command(flatten)]
    write: WriteArgs,
    /// Checkpoint to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    check_output(&args.out, &[&args.checkpoint.checkpoint])?;
    let checkpoint = args.checkpoint.read(args.image_size, None)?;
    args.write.write(&args.out, &checkpoint.config, &checkpoint.parameters)?;
    super::say(format_args!(
        "{}: {} parameters, {} multiply-accumulates an image of {} px",
        args.out.display(),
        count_parameters(&checkpoint.config),
        count_macs(&checkpoint.config),
        checkpoint.config.image_size
    ))
}
