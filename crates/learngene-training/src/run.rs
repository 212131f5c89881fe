//! A run in progress: steps, evaluations, averages and the files that it writes.

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::{Dialect, Preprocessing, PretrainedCfg};
use learngene_datasets::Preprocess;
use learngene_models::Classifier;
use learngene_tensors::Dtype;

use crate::{
    Evaluation, FitData, Metrics, Observer, Recipe, Trainer, TrainingError,
    batches::Batches,
    ema::averaged,
    error::{Result, invalid},
    evaluate::evaluate,
    metrics::MetricsLog,
    run_folder::{BEST, BEST_EMA, EVENTS, LAST, LAST_EMA, METRICS, RunFolder, SUMMARY},
    tensorboard::EventFile,
    train_state::{Losses, TrainState},
};

/// A trained model and its evaluations.
#[derive(Debug)]
pub struct Fitted<C> {
    /// The model after the last epoch, ready for inference.
    pub model: C,
    /// Every evaluation of the run, in order.
    pub metrics: Vec<Metrics>,
    /// Whether the run had ended before, so that the model was read from its last checkpoint.
    pub read_back: bool,
}

/// Everything that a run needs and has so far.
pub(crate) struct Run<'a, C: Classifier + 'static> {
    recipe: &'a Recipe,
    data: &'a FitData,
    batches: Batches,
    folder: RunFolder,
    /// The first device, without autodiff.
    device: Device,
    observer: Arc<dyn Observer>,
    trainer: Trainer<C>,
    /// The average of the parameters (EMA), if the recipe asks for one.
    ema: Option<C>,
    losses: MeanLoss,
    log: MetricsLog,
}

impl<'a, C: Classifier + 'static> Run<'a, C> {
    /// A run before its first step.
    pub(crate) fn begin(
        model: C,
        data: &'a FitData,
        recipe: &'a Recipe,
        batches: Batches,
        folder: RunFolder,
        devices: &[Device],
        observer: Arc<dyn Observer>,
    ) -> Result<Self> {
        let steps_per_epoch = batches.steps_per_epoch();
        let mut trainer = Trainer::new(model, recipe, steps_per_epoch, devices);
        if let Some(teacher) = &data.teacher {
            trainer = trainer.with_teacher(teacher);
        }
        Ok(Self {
            recipe,
            data,
            batches,
            folder,
            device: devices[0].clone(),
            observer,
            ema: (recipe.ema_decay > 0.0).then(|| trainer.model()),
            trainer,
            losses: MeanLoss::default(),
            log: MetricsLog::default(),
        })
    }

    /// The same run, brought to a state.
    pub(crate) fn resume(mut self, state: TrainState) -> Result<Self> {
        self.log = MetricsLog::read(&self.folder.path(METRICS), state.step)?;
        self.losses = MeanLoss::from_host(state.losses, &self.device);
        (self.trainer, self.ema) = state.restore(self.trainer, self.ema);
        Ok(self)
    }

    /// Takes the remaining steps.
    pub(crate) fn finish(mut self) -> Result<Fitted<C>> {
        let steps = self.batches.steps_per_epoch();
        let total = self.recipe.epochs * steps;
        self.observer.started(self.trainer.done, total);
        let mut events = EventFile::create(&self.folder.path(EVENTS), &self.log.0)?;
        let batches = self.batches.clone();
        for batch in batches.starting_at(self.trainer.done)?.take(total - self.trainer.done) {
            let step = self.trainer.done + 1;
            let learning_rate = self.trainer.learning_rate();
            self.losses.add(self.trainer.take(batch?)?);
            if let Some(ema) = self.ema.take() {
                let decay = self.recipe.ema_warmup.decay(self.recipe.ema_decay, step);
                self.ema = Some(averaged(ema, &self.trainer.model(), decay));
            }
            self.observer.stepped(step);
            if self.is_evaluation(step) {
                self.evaluate(learning_rate, &mut events)?;
            }
            let ends_epoch = step.is_multiple_of(steps);
            if ends_epoch {
                self.save_last()?;
            }
            // No step is a multiple of 0.
            if ends_epoch || step.is_multiple_of(self.recipe.checkpoint_steps) {
                let losses = self.losses.to_host(step)?;
                let states = self.folder.states();
                TrainState::write(&states, &self.trainer, self.ema.as_ref(), losses)?;
            }
        }
        self.folder.finish()?;
        Ok(Fitted { model: self.trainer.model(), metrics: self.log.0, read_back: false })
    }

    /// Whether an evaluation follows that step, counted from one.
    fn is_evaluation(&self, step: usize) -> bool {
        let (steps, count) = (self.batches.steps_per_epoch(), self.recipe.evaluations_per_epoch);
        let before = (step - 1) % steps;
        (before + 1) * count / steps > before * count / steps
    }

    fn evaluate(&mut self, learning_rate: f64, events: &mut EventFile) -> Result<()> {
        let step = self.trainer.done;
        let model = self.trainer.model();
        let metrics = Metrics {
            epoch: step as f64 / self.batches.steps_per_epoch() as f64,
            step,
            learning_rate,
            train_loss: self.losses.take(step)?,
            test: self.evaluation(&model)?,
            ema: self.ema.as_ref().map(|ema| self.evaluation(ema)).transpose()?,
        };
        self.observer.evaluated(&metrics);
        events.append(&metrics)?;
        self.log.0.push(metrics);
        self.log.write(&self.folder.path(METRICS), &self.folder.path(SUMMARY))?;
        if self.log.last_is_best(|line| Some(line.test)) {
            self.save(&model, &self.folder.path(BEST))?;
        }
        if let Some(ema) = &self.ema
            && self.log.last_is_best(|line| line.ema)
        {
            self.save(ema, &self.folder.path(BEST_EMA))?;
        }
        Ok(())
    }

    fn evaluation(&self, model: &C) -> Result<Evaluation> {
        let FitData { test, preprocess, .. } = self.data;
        evaluate(model, test, preprocess, self.batches.batch_size(), &self.device)
    }

    fn save_last(&self) -> Result<()> {
        self.save(&self.trainer.model(), &self.folder.path(LAST))?;
        if let Some(ema) = &self.ema {
            self.save(ema, &self.folder.path(LAST_EMA))?;
        }
        Ok(())
    }

    /// Writes a checkpoint with its preprocessing and the names of its classes.
    fn save(&self, model: &C, path: &Path) -> Result<()> {
        let Preprocess { crop_pct, mean, std, .. } = *self.data.preprocess.settings();
        let preprocessing = Preprocessing { mean, std, crop_pct: Some(crop_pct) };
        let label_names = self.data.train.classes().to_vec();
        let cfg = PretrainedCfg { preprocessing: Some(preprocessing), label_names };
        let (shape, parameters) = (model.shape(), model.state_dict());
        let (dialect, dtype) = (Dialect::Timm, Dtype::F32);
        Ok(learngene_checkpoints::write(path, &shape, &parameters, dialect, dtype, Some(&cfg))?)
    }
}

/// Sum of losses; stays on the device so that a step does not wait for the one before.
#[derive(Default)]
struct MeanLoss {
    sum: Option<Tensor<1>>,
    steps: usize,
}

impl MeanLoss {
    fn from_host(losses: Losses, device: &Device) -> Self {
        let Losses { sum, steps } = losses;
        Self { sum: (steps > 0).then(|| Tensor::from_data([sum], device)), steps }
    }

    fn add(&mut self, loss: Tensor<1>) {
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + loss,
            None => loss,
        });
        self.steps += 1;
    }

    /// Reads the sum after a step.
    fn to_host(&self, step: usize) -> Result<Losses> {
        // The first read after a step, so a device that failed shows here.
        let sum = self.sum.clone().map_or(Ok(0.0), Tensor::try_into_scalar::<f32>);
        let sum = sum.map_err(|error| TrainingError::Device(error.to_string()))?;
        if sum.is_finite() {
            Ok(Losses { sum, steps: self.steps })
        } else {
            let expected = "a finite number; lower the learning rate or check the images";
            Err(invalid(format!("loss of step {step}"), sum, expected))
        }
    }

    /// Reads the mean and starts over.
    fn take(&mut self, step: usize) -> Result<f64> {
        let Losses { sum, steps } = self.to_host(step)?;
        *self = Self::default();
        Ok(f64::from(sum) / steps.max(1) as f64)
    }
}
