//! `cargo xtask projections`: projection policies on an ancestor of one's own.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{
    ablate::Run,
    ablations::{Setting, projections},
    desk::Desk,
    subject::{Subject, words},
    tune::Tried,
};
use crate::{learngene::Learngene, workspace::Workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// The ancestor; descendants have its first six layers.
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// Radius of clusters in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 10.0)]
    eps: f64,
    /// More flags of the probe, as for `condense`.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, default_value = "")]
    probe: String,
    /// More flags of every descendant, as for `expand`.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, default_value = "")]
    expand: String,
    /// Policies that are trained too: rescaled, centroid, origin, refit-ancestor, refit-own.
    #[arg(long, value_name = "POLICY[,POLICY..]", value_delimiter = ',')]
    train: Vec<String>,
    /// Trainings of each, after one for each of five learning rates.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seeds: u64,
    /// Images that features are compared on, and that descendants are trained on.
    #[arg(long, value_name = "NAME|FOLDER", default_value = "cifar10-sample")]
    data: String,
    /// Goes on with what an interrupted run of the same flags left, instead of starting anew.
    #[arg(long)]
    resume: bool,
}

/// What a policy came to.
#[derive(Serialize)]
struct Found {
    policy: &'static str,
    /// Percent, by the class token.
    knn_top1: f64,
    linear_top1: f64,
    /// Percent, by the mean patch.
    knn_top1_of_patches: f64,
    linear_top1_of_patches: f64,
    /// Errors of what the layers' attention gives, before and after fitting.
    refit: Value,
    learning_rate: Option<f64>,
    tried_rates: Option<Tried>,
    runs: Vec<Run>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let learngene = Learngene::build(workspace)?;
    let subject = Subject {
        checkpoint: options.checkpoint.display().to_string(),
        eps: options.eps,
        probe: words(&format!("--images cifar10-sample --limit 128 {}", options.probe)),
        expand: words(&options.expand),
    };
    let (data, resume) = (&options.data, options.resume);
    let desk = Desk::open(workspace, &learngene, "projections", subject, data, resume)?;
    desk.probe()?;
    let mut found = vec![desk.intact()?];
    for setting in projections().settings {
        eprintln!("{}", setting.name);
        found.push(desk.policy(setting, options)?);
    }
    let path = workspace.root.join(&desk.folder).join("projections.json");
    fs::write(&path, serde_json::to_string_pretty(&found)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("{}", path.display());
    Ok(())
}

impl Desk<'_> {
    /// The ancestor's own first layers.
    fn intact(&self) -> Result<Found> {
        eprintln!("intact layers");
        let gene = self.trial(projections(), &projections().settings[0])?.gene;
        let checkpoint = self.folder.join("intact.safetensors");
        let expand = self.subject.expanding(gene.display()).args(projections().shape);
        let expand = expand.flag("method", "pretraining-finetuning");
        let expand = expand.flag("checkpoint", &self.subject.checkpoint);
        self.run(&expand.path("out", &checkpoint))?;
        self.features("intact", &checkpoint)
    }

    fn policy(&self, setting: &'static Setting, options: &Options) -> Result<Found> {
        let trial = self.trial(projections(), setting)?;
        let (expand, checkpoint) = trial.expanding(0);
        self.run(&expand)?;
        let mut found = self.features(setting.name, &checkpoint)?;
        found.refit = trial.manifest()?["refit"].take();
        if options.train.iter().any(|policy| policy == setting.name) {
            let tried = trial.try_rates()?;
            let runs = (0..options.seeds).map(|seed| trial.run(tried.chosen, seed));
            found.runs = runs.collect::<Result<_>>()?;
            found.learning_rate = Some(tried.chosen);
            found.tried_rates = Some(tried);
        }
        Ok(found)
    }

    fn features(&self, policy: &'static str, checkpoint: &std::path::Path) -> Result<Found> {
        let (knn_top1, linear_top1) = self.frozen_top1(checkpoint, "token")?;
        let (knn_top1_of_patches, linear_top1_of_patches) = self.frozen_top1(checkpoint, "avg")?;
        Ok(Found {
            policy,
            knn_top1,
            linear_top1,
            knn_top1_of_patches,
            linear_top1_of_patches,
            refit: Value::Null,
            learning_rate: None,
            tried_rates: None,
            runs: Vec::new(),
        })
    }
}
