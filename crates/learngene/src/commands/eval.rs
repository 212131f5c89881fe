//! `learngene eval`

use std::num::NonZeroUsize;

use learngene_datasets::{BadImages, Split, open};
use learngene_training::{Evaluation, evaluate};

use crate::args::{CheckpointArgs, DeviceArgs, PreprocessArgs};

/// Measures a checkpoint's accuracy on labelled images.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene eval --checkpoint runs/descendant/best.safetensors --data cifar10 --json"
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER")]
    data: String,
    /// Which part of the dataset.
    #[arg(long, default_value_t = Split::Test)]
    split: Split,
    /// Images of one forward pass.
    #[arg(long, default_value = "64")]
    batch_size: NonZeroUsize,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let images = open(&args.data, args.split, BadImages::Refuse)?;
    let device = args.device.device.open();
    let model = args.checkpoint.read(args.preprocess.image_size, None)?.load(&device)?;
    let preprocess = args.preprocess.check(model.config().image_size)?;
    let evaluation = evaluate(&model, images.as_ref(), &preprocess, args.batch_size, &device)?;
    super::print(args.json, &evaluation, |Evaluation { top1, top5, loss, images }| {
        format!("top-1 {top1:.2} %, top-5 {top5:.2} %, loss {loss:.4} on {images} images")
    })
}
