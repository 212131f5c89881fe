//! `learngene inspect`

mod flow;
mod learngene;
mod svg;

use std::path::PathBuf;

use anyhow::Context;
use learngene_format::Learngene;

use crate::{
    description::Description,
    files::{prepare, write_whole},
};

/// Shows what a learngene holds and how it was made, or which layers and heads feed which in a
/// descendant.
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
    /// Draws which heads and feed-forward networks feed which: the ancestor's at the left, those kept
    /// or those of the descendant at the right.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(svg) = &args.svg {
        prepare(svg, &[&args.file])?;
    }
    let draw = |flow: flow::Flow| match &args.svg {
        Some(svg) => write_whole(svg, svg::draw(&flow).as_bytes()),
        None => Ok(()),
    };
    if args.file.extension().is_some_and(|extension| extension == "json") {
        let description = Description::read(&args.file)?;
        let flow = description
            .flow()
            .with_context(|| format!("{} contradicts itself", args.file.display()))?;
        draw(flow)?;
        return super::print(args.json, &description, Description::describe);
    }
    let description = args.file.with_extension("json");
    let manifest = Learngene::read_manifest(&args.file).map_err(|error| {
        let error = anyhow::Error::from(error);
        match description.exists() {
            true => error.context(format!("not a learngene; see {}", description.display())),
            false => error,
        }
    })?;
    draw(flow::of_learngene(&manifest))?;
    super::print(args.json, &manifest, learngene::describe)
}
