//! `learngene export`

use learngene_checkpoints::Checkpoint;
use serde::Serialize;

use crate::{
    args::{CheckpointArgs, OutArgs, Written, image_size},
    checkpoint_file::WriteArgs,
    kind::Kind,
    text::thousands,
};

/// Help of `--out`.
const OUT: &str = "Checkpoint to write; folders that are missing are made. Beside it stand with --format \
    hf config.json and preprocessor_config.json, and of a shape that neither timm nor transformers can \
    hold a config.json, where the folder holds no other checkpoint. Those of another checkpoint are never \
    replaced.";

/// Writes a model for other programs: in their names, in another number format or for another image size.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene export runs/descendant --format hf --dtype f16 -o export/model.safetensors",
    mut_arg("out", |out| out.help(OUT).long_help(OUT).value_parser(Kind::Checkpoint.name()))
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Side of the square images in pixels; positions are interpolated where it differs.
    #[arg(long, value_name = "PIXELS", value_parser = image_size, help_heading = "Checkpoint")]
    image_size: Option<usize>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    out: OutArgs,
}

/// What was written, for a program.
#[derive(Serialize)]
struct Exported {
    #[serde(flatten)]
    written: Written,
    parameters: u64,
    macs: u64,
    image_size: usize,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    args.out.prepare(Kind::Checkpoint, args.checkpoint.checkpoint.file().as_slice())?;
    let checkpoint = args.checkpoint.read(args.image_size, None)?;
    let Checkpoint { shape, parameters, pretrained_cfg, .. } = &checkpoint;
    args.write.write(&args.out.out, shape, parameters, Some(pretrained_cfg))?;
    let json = args.out.json;
    let exported = Exported {
        written: args.out.written()?,
        parameters: shape.count_parameters(),
        macs: shape.count_macs(),
        image_size: shape.image().size,
    };
    super::print(json, &exported, |Exported { written, parameters, macs, image_size }| {
        format!(
            "{}: {} parameters, {} multiply-accumulates an image of {image_size} px",
            written.file.display(),
            thousands(*parameters),
            thousands(*macs)
        )
    })
}
