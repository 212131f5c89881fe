//! What stands beside a descendant's checkpoint: `expand` writes it, `inspect` draws it, and `train`
//! reads from it what is there several times.

use std::path::Path;

use anyhow::Context;
use learngene_expansion::SlotSource;
use learngene_models::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::{files::read, transformations_file::Origin};

/// What a descendant is made of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Description {
    /// Program and version that made it.
    #[serde(default)]
    pub producer: String,
    #[serde(flatten)]
    pub origin: Origin,
    pub config: ModelConfig,
    pub parameters: u64,
    /// Values of the ancestor that it took.
    pub inherited_parameters: u64,
    /// Multiply-accumulates of one image.
    #[serde(default)]
    pub macs: u64,
    /// `[layer]`: the ancestor's layer that it is from; none where it was drawn.
    pub layers: Vec<Option<usize>>,
    /// `[layer][head]`; empty for a layer whose heads are no heads of the ancestor.
    pub slots: Vec<Vec<SlotSource>>,
    /// `[layer]`: equal numbers for layers that share a feed-forward network.
    pub ffn: Vec<usize>,
    /// Of the file with the transformations that were folded in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folded_sha256: Option<String>,
}

impl Description {
    /// Reads what `expand` wrote.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        serde_json::from_slice(&read(path)?)
            .with_context(|| format!("{} is not what `expand` writes", path.display()))
    }
}
