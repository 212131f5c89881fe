//! `learngene inspect`

mod against;
mod attention;
mod checkpoint;
mod flow;
mod learngene;
mod other;
mod svg;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use learngene_format::Learngene;

use self::{attention::AttentionArgs, checkpoint::Inspected};
use crate::{
    args::CheckpointArgs,
    description::Description,
    files::{read, write_whole},
    hub::Source,
    kind::Kind,
};

/// Shows what a learngene or a checkpoint holds, or where the layers and heads of a descendant come from.
///
/// Of a descendant it reads the description that `expand` leaves beside the checkpoint.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene inspect deit_base.learngene --svg clusters.svg\n  \
    learngene inspect deit_base.learngene --against deit_base.pth\n  \
    learngene inspect descendant.json --svg origins.svg\n  \
    learngene inspect deit_base.pth --attention cat.jpg --png maps/",
    mut_arg("checkpoint", |file| file.value_name("FILE").help(FILE).long_help(FILE))
)]
pub struct Args {
    #[command(flatten)]
    file: CheckpointArgs,
    /// Compares a learngene with its ancestor: proves which heads it holds, by the bytes of tensors. Ends with
    /// 1 where anything is not what the manifest says.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["svg", "attention"])]
    against: Option<Source>,
    /// Draws which heads and FFNs come from which: the ancestor's at the left, those of the learngene or
    /// descendant at the right.
    #[arg(long, value_name = "FILE", value_parser = Kind::Drawing.name(), conflicts_with = "attention")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    attention: AttentionArgs,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Help of the file.
const FILE: &str = "A learngene, a checkpoint, the folder of a run, hf:OWNER/NAME, or the description of a \
    descendant (.json).";

/// What messages about other files end with.
const READS: &str =
    "`inspect` reads a learngene, a checkpoint, or the .json that `expand` leaves beside one";

pub fn run(args: Args) -> anyhow::Result<()> {
    if args.attention.is_asked_for() {
        return args.attention.draw(&args.file, args.json);
    }
    let path = args.file.checkpoint.path()?;
    if let Some(svg) = &args.svg {
        Kind::Drawing.prepare(svg, &[path])?;
    }
    let draw = |flow: flow::Flow| match &args.svg {
        Some(svg) => write_whole(svg, svg::draw(&flow).as_bytes()),
        None => Ok(()),
    };
    if path.extension().is_some_and(|extension| extension == "json") {
        ensure!(args.against.is_none(), "--against takes a learngene, got {}", path.display());
        if let Some(what) = other::json(&read(path)?) {
            bail!("{} holds {what}; {READS}", path.display());
        }
        let description = Description::read(path)?;
        draw(description.flow())?;
        return super::print(args.json, &description, Description::describe);
    }
    if args.against.is_none() && args.svg.is_none() && is_checkpoint(path) {
        let inspected = Inspected::from(args.file.read(None, None)?);
        return super::print(args.json, &inspected, checkpoint::describe);
    }
    let learngene = Learngene::read(path)?;
    if let Some(ancestor) = args.against {
        // Positions were interpolated to the learngene's image size, if to any.
        let image_size = learngene.manifest().ancestor.shape.image().size;
        let ancestor = CheckpointArgs { checkpoint: ancestor, ..args.file };
        return against::run(&learngene, &ancestor.read(Some(image_size), None)?, args.json);
    }
    draw(flow::of_learngene(learngene.manifest()))?;
    super::print(args.json, learngene.manifest(), learngene::describe)
}

fn is_checkpoint(path: &Path) -> bool {
    learngene_checkpoints::is_checkpoint(path) && !Learngene::is_one(path)
}
