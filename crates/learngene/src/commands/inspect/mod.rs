//! `learngene inspect`

mod flow;
mod learngene;
mod other;
mod svg;

use std::path::PathBuf;

use anyhow::bail;
use learngene_format::Learngene;

use crate::{
    description::Description,
    files::{read, write_whole},
    kind::Kind,
};

/// Shows what a learngene holds and how it was made, or where the layers and heads of a descendant come
/// from.
///
/// Of a learngene it reads the manifest alone; `learngene verify` checks the tensors. Of a descendant
/// it reads the description that `expand` leaves beside the checkpoint.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  learngene inspect deit_base.learngene --svg clusters.svg\n  \
    learngene inspect descendant.json --svg origins.svg")]
pub struct Args {
    /// The learngene, or the description of a descendant.
    #[arg(value_name = "X.learngene|DESCENDANT.json")]
    file: PathBuf,
    /// Draws which heads and FFNs come from which: the ancestor's at the left, those of the learngene or
    /// descendant at the right.
    #[arg(long, value_name = "FILE", value_parser = Kind::Drawing.name())]
    svg: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What the messages about other files end with.
const READS: &str =
    "`inspect` reads a learngene, or the .json that `expand` leaves beside a checkpoint";

pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(svg) = &args.svg {
        Kind::Drawing.prepare(svg, &[&args.file])?;
    }
    let draw = |flow: flow::Flow| match &args.svg {
        Some(svg) => write_whole(svg, svg::draw(&flow).as_bytes()),
        None => Ok(()),
    };
    if args.file.extension().is_some_and(|extension| extension == "json") {
        if let Some(what) = other::json(&read(&args.file)?) {
            bail!("{} holds {what}; {READS}", args.file.display());
        }
        let description = Description::read(&args.file)?;
        draw(description.flow())?;
        return super::print(args.json, &description, Description::describe);
    }
    let manifest = Learngene::read_manifest(&args.file).map_err(|error| {
        let error = anyhow::Error::from(error);
        match other::file(&args.file) {
            Some(what) => error.context(format!("{what}; {READS}")),
            None => error,
        }
    })?;
    draw(flow::of_learngene(&manifest))?;
    super::print(args.json, &manifest, learngene::describe)
}
