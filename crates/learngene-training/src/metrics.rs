//! The evaluations of a run.

use std::path::Path;

use learngene_tensors::{Error, write_whole};
use serde::{Deserialize, Serialize};

use crate::{Evaluation, error::Result};

/// One evaluation of a run, a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Epochs so far.
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
    /// The evaluation of the averaged parameters (EMA), if the run keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<Evaluation>,
}

/// A training loss above this multiple of the loss of guessing shows that a run learns nothing: a fresh
/// classifier starts close to the loss of guessing, and learning only lowers it.
const WORSE_THAN_GUESSING: f64 = 1.25;

impl Metrics {
    /// Whether the training loss is clearly above that of equal probabilities for all classes, which is
    /// `ln(classes)` for any targets: a sign of a learning rate that is far too high.
    pub fn is_worse_than_guessing(&self, classes: usize) -> bool {
        self.train_loss > WORSE_THAN_GUESSING * (classes as f64).ln()
    }
}

/// The evaluations of a run, as its files hold them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetricsLog(pub(crate) Vec<Metrics>);

impl MetricsLog {
    /// Reads the evaluations up to a step; none if there is no file.
    pub(crate) fn read(path: &Path, last_step: usize) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Error::read(path)(error).into()),
        };
        let read = |(line, text): (usize, &str)| {
            let refused = |error: serde_json::Error| {
                Error::invalid(format!("line {}", line + 1), error, "an evaluation").in_file(path)
            };
            serde_json::from_str::<Metrics>(text).map_err(refused)
        };
        let mut metrics: Vec<Metrics> =
            text.lines().enumerate().map(read).collect::<Result<_, _>>()?;
        metrics.retain(|line| line.step <= last_step);
        Ok(Self(metrics))
    }

    /// Writes all lines as JSON and as CSV, each file whole or not at all.
    pub(crate) fn write(&self, json: &Path, csv: &Path) -> Result<()> {
        let lines: String = self
            .0
            .iter()
            .map(|line| serde_json::to_string(line).expect("metrics are plain numbers") + "\n")
            .collect();
        [(json, lines), (csv, self.csv())]
            .into_iter()
            .try_for_each(|(path, text)| Ok(write_whole(path, [text]).map_err(Error::write(path))?))
    }

    /// A line of column names and one for each evaluation.
    fn csv(&self) -> String {
        let averaged = self.0.iter().any(|line| line.ema.is_some());
        let mut text = "epoch,step,learning_rate,train_loss,test_loss,top1,top5".to_owned();
        text += if averaged { ",ema_loss,ema_top1,ema_top5\n" } else { "\n" };
        for Metrics { epoch, step, learning_rate, train_loss, test, ema } in &self.0 {
            let Evaluation { loss, top1, top5, .. } = test;
            text += &format!("{epoch},{step},{learning_rate},{train_loss},{loss},{top1},{top5}");
            if let Some(Evaluation { loss, top1, top5, .. }) = ema {
                text += &format!(",{loss},{top1},{top5}");
            }
            text.push('\n');
        }
        text
    }

    /// Whether the last evaluation was after that step.
    pub(crate) fn ends_at(&self, step: usize) -> bool {
        self.0.last().is_some_and(|line| line.step == step)
    }

    /// Whether the last evaluation is better than all earlier ones.
    pub(crate) fn last_is_best(&self, of: impl Fn(&Metrics) -> Option<Evaluation>) -> bool {
        let top1 = |line| of(line).map(|evaluation| evaluation.top1);
        match self.0.split_last() {
            Some((last, before)) => {
                top1(last).is_some() && before.iter().all(|line| top1(line) < top1(last))
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(top1: f64) -> Evaluation {
        Evaluation { top1, top5: 90.0, loss: 1.5, images: 100 }
    }

    fn log(top1: &[(f64, Option<f64>)]) -> MetricsLog {
        let lines = top1.iter().zip(1..).map(|((top1, ema), step)| Metrics {
            epoch: step as f64 / 2.0,
            step,
            learning_rate: 1e-4,
            train_loss: 2.0,
            test: evaluation(*top1),
            ema: ema.map(evaluation),
        });
        MetricsLog(lines.collect())
    }

    fn check_best(top1: &[f64], want: bool) {
        let log = log(&top1.iter().map(|top1| (*top1, None)).collect::<Vec<_>>());
        assert_eq!(log.last_is_best(|line| Some(line.test)), want, "{top1:?}");
        assert!(!log.last_is_best(|line| line.ema), "there is no average");
    }

    #[test]
    fn the_earlier_of_equals_is_the_best() {
        check_best(&[], false);
        check_best(&[10.0], true);
        check_best(&[10.0, 20.0], true);
        check_best(&[20.0, 10.0, 20.0], false);
    }

    #[test]
    fn a_loss_clearly_above_guessing_is_noticed() {
        let [line] = &log(&[(10.0, None)]).0[..] else { panic!("one line was made") };
        // 1.25 ln(10) is 2.878.
        for (train_loss, worse) in [(2.303, false), (2.87, false), (2.89, true), (4.6e9, true)] {
            let line = Metrics { train_loss, ..line.clone() };
            assert_eq!(line.is_worse_than_guessing(10), worse, "{train_loss}");
        }
    }

    #[test]
    fn files_hold_every_evaluation_and_are_read_back() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let [json, csv] = ["metrics.jsonl", "summary.csv"].map(|name| folder.path().join(name));
        let written = log(&[(10.0, Some(5.0)), (20.0, Some(30.0))]);
        written.write(&json, &csv).expect("the folder is writable");
        assert_eq!(MetricsLog::read(&json, 2).expect("just written").0, written.0);
        assert_eq!(MetricsLog::read(&json, 1).expect("just written").0, written.0[..1]);
        assert_eq!(
            std::fs::read_to_string(csv).expect("just written"),
            "epoch,step,learning_rate,train_loss,test_loss,top1,top5,ema_loss,ema_top1,ema_top5\n\
             0.5,1,0.0001,2,1.5,10,90,1.5,5,90\n1,2,0.0001,2,1.5,20,90,1.5,30,90\n"
        );
    }
}
