//! Progress bars: on a terminal only, and only on standard error.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use learngene_training::{Metrics, Observer};

/// A bar over `total` things of one kind; hidden where standard error is not a terminal.
pub fn bar(total: u64, things: &str) -> ProgressBar {
    let template = format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {things} {{per_sec}} {{eta}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

/// Shows a training run: a bar over steps, and a line an evaluation.
#[derive(Default)]
pub struct TrainingProgress(Mutex<Option<ProgressBar>>);

impl TrainingProgress {
    fn with(&self, show: impl FnOnce(&ProgressBar)) {
        if let Ok(bar) = self.0.lock()
            && let Some(bar) = bar.as_ref()
        {
            show(bar);
        }
    }
}

impl Observer for TrainingProgress {
    fn started(&self, done: usize, total: usize) {
        if done > 0 {
            tracing::info!(done, total, "resuming after the last whole epoch");
        }
        let steps = bar(total as u64, "steps").with_message("training").with_position(done as u64);
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(steps);
        }
    }

    fn stepped(&self, done: usize) {
        self.with(|bar| bar.set_position(done as u64));
    }

    fn evaluated(&self, metrics: &Metrics) {
        let Metrics { epoch, train_loss, test, .. } = metrics;
        let line = format!(
            "epoch {epoch:.2}  train loss {train_loss:.4}  test loss {:.4}  top-1 {:.2} %  top-5 {:.2} %",
            test.loss, test.top1, test.top5
        );
        self.with(|bar| bar.suspend(|| tracing::info!("{line}")));
    }
}
