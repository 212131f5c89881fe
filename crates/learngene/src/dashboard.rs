//! burn-train's dashboard: a training run in the whole terminal, with curves.

use std::{
    io::{self, IsTerminal},
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::{Arc, Mutex},
};

use anyhow::ensure;
use burn_train::{
    Interrupter,
    logger::TrainingProgressLogger,
    metric::{
        MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry, SerializedEntry,
    },
    renderer::{
        MetricState, MetricsRenderer, MetricsRendererTraining, tui::TuiMetricsRendererWrapper,
    },
};
use learngene_training::{Metrics, Observer};

/// Exit code of a program that was interrupted, as shells report it.
const INTERRUPTED: i32 = 130;

/// The curves: a name, its unit, whether more is better, and its value in an evaluation.
const CURVES: [Curve; 4] = [
    Curve { name: "Loss", unit: None, higher_is_better: false },
    Curve { name: "Top-1", unit: Some("%"), higher_is_better: true },
    Curve { name: "Top-5", unit: Some("%"), higher_is_better: true },
    Curve { name: "Learning rate", unit: None, higher_is_better: false },
];

struct Curve {
    name: &'static str,
    unit: Option<&'static str>,
    higher_is_better: bool,
}

impl Curve {
    fn id(&self) -> MetricId {
        MetricId::new(Arc::new(self.name.to_owned()))
    }

    fn definition(&self) -> MetricDefinition {
        MetricDefinition {
            metric_id: self.id(),
            name: Arc::new(self.name.to_owned()),
            description: None,
            attributes: NumericAttributes {
                unit: self.unit.map(str::to_owned),
                higher_is_better: self.higher_is_better,
            }
            .into(),
        }
    }

    fn at(&self, value: f64) -> MetricState {
        let text = if value < 0.01 { format!("{value:.2e}") } else { format!("{value:.4}") };
        let text =
            [Some(text.as_str()), self.unit].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let entry = MetricEntry::new(self.id(), SerializedEntry::new(text, value.to_string()));
        MetricState::Numeric(entry, Some(NumericEntry::Value(value)))
    }
}

/// Shows a training run in the whole terminal.
pub struct Dashboard {
    epochs: usize,
    steps_per_epoch: usize,
    shown: Mutex<Option<Shown>>,
}

struct Shown {
    renderer: TuiMetricsRendererWrapper,
    interrupter: Interrupter,
}

impl Dashboard {
    /// Of a run that long.
    ///
    /// # Errors
    /// Where there is no terminal to show it in.
    pub fn new(epochs: usize, steps_per_epoch: usize) -> anyhow::Result<Self> {
        ensure!(
            io::stdout().is_terminal(),
            "--dashboard needs a terminal, and standard output is none"
        );
        Ok(Self { epochs, steps_per_epoch, shown: Mutex::new(None) })
    }

    /// Shows something. The user may ask for the run's end in the dashboard, and then it ends: the files
    /// of a run are whole at any time.
    fn show(&self, done: usize, show: impl FnOnce(&mut TuiMetricsRendererWrapper)) {
        let Ok(mut guard) = self.shown.lock() else { return };
        let Some(shown) = guard.as_mut() else { return };
        // burn-train panics where the user wants the run's end at once.
        let killed = catch_unwind(AssertUnwindSafe(|| show(&mut shown.renderer))).is_err();
        if killed || shown.interrupter.should_stop() {
            // Gives the terminal back.
            let _ended = catch_unwind(AssertUnwindSafe(|| drop(guard.take())));
            eprintln!(
                "stopped after step {done}: the same command goes on from the last checkpoint"
            );
            process::exit(INTERRUPTED);
        }
    }
}

impl Observer for Dashboard {
    fn started(&self, done: usize, total: usize) {
        let interrupter = Interrupter::new();
        let mut renderer = TuiMetricsRendererWrapper::new(interrupter.clone(), None);
        for curve in &CURVES {
            renderer.register_metric(curve.definition());
        }
        let epoch = done / self.steps_per_epoch + 1;
        renderer.start(self.epochs, epoch.min(self.epochs), Some(total), None);
        renderer.start_split("train", self.steps_per_epoch);
        if let Ok(mut shown) = self.shown.lock() {
            *shown = Some(Shown { renderer, interrupter });
        }
    }

    fn stepped(&self, done: usize) {
        self.show(done, |renderer| {
            renderer.update_split((done - 1) % self.steps_per_epoch + 1);
            if done.is_multiple_of(self.steps_per_epoch) {
                renderer.end_split();
                renderer.update_epoch(done / self.steps_per_epoch);
                renderer.start_split("train", self.steps_per_epoch);
            }
        });
    }

    fn evaluated(&self, metrics: &Metrics) {
        let [loss, top1, top5, learning_rate] = &CURVES;
        self.show(metrics.step, |renderer| {
            renderer.update_train(loss.at(metrics.train_loss));
            renderer.update_train(learning_rate.at(metrics.learning_rate));
            renderer.update_valid(loss.at(metrics.test.loss));
            renderer.update_valid(top1.at(metrics.test.top1));
            renderer.update_valid(top5.at(metrics.test.top5));
        });
    }
}
