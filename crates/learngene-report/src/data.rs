//! What `report.json` holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of these fields.
pub const VERSION: u32 = 2;

/// Everything that a reproduction found, and what it did not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of these fields.
    pub version: u32,
    /// Program and version that wrote them.
    pub producer: String,
    /// Commit of the sources, where known.
    pub commit: Option<String>,
    /// Command that makes the numbers again.
    pub command: String,
    /// Size of the experiments.
    pub scale: Scale,
    /// Models that learngenes were condensed from, with their learngenes.
    pub ancestors: Vec<Ancestor>,
    /// One for each table and figure of the paper, and those beyond it, in the order of the page.
    pub experiments: Vec<Experiment>,
    /// Sentences for the reader.
    pub notes: Vec<String>,
}

/// Size of the experiments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Small ancestors on small images: minutes to hours on a CPU.
    Desk,
    /// The paper's: ImageNet-1K, DeiT and Swin on GPUs.
    Paper,
}

/// A model that a learngene was condensed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ancestor {
    /// Short name by which cells call it, such as `desk-vit`.
    pub id: String,
    /// Name for readers.
    pub name: String,
    /// Kind of transformer, in words for readers.
    pub family: String,
    /// SHA-256 of the checkpoint.
    pub sha256: String,
    /// Width of a token; of the last stage for a Swin.
    pub embed_dim: usize,
    /// `[layer]`, over all stages of a Swin.
    pub num_heads: Vec<usize>,
    /// Values of all parameters.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Size of the checkpoint.
    pub bytes: u64,
    /// Test top-1 in percent, where known.
    pub top1: Option<f64>,
    /// What it saw.
    pub note: String,
    /// What was condensed from it.
    pub learngene: Learngene,
    /// Attention maps of Fig. 6, where they were made: of the ancestor and of a descendant.
    pub attention: Vec<AttentionMap>,
}

/// A learngene by the default settings of its ancestor: its probe and its clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Learngene {
    /// SHA-256 of the file.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Values that the file holds.
    pub stored_params: u64,
    /// `[layer]`: radius of the clustering in pixels.
    pub eps: Vec<f64>,
    /// Heads within `eps`, itself among them, that make a head the core of a cluster.
    pub min_points: u64,
    /// Images of the probe.
    pub images: u64,
    /// Whether attention rows were divided by their sum: `renormalized` or `published`.
    pub convention: String,
    /// `[layer][head]`, in pixels.
    pub mean_attention_distance: Vec<Vec<f64>>,
    /// `[layer][head]`: spread over images, in pixels.
    pub std: Vec<Vec<f64>>,
    /// `[layer]`: distance of a head that attends to all patches alike, in pixels.
    pub uniform: Vec<f64>,
    /// `[layer]`: which heads were taken together.
    pub layers: Vec<Clusters>,
}

/// Clusters of one layer's heads. `sizes` and `representatives` are in order of priority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clusters {
    /// `[head]`; none for noise that was dropped.
    pub labels: Vec<Option<usize>>,
    /// `[cluster]`, in heads.
    pub sizes: Vec<usize>,
    /// `[cluster]`, a head.
    pub representatives: Vec<usize>,
}

/// Attention of one head for one image, after softmax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttentionMap {
    /// Whose: `ancestor`, or a descendant's name.
    pub model: String,
    /// Layer of that model, from 0.
    pub layer: usize,
    /// Head of that layer, from 0.
    pub head: usize,
    /// Tokens on each side.
    pub tokens: usize,
    /// `[query][key]`, row by row: 255 times the attention, a byte each, in base64 (the paper's
    /// Fig. 6).
    pub values: String,
}

/// One table or figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name of its file in `experiments/`, such as `table5_order`.
    pub id: String,
    /// What the paper calls it, such as `Table 5`; none for what goes beyond the paper.
    pub item: Option<String>,
    /// What is shown.
    pub title: String,
    /// What is compared, under which conditions, in sentences.
    pub about: String,
    /// How it is shown.
    pub kind: Kind,
    /// Images of this scale, where there is training.
    pub data: Option<Data>,
    /// How models are trained at this scale, where they are.
    pub recipe: Option<Recipe>,
    /// How the paper's figures are made.
    pub full_scale: FullScale,
    /// In the order of rows, then columns.
    pub cells: Vec<Cell>,
    /// Convergence of methods, where curves are compared: one for each ancestor.
    pub convergence: Vec<Convergence>,
}

/// How an experiment is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Rows and columns, a column for each name and measure.
    Table,
    /// Distances of heads per layer, clusters coloured, and which centroid feeds which head
    /// (Fig. 1c and 2): drawn from the ancestors.
    Densities,
    /// Accuracy against parameters, one line for each row (Fig. 3): every run has its `model`.
    Scale,
    /// Accuracy against epochs, one line for each row, one figure for each column (Fig. 5 and 8):
    /// every run has its evaluations.
    Curves,
    /// Attention maps (Fig. 6): drawn from the ancestors.
    Attention,
    /// Size of the learngene against the value of its cells, one figure for each measure, one line
    /// for each column, one point for each row (beyond the paper): every run has its `model` with
    /// `stored_params`.
    Sizes,
}

/// Images that models were trained and tested on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// What readers know it by.
    pub name: String,
    /// Images that a model from scratch sees.
    pub train_images: u64,
    /// Images behind every accuracy.
    pub test_images: u64,
    /// Classes to tell apart.
    pub classes: u64,
}

/// How models were trained, where a cell's commands do not say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The file, from the root of the repository.
    pub file: String,
    /// Passes over the training images.
    pub epochs: u64,
    /// Images of one optimiser step.
    pub batch_size: u64,
    /// Optimiser steps of one run.
    pub steps: u64,
}

/// How the paper's figures are made, by whoever has the data and devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullScale {
    /// What that takes.
    pub needs: String,
    /// As one types them in the root of the repository.
    pub commands: Vec<String>,
}

/// One number or curve of the paper, or of what goes beyond it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the row.
    pub row: String,
    /// Name of the column.
    pub column: String,
    /// What is counted.
    pub measure: Measure,
    /// The paper's value, where a source of ours gives it. Its models and images are others at the
    /// scale of a desk.
    pub paper: Option<Cited>,
    /// Our value, or why there is none.
    pub outcome: Outcome,
}

/// What a value counts, with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Percent of test images.
    Top1,
    /// Percent of test images, by a linear probe on features before any training.
    LinearProbe,
    /// Heads kept by a learngene.
    Heads,
    /// Images or classes of a dataset.
    Count,
    /// Error of an attention's output, relative to its variance, mean over layers.
    FeatureError,
}

/// A value from elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cited {
    /// In the unit of the cell's measure.
    pub value: f64,
    /// Where it stands.
    pub source: String,
}

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// A value, with its runs.
    Run(Measured),
    /// No value.
    NotRun {
        /// Why, in a sentence.
        reason: String,
    },
}

/// A value with the runs behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Of the runs' values.
    pub mean: f64,
    /// Sample standard deviation (n - 1); none for one run.
    pub std: Option<f64>,
    /// `mean` minus the paper's value, where that is known.
    pub difference: Option<f64>,
    /// What the model is, where there is one.
    pub model: Option<Model>,
    /// At least one, in the order of seeds.
    pub runs: Vec<Run>,
}

/// A descendant, as initialised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `id` of its ancestor.
    pub ancestor: String,
    /// As `learngene expand --method` has it.
    pub method: String,
    /// Number of layers.
    pub depth: usize,
    /// `[layer]`: number of heads.
    pub heads: Vec<usize>,
    /// Values of all parameters.
    pub params: u64,
    /// Values of the ancestor that its initialisation took (I-Params): more than `params` where
    /// positions of larger images were interpolated.
    pub inherited_params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Values in its learngene, where it has one.
    pub stored_params: Option<u64>,
}

/// One run: the same commands on the same inputs by the same code give it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Of initial values, order of images and augmentation; rising from run to run.
    pub seed: u64,
    /// What the cell shows.
    pub value: f64,
    /// SHA-256 over commands, the bytes of their inputs, and the code: by it the ledger knows what
    /// is done.
    pub key: String,
    /// SHA-256 of the sources of the program that ran.
    pub code: String,
    /// As one types them in the root of the repository.
    pub commands: Vec<String>,
    /// Every evaluation, in order, at the same steps in all runs of a cell; empty where nothing is
    /// trained.
    pub evaluations: Vec<Evaluation>,
    /// Percent, by a linear probe before training, where it was measured.
    pub linear_probe: Option<f64>,
    /// Percent, by nearest neighbours before training, where it was measured.
    pub knn: Option<f64>,
    /// Peak learning rate for a batch of 512, where something is trained.
    pub learning_rate: Option<f64>,
}

/// One evaluation of a model in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Optimiser steps before it.
    pub step: u64,
    /// The same in epochs.
    pub epoch: f64,
    /// Percent of test images.
    pub top1: f64,
}

/// Steps that from-scratch needs for the accuracy of the descendant, by the first cells of
/// `cluster-learngene` and of `from-scratch` in one column, for one ancestor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Convergence {
    /// `id` of the ancestor.
    pub ancestor: String,
    /// The column of the curves.
    pub column: String,
    /// Mean top-1 of the descendant at its last evaluation, in percent.
    pub target: f64,
    /// Steps of that run.
    pub learngene_steps: u64,
    /// Steps after which the mean of from-scratch first reaches the target, at an evaluation; its
    /// whole budget where it never does.
    pub scratch_steps: u64,
    /// Whether it reached the target: where not, `ratio` is a lower bound.
    pub reached: bool,
    /// `scratch_steps / learngene_steps`.
    pub ratio: f64,
}
