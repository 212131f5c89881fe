//! What a run measured: one JSON line an evaluation.

use std::path::Path;

use learngene_files::write_whole;
use serde::{Deserialize, Serialize};

use crate::{Evaluation, TrainingError};

/// One evaluation of a run, a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Passes over the training images so far.
    pub epoch: f64,
    /// Optimiser steps so far.
    pub step: usize,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Mean training loss over the steps since the evaluation before.
    pub train_loss: f64,
    /// The evaluation on the test images.
    #[serde(flatten)]
    pub test: Evaluation,
}

/// The evaluations of a run, kept in step with its file.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetricsLog(pub(crate) Vec<Metrics>);

impl MetricsLog {
    /// Reads the evaluations up to a step; no file means none.
    pub(crate) fn read(path: &Path, last_step: usize) -> Result<Self, TrainingError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(TrainingError::Read { path: path.into(), source }),
        };
        let lines =
            text.lines().map(serde_json::from_str::<Metrics>).collect::<Result<Vec<_>, _>>();
        let mut metrics = lines
            .map_err(|error| TrainingError::Read { path: path.into(), source: error.into() })?;
        metrics.retain(|line| line.step <= last_step);
        Ok(Self(metrics))
    }

    /// Writes all lines, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), TrainingError> {
        let lines: String = self
            .0
            .iter()
            .map(|line| serde_json::to_string(line).expect("metrics are plain numbers") + "\n")
            .collect();
        write_whole(path, [lines])
            .map_err(|source| TrainingError::Write { path: path.into(), source })
    }

    /// Whether the last evaluation followed that step.
    pub(crate) fn ends_at(&self, step: usize) -> bool {
        self.0.last().is_some_and(|line| line.step == step)
    }

    /// Whether the last evaluation is the best so far, ties going to the earlier one.
    pub(crate) fn last_is_best(&self) -> bool {
        match self.0.split_last() {
            Some((last, before)) => before.iter().all(|line| line.test.top1 < last.test.top1),
            None => false,
        }
    }
}
