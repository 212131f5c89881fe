//! `cargo xtask reproduce`: the paper's comparison at the scale of a desk.
//!
//! Builds the program, condenses the desk ancestor, makes descendants of several shapes in three
//! ways, trains and measures them, and draws the report. Each step is a `learngene` command that a
//! user could type, and stands in the report.

mod ablate;
mod ablations;
mod desk;
mod plan;
pub(crate) mod projections;
mod report;
mod subject;
pub(crate) mod tune;

use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::{learngene::Learngene, workspace::Workspace};
use ablations::TABLES;
use desk::{Desk, Found};
use plan::Method;
use subject::Subject;
use tune::LearningRates;

#[derive(Args)]
pub(crate) struct Options {
    /// Runs each comparison with so many seeds.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// Compares the choices of the method too, one changed at a time.
    #[arg(long)]
    ablations: bool,
    /// Images to fine-tune on: `cifar10-sample` lies in the repository, `cifar10` is the whole set.
    #[arg(long, value_name = "NAME|FOLDER", default_value = "cifar10-sample")]
    data: String,
    /// Goes on with what an interrupted reproduction left, instead of starting anew.
    #[arg(long)]
    resume: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let started = Instant::now();
    let learngene = Learngene::build(workspace)?;
    let desk =
        Desk::open(workspace, &learngene, "desk", Subject::desk(), &options.data, options.resume)?;
    let rates = LearningRates::read(&workspace.root)?;
    let descendants = plan::trained(options.seeds);
    let frozen = plan::frozen();
    let settings = if options.ablations { ablations::settings() } else { 0 };
    let mut progress = Progress::new(2 + descendants.len() + frozen.len() + settings);

    progress.next("condense the desk ancestor");
    let manifest = desk.condense()?;
    progress.next("evaluate the desk ancestor");
    let ancestor_top1 = desk.evaluate_ancestor()?;
    let mut ablations = Vec::new();
    if options.ablations {
        let rate = rates.rate(Method::ClusterLearngene)?;
        for table in &TABLES {
            let next = |step: &str| progress.next(step);
            ablations.extend(desk.ablate(table, options.seeds, rate, next)?);
        }
    }
    let mut measured = Vec::new();
    for descendant in &frozen {
        progress.next(&format!("features of {}", descendant.slug()));
        measured.push(desk.measure_features(descendant)?);
    }
    let mut trained = Vec::new();
    for descendant in &descendants {
        progress.next(&format!("train {}", descendant.slug()));
        trained.push(desk.train(descendant, rates.rate(descendant.method)?)?);
    }

    let found = Found { trained, frozen: measured, ablations };
    let report = desk.report(options.seeds, &rates, &manifest, ancestor_top1, found)?;
    desk.write(&report)?;
    desk.draw()?;
    let page = desk.folder.join("report.html");
    eprintln!("{} s: open {}", started.elapsed().as_secs(), page.display());
    Ok(())
}

/// Says which of how many steps begins.
struct Progress {
    done: usize,
    total: usize,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self { done: 0, total }
    }

    fn next(&mut self, step: &str) {
        self.done += 1;
        eprintln!("[{:2}/{}] {step}", self.done, self.total);
    }
}
