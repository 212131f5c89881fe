//! `learngene baseline`

use anyhow::ensure;
use clap::ValueEnum;
use learngene_checkpoints::PretrainedCfg;
use learngene_condensing::{Criterion, FitOptions, PruneOptions, Pruned, prune};
use learngene_shape::Shape;
use serde::Serialize;

use crate::{
    ancestry::ShownArgs,
    args::{CheckpointArgs, OutArgs, Written, count_with_unit, whole_number},
    checkpoint_file::WriteArgs,
    kind::Kind,
    progress,
    text::{count, layer_list, thousands},
};

/// Makes a smaller checkpoint of an ancestor by a published method, to compare learngenes with.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene baseline magnitude deit_base.pth --images photos/ --max-params 43M \
    --refit --out magnitude.safetensors",
    mut_arg("out", |out| out.value_parser(Kind::Checkpoint.name()))
)]
pub struct Args {
    /// Which heads and hidden units are kept.
    #[arg(value_enum)]
    method: Method,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    #[command(flatten)]
    shown: ShownArgs,
    /// The largest number of parameters.
    #[arg(long, value_name = "COUNT", value_parser = count_with_unit)]
    max_params: u64,
    /// Fits the output projections and the second matrices of FFNs to the ancestor's tokens on the
    /// images, as those of a learngene are.
    #[arg(long)]
    refit: bool,
    /// Leaves the classifier out.
    #[arg(long)]
    no_classifier: bool,
    /// Seed of what is drawn.
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>)]
    seed: Option<u64>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    out: OutArgs,
}

/// A published method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    /// The first layers whole, and of the next one the first heads and hidden units.
    First,
    /// The largest weights, the same part of every layer.
    Magnitude,
    /// Drawn at random, the same part of every layer.
    Random,
    /// The largest variance over the images; the others' means go into the bias.
    Variance,
    /// The largest effect on the cross-entropy to first order, over all layers; for labelled images.
    Taylor,
}

/// What was made, for a program.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    written: Written,
    method: Method,
    shape: Shape,
    parameters: u64,
    inherited_parameters: u64,
    macs: u64,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let source = &args.checkpoint.checkpoint;
    args.out.prepare(Kind::Checkpoint, source.file().as_slice())?;
    ensure!(
        args.seed.is_none() || args.method == Method::Random,
        "nothing but `random` draws anything, so leave --seed out"
    );
    let ancestor = args.checkpoint.read(args.shown.preprocess.image_size, None)?;
    let images = args.shown.open(&ancestor, source)?;
    let bar = progress::bar(images.len() as u64, "images").with_message("pruning");
    let options = PruneOptions {
        criterion: match args.method {
            Method::First => Criterion::First,
            Method::Magnitude => Criterion::Magnitude,
            Method::Random => Criterion::Random { seed: args.seed.unwrap_or(0) },
            Method::Variance => Criterion::Variance,
            Method::Taylor => Criterion::Taylor,
        },
        max_params: args.max_params,
        refit: args.refit.then_some(FitOptions::default().ridge),
        classifier: !args.no_classifier,
    };
    let batches = || {
        bar.set_position(0);
        images.labelled(&bar)
    };
    let Pruned { shape, parameters } = prune(&ancestor, batches, options, &images.device)?;
    bar.finish_and_clear();
    let label_names = match args.no_classifier {
        true => Vec::new(),
        false => ancestor.pretrained_cfg.label_names,
    };
    let preprocessing = Some(images.preprocessing());
    let pretrained_cfg = PretrainedCfg { preprocessing, label_names };
    args.write.write(&args.out.out, &shape, &parameters, Some(&pretrained_cfg))?;
    let json = args.out.json;
    let made = Made {
        written: args.out.written()?,
        method: args.method,
        parameters: shape.count_parameters(),
        // All is the ancestor's; what was fitted counts as it does in descendants.
        inherited_parameters: shape.count_parameters(),
        macs: shape.count_macs(),
        shape,
    };
    super::print(json, &made, |Made { written, shape, parameters, .. }| {
        format!(
            "{}: {} of {} heads, {} parameters",
            written.file.display(),
            count(shape.depth(), "layer", "layers"),
            layer_list(&shape.num_heads()),
            thousands(*parameters)
        )
    })
}
