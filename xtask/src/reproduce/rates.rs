//! The learning rates that [`tune`](super::tune) chose.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub(super) const FILE: &str = "xtask/desk/learning_rates.json";

/// What was tried, and what was chosen.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LearningRates {
    command: String,
    /// By ancestor and name, as in `desk-vit/from-scratch`.
    pub(super) searches: BTreeMap<String, Tried>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    pub(super) chosen: f64,
    /// Top-1 on the held-out images, in percent, by learning rate.
    pub(super) top1: BTreeMap<String, f64>,
}

impl LearningRates {
    /// Reads the rates that this repository ships.
    ///
    /// # Errors
    /// When the file cannot be read, or is another one.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{FILE} is not a table of learning rates"))
    }

    /// The rate of an ancestor's descendants by the name of a search.
    ///
    /// # Errors
    /// When there was no such search.
    pub(crate) fn rate(&self, ancestor: &str, name: &str) -> Result<f64> {
        let tried = self.searches.get(&format!("{ancestor}/{name}"));
        Ok(tried
            .with_context(|| format!("{FILE} has no rate for {ancestor}/{name}: cargo xtask tune"))?
            .chosen)
    }
}
