//! Progress bars: on a terminal only, and only on standard error.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use learngene_training::{Metrics, Observer};

/// Whether nothing is shown.
static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// Shows no bar from now on.
pub fn silence() {
    IS_SILENT.store(true, Ordering::Relaxed);
}

/// A bar over `total` things of one kind; hidden where standard error is not a terminal.
pub fn bar(total: u64, things: &str) -> ProgressBar {
    let template = format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {things} {{per_sec}} {{eta}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = match IS_SILENT.load(Ordering::Relaxed) {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(total),
    };
    bar.with_style(style)
}

/// Between plain lines about steps, where there is no terminal for a bar.
const SILENCE: Duration = Duration::from_secs(30);

/// Shows a training run: a bar over steps, or a line now and then, and a line an evaluation.
pub struct TrainingProgress {
    /// What every line begins with, where a run has several phases.
    phase: String,
    /// What the images that it is evaluated on are.
    evaluated_on: &'static str,
    classes: usize,
    /// Whether a loss above that of guessing was warned of, once.
    is_warned: AtomicBool,
    shown: Mutex<Option<(ProgressBar, Instant)>>,
}

impl TrainingProgress {
    pub fn new(phase: Option<&str>, evaluated_on: &'static str, classes: usize) -> Self {
        let phase = phase.map(|phase| format!("{phase}: ")).unwrap_or_default();
        let (is_warned, shown) = (AtomicBool::default(), Mutex::default());
        Self { phase, evaluated_on, classes, is_warned, shown }
    }

    /// Of a run whose training loss is more than that of its labels, and says nothing of guessing.
    pub fn with_teacher(self, has_teacher: bool) -> Self {
        self.is_warned.fetch_or(has_teacher, Ordering::Relaxed);
        self
    }

    /// With the bar and the time of the last line.
    fn with(&self, show: impl FnOnce(&ProgressBar, &mut Instant)) {
        if let Ok(mut shown) = self.shown.lock()
            && let Some((bar, last_line)) = shown.as_mut()
        {
            show(bar, last_line);
        }
    }
}

impl Observer for TrainingProgress {
    fn started(&self, done: usize, total: usize) {
        if done > 0 {
            tracing::info!("{}resuming after step {done} of {total}", self.phase);
        }
        let message = format!("{}training", self.phase);
        let steps = bar(total as u64, "steps").with_message(message).with_position(done as u64);
        if let Ok(mut shown) = self.shown.lock() {
            *shown = Some((steps, Instant::now()));
        }
    }

    fn stepped(&self, done: usize) {
        self.with(|bar, last_line| {
            bar.set_position(done as u64);
            if bar.is_hidden() && last_line.elapsed() >= SILENCE {
                let total = bar.length().unwrap_or_default();
                tracing::info!("{}step {done} of {total}", self.phase);
                *last_line = Instant::now();
            }
        });
    }

    fn evaluated(&self, metrics: &Metrics) {
        let Metrics { epoch, learning_rate, train_loss, test, .. } = metrics;
        let Self { phase, evaluated_on, classes, .. } = self;
        let warns = metrics.is_worse_than_guessing(*classes)
            && !self.is_warned.swap(true, Ordering::Relaxed);
        let line = format!(
            "{phase}epoch {epoch:.2}  learning rate {learning_rate:.2e}  train loss {train_loss:.4}  \
             {evaluated_on} loss {:.4}  top-1 {:.2} %  top-5 {:.2} %",
            test.loss, test.top1, test.top5
        );
        self.with(|bar, last_line| {
            bar.suspend(|| {
                tracing::info!("{line}");
                if warns {
                    tracing::warn!(
                        "the training loss is far above that of guessing, ln({classes}) = {:.4}: \
                         lower the learning rate, or warm up for longer",
                        (*classes as f64).ln()
                    );
                }
            });
            *last_line = Instant::now();
        });
    }
}
