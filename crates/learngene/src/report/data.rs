//! What `report.json` holds. `cargo xtask reproduce` writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The numbers of one comparison.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of these fields.
    pub version: u32,
    /// Size of the comparison, such as `desk`.
    pub profile: String,
    /// Program and version that made the numbers.
    pub producer: String,
    /// Commit of the sources, where known.
    pub commit: Option<String>,
    /// Command that makes the numbers again.
    pub command: String,
    pub data: Data,
    pub ancestor: Ancestor,
    pub learngene: Learngene,
    pub recipe: Recipe,
    /// One training run each.
    pub rows: Vec<Row>,
    /// One model whose features were measured without training each.
    pub frozen: Vec<Frozen>,
    /// One choice of the method in one way each; none where they were not compared.
    #[serde(default)]
    pub ablations: Vec<Ablation>,
    /// Sentences for the reader.
    pub notes: Vec<String>,
}

/// Images that the descendants were trained and tested on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub name: String,
    pub train_images: u64,
    pub test_images: u64,
    pub classes: u64,
}

/// The model that the learngene was condensed from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ancestor {
    pub name: String,
    /// SHA-256 of the checkpoint.
    pub sha256: String,
    pub depth: usize,
    pub embed_dim: usize,
    /// `[layer]`.
    pub num_heads: Vec<usize>,
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Size of the checkpoint.
    pub bytes: u64,
    /// Test top-1 in percent, where known.
    pub top1: Option<f64>,
    /// What it saw.
    pub note: String,
}

/// The learngene, its probe and its clusters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learngene {
    /// Size of the file.
    pub bytes: u64,
    pub stored_params: u64,
    /// Radius of the clustering in pixels.
    pub eps: f64,
    pub min_points: u64,
    /// Images of the probe.
    pub images: u64,
    /// Whether attention rows were divided by their sum: `renormalized` or `published`.
    pub convention: String,
    /// `[layer][head]`, in pixels.
    pub mean_attention_distance: Vec<Vec<f64>>,
    /// `[layer][head]`, over images, in pixels.
    pub std: Vec<Vec<f64>>,
    /// `[layer]`.
    pub layers: Vec<Clusters>,
}

/// Clusters of one layer's heads. `sizes` and `representatives` are in order of priority.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clusters {
    /// `[head]`; none for noise that was dropped.
    pub labels: Vec<Option<usize>>,
    /// `[cluster]`, in heads.
    pub sizes: Vec<usize>,
    /// `[cluster]`, a head.
    pub representatives: Vec<usize>,
}

/// How every model was trained.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub epochs: u64,
    pub batch_size: u64,
    /// Optimiser steps of one run.
    pub steps: u64,
    pub learning_rate: BTreeMap<Method, f64>,
}

/// One training run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Name of the shape, such as `L12 w=1`.
    pub item: String,
    pub method: Method,
    pub projection: Option<Projection>,
    pub family: String,
    pub depth: usize,
    /// `[layer]`.
    pub heads: Vec<usize>,
    /// w: heads of an ancestor layer for each head of a descendant layer.
    pub head_ratio: String,
    pub seed: u64,
    /// Percent, one value an evaluation.
    pub top1: Vec<f64>,
    /// Where each evaluation stands, in epochs.
    pub epochs: Vec<f64>,
    pub params: u64,
    pub inherited_params: u64,
    pub macs: u64,
    pub command: String,
}

/// One model whose features were measured without training.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    pub item: String,
    pub method: Method,
    pub projection: Option<Projection>,
    pub depth: usize,
    pub head_ratio: String,
    /// Percent.
    pub knn_top1: f64,
    /// Percent.
    pub linear_top1: f64,
    pub command: String,
}

/// One way to make one choice of the method, everything else as it is by default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ablation {
    /// What is chosen.
    pub table: String,
    /// Shape of the descendants.
    pub item: String,
    pub setting: String,
    /// Whether this is what happens where nothing is asked for.
    pub is_default: bool,
    pub epochs: u64,
    /// Peak learning rate for a batch of 512.
    pub learning_rate: f64,
    /// Top-1 in percent of held-out training images by learning rate, where it was chosen for this
    /// setting.
    #[serde(default)]
    pub tried_rates: Option<BTreeMap<String, f64>>,
    /// Values in the learngene.
    pub stored_params: u64,
    pub inherited_params: u64,
    /// Percent, of features before training.
    pub knn_top1: f64,
    /// Percent, of features before training.
    pub linear_top1: f64,
    pub runs: Vec<AblationRun>,
}

/// One training of an ablation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AblationRun {
    pub seed: u64,
    /// Percent, at the last evaluation.
    pub top1: f64,
    pub command: String,
}

/// Where a model's first weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    ClusterLearngene,
    PretrainingFinetuning,
    FromScratch,
}

impl Method {
    /// The name as the paper writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClusterLearngene => "Cluster-Learngene",
            Self::PretrainingFinetuning => "Pretraining-Finetuning",
            Self::FromScratch => "From-Scratch",
        }
    }
}

/// Which output-projection columns an inherited head gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    Centroid,
    Origin,
    Rescaled,
    Refit,
}

impl Projection {
    /// The name as options write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Centroid => "centroid",
            Self::Origin => "origin",
            Self::Rescaled => "rescaled",
            Self::Refit => "refit",
        }
    }
}
