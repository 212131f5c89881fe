//! The desk scale: an ancestor that this repository ships, and what is done with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    ablate::Ablation,
    plan::{Descendant, Method},
    report::{self, Ancestor, Data, Frozen, Layer, Recipe, Report, Row},
    subject::Subject,
    tune::LearningRates,
};
use crate::{
    learngene::{Learngene, Line},
    program::Program,
    workspace::Workspace,
};

const RECIPE: &str = "xtask/desk/recipe.toml";
/// Share of the training images on which learning rates are chosen.
const HELD_OUT: f64 = 0.2;

/// Everything that the steps of a reproduction share.
pub(crate) struct Desk<'a> {
    learngene: &'a Learngene,
    pub(crate) subject: Subject,
    /// Where artefacts go, relative to the root, so that commands can be typed as they are shown.
    pub(crate) folder: PathBuf,
    data: String,
    root: PathBuf,
    /// What the program was built from; later commits do not count.
    commit: Option<String>,
}

/// A trained descendant: its row of the report, and what `learngene train --json` printed.
pub(crate) struct Trained {
    row: Row,
    summary: Value,
}

/// All that was measured.
pub(crate) struct Found {
    pub(crate) trained: Vec<Trained>,
    pub(crate) frozen: Vec<Frozen>,
    pub(crate) ablations: Vec<Ablation>,
}

impl<'a> Desk<'a> {
    pub(crate) fn open(
        workspace: &Workspace,
        learngene: &'a Learngene,
        name: &str,
        subject: Subject,
        data: &str,
        resume: bool,
    ) -> Result<Self> {
        let target = workspace.target.join("reproduce").join(name);
        let folder = target.strip_prefix(&workspace.root).unwrap_or(&target).to_owned();
        if !resume && target.exists() {
            fs::remove_dir_all(&target)
                .with_context(|| format!("cannot clear {}", target.display()))?;
        }
        fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
        let root = workspace.root.clone();
        let (data, commit) = (data.to_owned(), commit(&root));
        Ok(Self { learngene, subject, folder, data, commit, root })
    }

    fn gene(&self, projection: Option<&str>) -> PathBuf {
        match projection {
            Some("origin") => self.folder.join("desk_with_projection.learngene"),
            _ => self.folder.join("desk.learngene"),
        }
    }

    /// Where the ancestor's distances lie.
    fn distances(&self) -> PathBuf {
        self.folder.join("distances.json")
    }

    /// The command that condenses the ancestor, its `--out` aside: from the distances, or from the
    /// images again, which fitting needs.
    pub(crate) fn condensing(&self, needs_images: bool) -> Line {
        let condense = self.subject.condensing();
        if needs_images {
            self.subject.on_images(condense)
        } else {
            condense.path("distances", &self.distances())
        }
    }

    /// Runs a command.
    pub(crate) fn run(&self, line: &Line) -> Result<()> {
        self.learngene.run(line).map(drop)
    }

    /// Runs a command that prints JSON.
    pub(crate) fn json(&self, line: &Line) -> Result<Value> {
        self.learngene.json(line)
    }

    /// Whether an artefact is there.
    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.root.join(path).exists()
    }

    /// Measures the ancestor's distances.
    pub(crate) fn probe(&self) -> Result<()> {
        self.run(&self.subject.probing().path("out", &self.distances()))
    }

    /// Probes and condenses the ancestor; returns the learngene's manifest.
    pub(crate) fn condense(&self) -> Result<Value> {
        self.probe()?;
        for projection in [None, Some("origin")] {
            let condense = self.condensing(false).path("out", &self.gene(projection));
            let condense = match projection {
                Some(_) => condense.arg("--keep-projection"),
                None => condense,
            };
            self.learngene.run(&condense)?;
        }
        let inspect = Line::new("inspect").arg(self.gene(None).display()).arg("--json");
        self.learngene.json(&inspect)
    }

    /// The ancestor's own top-1 on the test images, in percent.
    pub(crate) fn evaluate_ancestor(&self) -> Result<Value> {
        let eval =
            Line::new("eval").flag("checkpoint", &self.subject.checkpoint).flag("data", &self.data);
        Ok(self.learngene.json(&eval.arg("--json"))?["top1"].take())
    }

    /// Initialises a descendant; returns its checkpoint, what it is made of, and the command.
    pub(crate) fn expand(&self, descendant: &Descendant) -> Result<(PathBuf, Value, String)> {
        let Descendant { shape, method, projection, seed } = *descendant;
        let checkpoint = self.folder.join(descendant.slug()).with_extension("safetensors");
        let gene = self.gene(projection);
        let mut expand = self
            .subject
            .expanding(gene.display())
            .flag("method", method.name())
            .flag("depth", shape.depth)
            .flag("head-ratio", shape.head_ratio)
            .flag("seed", seed);
        if let Some(policy) = projection {
            expand = expand.flag("projection", policy);
        }
        if method == Method::PretrainingFinetuning {
            expand = expand.flag("checkpoint", &self.subject.checkpoint);
        }
        let expand = expand.path("out", &checkpoint);
        let expansion = self.learngene.json(&expand.clone().arg("--json"))?;
        Ok((checkpoint, expansion, expand.to_string()))
    }

    /// Trains a descendant at a learning rate.
    pub(crate) fn train(&self, descendant: &Descendant, rate: f64) -> Result<Trained> {
        let Descendant { shape, method, projection, seed } = *descendant;
        let (checkpoint, expansion, expand) = self.expand(descendant)?;
        let train = self.training(&checkpoint, descendant.slug(), rate, seed);
        let summary = self.learngene.json(&train.clone().arg("--json"))?;
        let numbers = |field: &str| -> Vec<f64> {
            let metrics = summary["metrics"].as_array().into_iter().flatten();
            metrics.filter_map(|line| line[field].as_f64()).collect()
        };
        let (top1, epochs) = (numbers("top1"), numbers("epoch"));
        eprintln!("        top-1 {:.2} %", top1.last().copied().unwrap_or(f64::NAN));
        let row = Row {
            item: shape.item(),
            method: method.name(),
            projection,
            family: "vit",
            depth: shape.depth,
            heads: expansion["config"]["num_heads"].clone(),
            head_ratio: shape.head_ratio,
            seed,
            top1,
            epochs,
            params: expansion["parameters"].clone(),
            inherited_params: expansion["inherited_parameters"].clone(),
            macs: expansion["macs"].clone(),
            command: format!("{expand} && {train}"),
        };
        Ok(Trained { row, summary })
    }

    /// The command that trains a checkpoint.
    pub(crate) fn training(&self, checkpoint: &Path, slug: String, rate: f64, seed: u64) -> Line {
        Line::new("train")
            .path("checkpoint", checkpoint)
            .flag("data", &self.data)
            .flag("recipe", RECIPE)
            .flag("learning-rate", rate)
            .flag("seed", seed)
            .path("out", &self.folder.join(slug))
    }

    /// Top-1, in percent, on a part of the training images that a training leaves out for that.
    pub(crate) fn held_out_top1(&self, train: Line) -> Result<f64> {
        self.last_top1(&train.flag("hold-out", HELD_OUT))
    }

    /// Trains; top-1, in percent, at the last evaluation.
    pub(crate) fn last_top1(&self, train: &Line) -> Result<f64> {
        let summary = self.json(&train.clone().arg("--json"))?;
        let last = summary["metrics"].as_array().and_then(|metrics| metrics.last());
        last.and_then(|line| line["top1"].as_f64())
            .with_context(|| format!("`{train}` printed no evaluation"))
    }

    /// Measures a descendant's features as they were inherited.
    pub(crate) fn measure_features(&self, descendant: &Descendant) -> Result<Frozen> {
        let Descendant { shape, method, projection, .. } = *descendant;
        let (checkpoint, _, expand) = self.expand(descendant)?;
        let (knn_top1, linear_top1) = self.frozen_top1(&checkpoint, "token")?;
        let eval = self.evaluating_features(&checkpoint);
        Ok(Frozen {
            item: shape.item(),
            method: method.name(),
            projection,
            depth: shape.depth,
            head_ratio: shape.head_ratio,
            knn_top1,
            linear_top1,
            command: format!("{expand} && {eval}"),
        })
    }

    /// The command that measures a checkpoint's features.
    fn evaluating_features(&self, checkpoint: &Path) -> Line {
        Line::new("eval")
            .path("checkpoint", checkpoint)
            .flag("data", &self.data)
            .flag("frozen", "knn,linear")
    }

    /// Top-1 in percent of nearest neighbours and of a linear probe on a checkpoint's features, of
    /// the tokens that `--pool` names.
    pub(crate) fn frozen_top1(&self, checkpoint: &Path, pool: &str) -> Result<(f64, f64)> {
        let eval = self.evaluating_features(checkpoint).flag("pool", pool);
        let measured = self.json(&eval.clone().arg("--json"))?;
        let top1 = |way: &str| {
            let mut results = measured.as_array().into_iter().flatten();
            let result = results.find(|result| result["frozen"] == way);
            result
                .and_then(|result| result["top1"].as_f64())
                .with_context(|| format!("`{eval}` measured no {way}"))
        };
        let (knn, linear) = (top1("knn")?, top1("linear")?);
        eprintln!("        kNN {knn:.2} %, linear {linear:.2} %");
        Ok((knn, linear))
    }

    /// Puts the report together.
    pub(crate) fn report(
        &self,
        seeds: u64,
        rates: &LearningRates,
        manifest: &Value,
        ancestor_top1: Value,
        found: Found,
    ) -> Result<Report> {
        let Found { trained, frozen, ablations } = found;
        let summary = trained.first().map_or(Value::Null, |trained| trained.summary.clone());
        let count = |field: &Value| field.as_u64().unwrap_or(0);
        let (epochs, batch_size) =
            (count(&summary["recipe"]["epochs"]), count(&summary["recipe"]["batch_size"]).max(1));
        let rows: Vec<Row> = trained.into_iter().map(|trained| trained.row).collect();
        Ok(Report {
            version: 1,
            profile: "desk",
            producer: concat!("xtask ", env!("CARGO_PKG_VERSION")).to_owned(),
            commit: self.commit.clone(),
            command: self.command(seeds, !ablations.is_empty()),
            data: Data {
                name: self.data.clone(),
                train_images: summary["train_images"].clone(),
                test_images: summary["test_images"].clone(),
                classes: summary["classes"].clone(),
            },
            ancestor: self.ancestor(manifest, ancestor_top1, &rows)?,
            learngene: self.described(manifest)?,
            recipe: Recipe {
                epochs,
                batch_size,
                steps: epochs * count(&summary["train_images"]).div_ceil(batch_size),
                learning_rate: rates.chosen(),
            },
            rows,
            frozen,
            ablations,
            notes: vec![
                "Every method gets a fresh classifier, the same steps and images, and the figure of \
                 its last evaluation. Its learning rate was chosen on a part of the training images \
                 held out for that, with the same budget for each (cargo xtask tune); the \
                 projection policies share the rate of the learngene."
                    .to_owned(),
            ],
        })
    }

    fn ancestor(&self, manifest: &Value, top1: Value, rows: &[Row]) -> Result<Ancestor> {
        let architecture = &manifest["architecture"];
        // A descendant of the same shape costs what the ancestor costs.
        let macs = rows
            .iter()
            .find(|row| {
                row.depth as u64 == architecture["depth"] && row.heads == architecture["num_heads"]
            })
            .map_or(Value::Null, |row| row.macs.clone());
        Ok(Ancestor {
            name: "desk ViT",
            sha256: manifest["ancestor"]["sha256"].clone(),
            depth: architecture["depth"].clone(),
            embed_dim: architecture["embed_dim"].clone(),
            num_heads: architecture["num_heads"].clone(),
            params: manifest["ancestor"]["parameters"].clone(),
            macs,
            bytes: self.bytes(Path::new(&self.subject.checkpoint))?,
            top1,
            note: "trained on all 50,000 training images of CIFAR-10",
        })
    }

    fn described(&self, manifest: &Value) -> Result<report::Learngene> {
        let algorithm = &manifest["clustering"]["algorithm"];
        let probe = &manifest["probe"];
        let layer = |layer: &Value| Layer {
            labels: layer["labels"].clone(),
            sizes: layer["sizes"].clone(),
            representatives: layer["representatives"].clone(),
        };
        Ok(report::Learngene {
            bytes: self.bytes(&self.gene(None))?,
            stored_params: manifest["parameters"]["stored"].clone(),
            // One for each layer, and in a ViT the same for all.
            eps: algorithm["eps"][0].clone(),
            min_points: algorithm["min_points"].clone(),
            images: probe["images"].clone(),
            convention: probe["convention"].clone(),
            mean_attention_distance: probe["mean_attention_distance"].clone(),
            std: probe["std"].clone(),
            layers: manifest["layers"].as_array().into_iter().flatten().map(layer).collect(),
        })
    }

    fn bytes(&self, path: &Path) -> Result<u64> {
        let path = self.root.join(path);
        let file =
            fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(file.len())
    }

    fn command(&self, seeds: u64, ablations: bool) -> String {
        let ablations = if ablations { " --ablations" } else { "" };
        let seeds = if seeds == 1 { String::new() } else { format!(" --seeds {seeds}") };
        let data = match self.data.as_str() {
            "cifar10-sample" => String::new(),
            data => format!(" --data {data}"),
        };
        format!("cargo xtask reproduce{seeds}{ablations}{data}")
    }

    /// Writes `report.json`.
    pub(crate) fn write(&self, report: &Report) -> Result<()> {
        let path = self.root.join(&self.folder).join("report.json");
        let text = serde_json::to_string_pretty(report).context("a report is plain data")?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// Draws the page from `report.json`.
    pub(crate) fn draw(&self) -> Result<()> {
        let report = Line::new("report")
            .arg(self.folder.join("report.json").display())
            .path("out", &self.folder.join("report.html"));
        self.learngene.run(&report).map(drop)
    }
}

/// The commit that is checked out, and whether files differ from it.
fn commit(root: &Path) -> Option<String> {
    let args = ["describe", "--always", "--dirty", "--exclude", "*"];
    let commit = Program::new("git", root).args(args).output().ok()?;
    Some(commit.trim().to_owned())
}
