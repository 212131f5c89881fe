//! Measuring ablations: each setting condensed, expanded and trained.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::{
    ablations::{Setting, Table},
    desk::Desk,
    tune::Tried,
};
use crate::learngene::Line;

/// What a setting came to.
#[derive(Serialize)]
pub(crate) struct Ablation {
    table: &'static str,
    item: &'static str,
    setting: &'static str,
    is_default: bool,
    epochs: usize,
    /// Peak learning rate for a batch of 512.
    learning_rate: f64,
    /// Top-1 in percent by learning rate, where this setting's was chosen among several: of training
    /// images that were held out.
    tried_rates: Option<BTreeMap<String, f64>>,
    stored_params: Value,
    inherited_params: Value,
    /// Percent, of features right after the initialisation.
    knn_top1: f64,
    linear_top1: f64,
    runs: Vec<Run>,
}

/// One training.
#[derive(Serialize)]
pub(crate) struct Run {
    seed: u64,
    /// Percent, at the last evaluation.
    pub(crate) top1: f64,
    command: String,
}

impl Desk<'_> {
    /// Measures every setting of a table at a learning rate, `next` before each.
    pub(crate) fn ablate(
        &self,
        table: &'static Table,
        seeds: u64,
        rate: f64,
        mut next: impl FnMut(&str),
    ) -> Result<Vec<Ablation>> {
        let settings = table.settings.iter();
        let ablations = settings.map(|setting| {
            next(&format!("{}: {}", table.name, setting.name));
            self.measure_setting(table, setting, seeds, rate)
        });
        ablations.collect()
    }

    fn measure_setting(
        &self,
        table: &'static Table,
        setting: &'static Setting,
        seeds: u64,
        rate: f64,
    ) -> Result<Ablation> {
        let trial = self.trial(table, setting)?;
        let stored_params = trial.manifest()?["parameters"]["stored"].take();
        let (expand, checkpoint) = trial.expanding(0);
        let inherited_params = self.json(&expand.arg("--json"))?["inherited_parameters"].take();
        let (knn_top1, linear_top1) = self.frozen_top1(&checkpoint, "token")?;
        let tried = if table.tuned { Some(trial.try_rates()?) } else { None };
        let learning_rate = tried.as_ref().map_or(rate, |tried| tried.chosen);
        let seeds = 0..seeds.max(table.least_seeds);
        let runs = seeds.map(|seed| trial.run(learning_rate, seed)).collect::<Result<_>>()?;
        Ok(Ablation {
            table: table.name,
            item: table.item,
            setting: setting.name,
            is_default: setting.is_default,
            epochs: table.epochs,
            learning_rate,
            tried_rates: tried.map(|tried| tried.top1),
            stored_params,
            inherited_params,
            knn_top1,
            linear_top1,
            runs,
        })
    }

    /// A setting with its learngene.
    pub(crate) fn trial(
        &self,
        table: &'static Table,
        setting: &'static Setting,
    ) -> Result<Trial<'_>> {
        Ok(Trial { desk: self, table, setting, gene: self.condense_with(setting.condense)? })
    }

    /// The learngene of these flags, condensed where an earlier setting did not.
    fn condense_with(&self, flags: &[&str]) -> Result<PathBuf> {
        let gene = self.folder.join(slug(&["gene", &flags.join(" ")])).with_extension("learngene");
        if !self.exists(&gene) {
            self.run(&self.condensing(flags.contains(&"--refit")).args(flags).path("out", &gene))?;
        }
        Ok(gene)
    }
}

/// A setting with its learngene.
pub(crate) struct Trial<'a> {
    desk: &'a Desk<'a>,
    table: &'static Table,
    setting: &'static Setting,
    pub(crate) gene: PathBuf,
}

impl Trial<'_> {
    /// What files are called: named for what is done, so that what several tables compare is done
    /// once.
    fn slug(&self, rest: &str) -> String {
        let Setting { condense, expand, train, .. } = self.setting;
        let flags = [*condense, self.table.shape, expand, train].concat();
        slug(&["ablation", &flags.join(" "), rest])
    }

    /// What the learngene says of itself.
    pub(crate) fn manifest(&self) -> Result<Value> {
        self.desk.json(&Line::new("inspect").arg(self.gene.display()).arg("--json"))
    }

    /// The command that initialises the descendant, and where it goes.
    pub(crate) fn expanding(&self, seed: u64) -> (Line, PathBuf) {
        let checkpoint = self.slug(&format!("seed {seed}"));
        let checkpoint = self.desk.folder.join(checkpoint).with_extension("safetensors");
        let expand = self.desk.subject.expanding(self.gene.display()).args(self.table.shape);
        let expand = expand.args(self.setting.expand).flag("seed", seed).path("out", &checkpoint);
        (expand, checkpoint)
    }

    /// The command that trains the descendant, on what images its folder is to tell.
    fn training(&self, checkpoint: &Path, images: &str, rate: f64, seed: u64) -> Line {
        let epochs = self.table.epochs;
        let folder = self.slug(&format!("epochs {epochs} {images} rate {rate} seed {seed}"));
        let train = self.desk.training(checkpoint, folder, rate, seed);
        train.flag("epochs", epochs).args(self.setting.train)
    }

    pub(crate) fn run(&self, rate: f64, seed: u64) -> Result<Run> {
        let (expand, checkpoint) = self.expanding(seed);
        self.desk.run(&expand)?;
        let train = self.training(&checkpoint, "", rate, seed);
        let top1 = self.desk.last_top1(&train)?;
        eprintln!("        seed {seed}: top-1 {top1:.2} %");
        Ok(Run { seed, top1, command: format!("{expand} && {train}") })
    }

    /// The learning rates, on training images held out for that.
    pub(crate) fn try_rates(&self) -> Result<Tried> {
        let (_, checkpoint) = self.expanding(0);
        Tried::among_candidates(|rate| {
            let top1 = self.desk.held_out_top1(self.training(&checkpoint, "held-out", rate, 0))?;
            eprintln!("        rate {rate}: {top1:.2} % of held-out training images");
            Ok(top1)
        })
    }
}

/// A name for files: what is no letter or digit becomes one hyphen.
fn slug(parts: &[&str]) -> String {
    let text = parts.join(" ").to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(slug(&["L6 w=1/2", "refit, own"]), "l6-w-1-2-refit-own");
    }
}
