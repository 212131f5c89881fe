//! `cargo xtask reproduce`: the paper's tables and figures, as a ledger and a page.
//!
//! `experiments/` says what is run, one file for each table or figure. Each run is a chain of
//! `learngene` commands that a user could type; what they print is kept by a key over commands,
//! inputs and sources, so that nothing is run twice.

mod ancestors;
mod convergence;
mod describe;
mod experiment;
mod inputs;
mod kept;
mod ledger;
mod measure;
mod pipeline;
mod progress;
mod rates;
mod recipe;
mod report;
mod reproduction;
pub(crate) mod schema;
mod setting;
mod step;
pub(crate) mod tune;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use learngene_report::data::Scale;

use crate::{
    learngene::{Learngene, Line},
    workspace::Workspace,
};
use experiment::Experiment;
use inputs::Inputs;
use ledger::Ledger;
use pipeline::Pipeline;
use rates::LearningRates;
use reproduction::Reproduction;

#[derive(Args)]
pub(crate) struct Options {
    /// Runs every cell of the scale; without, a selection of about 10 minutes.
    #[arg(long)]
    full: bool,
    /// Small models on small images, or the paper's: cells of the latter whose data or checkpoints
    /// are not here are not run.
    #[arg(long, value_name = "SCALE", default_value = "desk")]
    scale: ScaleName,
    /// Runs these experiments alone, by the names of their files or the beginning of them.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',')]
    only: Vec<String>,
    /// Runs each comparison with so many seeds.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Forgets what was run before.
    #[arg(long, conflicts_with = "plan")]
    anew: bool,
    /// Says what would be run and how long it may take, and ends.
    #[arg(long)]
    plan: bool,
    /// Keeps report and records in experiments/results, too.
    #[arg(long, conflicts_with = "plan")]
    keep: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScaleName {
    Desk,
    Paper,
}

impl ScaleName {
    fn scale(self) -> Scale {
        match self {
            Self::Desk => Scale::Desk,
            Self::Paper => Scale::Paper,
        }
    }

    /// Its name on the command line and of its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Desk => "desk",
            Self::Paper => "paper",
        }
    }
}

impl Options {
    /// The command that makes the numbers again.
    fn command(&self) -> String {
        let mut command = "cargo xtask reproduce".to_owned();
        let scale = format!(" --scale {}", self.scale.name());
        let only = format!(" --only {}", self.only.join(","));
        let seeds = format!(" --seeds {}", self.seeds);
        let is_desk = matches!(self.scale, ScaleName::Desk);
        for (flag, is_there) in [
            (" --full", self.full),
            (&scale, !is_desk),
            (&only, !self.only.is_empty()),
            (&seeds, self.seeds != 1),
        ] {
            command += if is_there { flag } else { "" };
        }
        command
    }

    /// Whether an experiment is asked for.
    fn wants(&self, experiment: &Experiment) -> bool {
        let begins = |name: &String| experiment.id.starts_with(name.as_str());
        self.only.is_empty() || self.only.iter().any(begins)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let experiments = experiment::read_all(&workspace.root)?;
    for name in &options.only {
        let is_known = experiments.iter().any(|experiment| experiment.id.starts_with(name));
        let ids: Vec<&str> = experiments.iter().map(|experiment| experiment.id.as_str()).collect();
        ensure!(is_known, "no experiment begins with `{name}`, there are: {}", ids.join(", "));
    }
    let learngene = Learngene::build(workspace)?;
    let open = open(workspace, &learngene, options.scale.name(), options.anew)?;
    let rates = LearningRates::read(&workspace.root)?;
    let pipeline = Pipeline {
        inputs: &open.inputs,
        ancestors: &open.ancestors,
        rates: &rates,
        scale: options.scale.scale(),
    };
    let reproduction =
        Reproduction { workspace, learngene: &learngene, ledger: &open.ledger, pipeline, options };
    if options.plan {
        return reproduction.plan(&experiments);
    }
    reproduction.run(&experiments)?;
    match options.keep {
        true => kept::keep(&workspace.root, options.scale.name(), &open.ledger),
        false => Ok(()),
    }
}

/// What experiments and searches run on.
pub(crate) struct Open<'a> {
    inputs: Inputs,
    ancestors: Vec<ancestors::Ancestor>,
    ledger: Ledger<'a>,
}

/// Opens the ledger of a scale.
fn open<'a>(
    workspace: &Workspace,
    learngene: &'a Learngene,
    scale: &str,
    anew: bool,
) -> Result<Open<'a>> {
    let root = &workspace.root;
    let target = workspace.target.join("reproduce").join(scale);
    let folder = target.strip_prefix(root).unwrap_or(&target).to_owned();
    let datasets = learngene.json(&Line::new("list").arg("datasets").arg("--json"))?;
    let code = inputs::code(root, &workspace.files()?)?;
    let ledger = Ledger::open(root, folder, code, anew, |line| learngene.told_json(line))?;
    let (inputs, ancestors) = (Inputs::new(root, datasets), ancestors::read(root)?);
    Ok(Open { inputs, ancestors, ledger })
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    learngene_tensors::write_whole(path, [text])
        .with_context(|| format!("cannot write {}", path.display()))
}
