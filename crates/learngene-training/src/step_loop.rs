//! The loop over steps, evaluations and epochs, run by burn-train's learner.

use std::sync::{Arc, Mutex, MutexGuard, atomic::Ordering};

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use burn_train::{
    Learner, SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader,
    TrainingComponents, ValidLoader,
};
use learngene_datasets::{CheckedPreprocess, Dataset};
use learngene_models::Classifier;

use crate::{
    Metrics, Observer, Recipe, TrainingError, batches::Batches, evaluate::evaluate,
    metrics::MetricsLog, run_folder::RunFolder, trainee::Trainee, trainer,
};

/// Everything a run needs beside the learner.
pub(crate) struct StepLoop {
    pub(crate) recipe: Recipe,
    pub(crate) train: Batches,
    pub(crate) test: Arc<dyn Dataset>,
    pub(crate) preprocess: CheckedPreprocess,
    pub(crate) device: Device,
    pub(crate) folder: RunFolder,
    pub(crate) observer: Arc<dyn Observer>,
    /// At first what earlier runs left; the strategy's own return value has no room for it.
    pub(crate) outcome: Mutex<Outcome>,
}

/// What a run measured, and why it stopped before its end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) log: MetricsLog,
    pub(crate) error: Option<TrainingError>,
}

impl<C: Classifier + 'static> SupervisedLearningStrategy<Trainee<C>> for StepLoop {
    fn fit(
        &self,
        mut components: TrainingComponents<Trainee<C>>,
        mut learner: Learner<Trainee<C>>,
        train: TrainLoader<Trainee<C>>,
        _: ValidLoader<Trainee<C>>,
        starting_epoch: usize,
    ) -> (Trainee<C>, SupervisedTrainingEventProcessor<Trainee<C>>) {
        let mut log = self.outcome().log.clone();
        let ended = (starting_epoch..=self.recipe.epochs).try_for_each(|epoch| {
            self.epoch(epoch, &mut learner, &train, &mut log)?;
            if let Some(checkpointer) = &mut components.checkpointer {
                checkpointer.checkpoint(&learner, epoch, &components.event_store);
            }
            match components.interrupter.error() {
                Some(error) => Err(TrainingError::Stopped(error.to_string())),
                None => Ok(()),
            }
        });
        *self.outcome() = Outcome { log, error: ended.err() };
        (learner.model(), components.event_processor)
    }
}

impl StepLoop {
    pub(crate) fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().expect("no thread panics while it holds the outcome")
    }

    fn epoch<C: Classifier + 'static>(
        &self,
        epoch: usize,
        learner: &mut Learner<Trainee<C>>,
        loader: &TrainLoader<Trainee<C>>,
        log: &mut MetricsLog,
    ) -> Result<(), TrainingError> {
        let steps = self.train.steps_per_epoch();
        self.train.epoch.store(epoch, Ordering::Relaxed);
        let mut losses = MeanLoss::default();
        for (index, batch) in loader.iter().enumerate() {
            let batch = batch.map_err(|error| TrainingError::Stopped(error.to_string()))?;
            let step = (epoch - 1) * steps + index + 1;
            // Whatever a layer draws depends on the seed and the step alone, so a resumed run
            // draws the same and no random state needs saving.
            self.device.seed(self.recipe.seed.wrapping_mul(1 << 32).wrapping_add(step as u64));
            losses.add(trainer::step(learner, batch));
            self.observer.stepped(step);
            if self.is_evaluation(index + 1, steps) {
                let metrics = Metrics {
                    epoch: step as f64 / steps as f64,
                    step,
                    learning_rate: learner.lr_current().base(),
                    train_loss: losses.take(step)?,
                    test: self.evaluate(&learner.model().valid().model)?,
                };
                self.observer.evaluated(&metrics);
                log.0.push(metrics);
                log.write(&self.folder.metrics())?;
                if log.last_is_best() {
                    learner.model().model.save(&self.folder.best())?;
                }
            }
        }
        Ok(learner.model().model.save(&self.folder.last())?)
    }

    /// Whether an evaluation follows the `done`-th of an epoch's steps.
    fn is_evaluation(&self, done: usize, steps: usize) -> bool {
        let count = self.recipe.evaluations_per_epoch;
        done * count / steps > (done - 1) * count / steps
    }

    fn evaluate<C: Classifier>(&self, model: &C) -> Result<crate::Evaluation, TrainingError> {
        let device = self.device.clone().inner();
        evaluate(model, self.test.as_ref(), &self.preprocess, self.train.batch_size, &device)
    }
}

/// Sum of losses, kept on the device so that a step does not wait for the one before.
#[derive(Default)]
struct MeanLoss {
    sum: Option<Tensor<1>>,
    steps: usize,
}

impl MeanLoss {
    fn add(&mut self, loss: Tensor<1>) {
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + loss,
            None => loss,
        });
        self.steps += 1;
    }

    /// Reads the mean and starts anew.
    fn take(&mut self, step: usize) -> Result<f64, TrainingError> {
        let Self { sum, steps } = std::mem::take(self);
        let sum: f32 = sum.map_or(0.0, |sum| sum.into_scalar());
        if sum.is_finite() {
            Ok(f64::from(sum) / steps.max(1) as f64)
        } else {
            Err(TrainingError::Diverged { step, loss: sum })
        }
    }
}
