//! Ablations: one choice of the method changed at a time, everything else as it is by default.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::desk::Desk;
use crate::learngene::Line;

/// One choice that can be made in several ways.
pub(crate) struct Table {
    /// What is chosen, with the paper's table where there is one.
    name: &'static str,
    /// Shape of the descendants, as flags of `expand`.
    shape: &'static [&'static str],
    item: &'static str,
    epochs: usize,
    settings: &'static [Setting],
}

/// One way to choose.
struct Setting {
    name: &'static str,
    is_default: bool,
    condense: &'static [&'static str],
    expand: &'static [&'static str],
    train: &'static [&'static str],
}

impl Setting {
    /// What happens where nothing is asked for.
    const fn default(name: &'static str) -> Self {
        Self { name, is_default: true, condense: &[], expand: &[], train: &[] }
    }

    const fn condense(name: &'static str, flags: &'static [&'static str]) -> Self {
        Self { condense: flags, is_default: false, ..Self::default(name) }
    }

    const fn expand(name: &'static str, flags: &'static [&'static str]) -> Self {
        Self { expand: flags, is_default: false, ..Self::default(name) }
    }

    const fn train(
        name: &'static str,
        condense: &'static [&'static str],
        flags: &'static [&'static str],
    ) -> Self {
        Self { condense, train: flags, is_default: false, ..Self::default(name) }
    }
}

const HALF: &[&str] = &["--depth", "6", "--head-ratio", "2"];
const FULL: &[&str] = &["--depth", "12", "--head-ratio", "1"];
const WIDE: &[&str] = &["--depth", "6", "--head-ratio", "1/2"];
const JOINED: &[&str] = &["--ffn-eps", "auto"];

/// What is compared. Every setting of a table has the same budget.
pub(crate) const TABLES: [Table; 7] = [
    Table {
        name: "representatives of heads and networks (Table 7)",
        shape: HALF,
        item: "L6 w=2",
        epochs: 2,
        settings: &[
            Setting::default("heads nearest"),
            Setting::condense("heads mean", &["--representative", "mean"]),
            Setting::condense("heads nearest, networks nearest", JOINED),
            Setting::condense(
                "heads nearest, networks mean",
                &["--ffn-eps", "auto", "--ffn-representative", "mean"],
            ),
            Setting::condense(
                "heads nearest, networks nearest, own norms",
                &["--ffn-eps", "auto", "--ffn-norm", "own"],
            ),
        ],
    },
    Table {
        name: "order of centroids (Table 5)",
        shape: HALF,
        item: "L6 w=2",
        epochs: 2,
        settings: &[
            Setting::default("priority"),
            Setting::expand("origin", &["--order", "origin"]),
            Setting::expand("increasing", &["--order", "increasing"]),
            Setting::expand("decreasing", &["--order", "decreasing"]),
        ],
    },
    Table {
        name: "head schedules (Table 9)",
        shape: &["--depth", "12"],
        item: "L12",
        epochs: 2,
        settings: &[
            Setting::default("all heads"),
            Setting::expand("decrementing", &["--heads", "decrementing"]),
            Setting::expand("incrementing", &["--heads", "incrementing"]),
        ],
    },
    Table {
        name: "transformations of shared networks, one epoch of warm-up in four",
        shape: FULL,
        item: "L12 w=1, networks joined",
        epochs: 4,
        settings: &[
            Setting { is_default: true, ..Setting::train("none", JOINED, &[]) },
            Setting::train(
                "scale-shift",
                JOINED,
                &["--transform-ffn", "scale-shift", "--transform-epochs", "1"],
            ),
            Setting::train(
                "low-rank",
                JOINED,
                &["--transform-ffn", "low-rank", "--transform-epochs", "1"],
            ),
            Setting::train(
                "cross-layer",
                JOINED,
                &["--transform-ffn", "cross-layer", "--transform-epochs", "1"],
            ),
        ],
    },
    Table {
        name: "transformations of copied heads, one epoch of warm-up in four",
        shape: WIDE,
        item: "L6 w=1/2",
        epochs: 4,
        settings: &[
            Setting::default("none"),
            Setting::train(
                "low-rank",
                &[],
                &["--transform-heads", "low-rank", "--transform-epochs", "1"],
            ),
        ],
    },
    Table {
        name: "projection policies",
        shape: &["--depth", "6"],
        item: "L6 w=1",
        epochs: 2,
        settings: &[
            Setting::default("rescaled"),
            Setting::expand("centroid", &["--projection", "centroid"]),
            Setting {
                condense: &["--keep-projection"],
                ..Setting::expand("origin", &["--projection", "origin"])
            },
            Setting::condense("refit, ancestor's inputs", &["--refit", "ancestor"]),
            Setting::condense("refit, own inputs", &["--refit", "own"]),
        ],
    },
    Table {
        name: "feed-forward networks joined",
        shape: FULL,
        item: "L12 w=1",
        epochs: 2,
        settings: &[
            Setting::default("each layer its own"),
            Setting::condense("joined", JOINED),
            Setting::condense("joined, refit", &["--ffn-eps", "auto", "--refit", "ancestor"]),
        ],
    },
];

/// What a setting came to.
#[derive(Serialize)]
pub(crate) struct Ablation {
    table: &'static str,
    item: &'static str,
    setting: &'static str,
    is_default: bool,
    epochs: usize,
    stored_params: Value,
    inherited_params: Value,
    /// Percent, of features right after the initialisation.
    knn_top1: f64,
    linear_top1: f64,
    runs: Vec<Run>,
}

/// One training.
#[derive(Serialize)]
struct Run {
    seed: u64,
    /// Percent, at the last evaluation.
    top1: f64,
    command: String,
}

/// Number of settings of all tables.
pub(crate) fn settings() -> usize {
    TABLES.iter().map(|table| table.settings.len()).sum()
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
        let gene = self.condense_with(setting.condense)?;
        let stored_params = self.json(&Line::new("inspect").arg(gene.display()).arg("--json"))?
            ["parameters"]["stored"]
            .take();
        let mut runs = Vec::new();
        let mut first = None;
        for seed in 0..seeds {
            // Named for what is done, so that what several tables compare is trained once.
            let flags = [setting.condense, table.shape, setting.expand, setting.train].concat();
            let slug = slug(&[
                "ablation",
                &flags.join(" "),
                &format!("epochs {} seed {seed}", table.epochs),
            ]);
            let checkpoint = self.folder.join(&slug).with_extension("safetensors");
            let expand = Line::new("expand").arg(gene.display()).args(table.shape);
            let expand = expand.args(setting.expand).flag("seed", seed).path("out", &checkpoint);
            let expansion = self.json(&expand.clone().arg("--json"))?;
            if first.is_none() {
                let (knn, linear) = self.frozen_top1(&checkpoint)?;
                first = Some((expansion["inherited_parameters"].clone(), knn, linear));
            }
            let train = self.training(&checkpoint, slug, rate, seed);
            let train = train.flag("epochs", table.epochs).args(setting.train);
            let summary = self.json(&train.clone().arg("--json"))?;
            let last = summary["metrics"].as_array().and_then(|metrics| metrics.last());
            let top1 = last.and_then(|line| line["top1"].as_f64());
            let top1 = top1.with_context(|| format!("`{train}` printed no evaluation"))?;
            eprintln!("        seed {seed}: top-1 {top1:.2} %");
            runs.push(Run { seed, top1, command: format!("{expand} && {train}") });
        }
        let (inherited_params, knn_top1, linear_top1) = first.context("at least one seed")?;
        Ok(Ablation {
            table: table.name,
            item: table.item,
            setting: setting.name,
            is_default: setting.is_default,
            epochs: table.epochs,
            stored_params,
            inherited_params,
            knn_top1,
            linear_top1,
            runs,
        })
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
    fn every_table_has_one_default() {
        for table in &TABLES {
            let defaults = table.settings.iter().filter(|setting| setting.is_default).count();
            assert_eq!(defaults, 1, "{}", table.name);
        }
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(slug(&["L6 w=1/2", "refit, own inputs"]), "l6-w-1-2-refit-own-inputs");
    }
}
