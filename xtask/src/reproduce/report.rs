//! `report.json`: what a reproduction found, as `learngene report` reads it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::ablate::Ablation;

#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) version: u32,
    pub(crate) profile: &'static str,
    pub(crate) producer: String,
    pub(crate) commit: Option<String>,
    pub(crate) command: String,
    pub(crate) data: Data,
    pub(crate) ancestor: Ancestor,
    pub(crate) learngene: Learngene,
    pub(crate) recipe: Recipe,
    pub(crate) rows: Vec<Row>,
    pub(crate) frozen: Vec<Frozen>,
    pub(crate) ablations: Vec<Ablation>,
    pub(crate) notes: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Data {
    pub(crate) name: String,
    pub(crate) train_images: Value,
    pub(crate) test_images: Value,
    pub(crate) classes: Value,
}

#[derive(Serialize)]
pub(crate) struct Ancestor {
    pub(crate) name: &'static str,
    pub(crate) sha256: Value,
    pub(crate) depth: Value,
    pub(crate) embed_dim: Value,
    pub(crate) num_heads: Value,
    pub(crate) params: Value,
    pub(crate) macs: Value,
    pub(crate) bytes: u64,
    /// Percent.
    pub(crate) top1: Value,
    pub(crate) note: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Learngene {
    pub(crate) bytes: u64,
    pub(crate) stored_params: Value,
    pub(crate) eps: Value,
    pub(crate) min_points: Value,
    pub(crate) images: Value,
    pub(crate) convention: Value,
    pub(crate) mean_attention_distance: Value,
    pub(crate) std: Value,
    pub(crate) layers: Vec<Layer>,
}

#[derive(Serialize)]
pub(crate) struct Layer {
    pub(crate) labels: Value,
    pub(crate) sizes: Value,
    pub(crate) representatives: Value,
}

#[derive(Serialize)]
pub(crate) struct Recipe {
    pub(crate) epochs: u64,
    pub(crate) batch_size: u64,
    pub(crate) steps: u64,
    pub(crate) learning_rate: BTreeMap<String, f64>,
}

/// One trained descendant.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) item: String,
    pub(crate) method: &'static str,
    pub(crate) projection: Option<&'static str>,
    pub(crate) family: &'static str,
    pub(crate) depth: usize,
    /// Heads of each layer.
    pub(crate) heads: Value,
    pub(crate) head_ratio: &'static str,
    pub(crate) seed: u64,
    /// Percent, one value per evaluation.
    pub(crate) top1: Vec<f64>,
    /// Where each evaluation stood, in epochs.
    pub(crate) epochs: Vec<f64>,
    pub(crate) params: Value,
    pub(crate) inherited_params: Value,
    pub(crate) macs: Value,
    pub(crate) command: String,
}

/// Features of a descendant that was not trained.
#[derive(Serialize)]
pub(crate) struct Frozen {
    pub(crate) item: String,
    pub(crate) method: &'static str,
    pub(crate) projection: Option<&'static str>,
    pub(crate) depth: usize,
    pub(crate) head_ratio: &'static str,
    /// Percent.
    pub(crate) knn_top1: f64,
    /// Percent.
    pub(crate) linear_top1: f64,
    pub(crate) command: String,
}
