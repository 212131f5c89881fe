//! A run under way: steps, evaluations, averages and what is left on the disk.

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use learngene_datasets::Preprocess;
use learngene_models::{
    Classifier,
    checkpoint::{Preprocessing, PretrainedCfg},
};

use crate::{
    Evaluation, FitData, Fitted, Metrics, Observer, Recipe, Trainer, TrainingError,
    batches::Batches,
    ema::averaged,
    evaluate::evaluate,
    metrics::MetricsLog,
    run_folder::RunFolder,
    saved::{Losses, Saved},
    tensorboard::EventFile,
};

/// Everything a run needs and has so far.
pub(crate) struct Run<'a, C: Classifier + 'static> {
    recipe: &'a Recipe,
    data: &'a FitData,
    batches: Batches,
    folder: RunFolder,
    /// The first one, without autodiff.
    device: Device,
    observer: Arc<dyn Observer>,
    trainer: Trainer<C>,
    /// The average of the parameters, where the recipe asks for one.
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
    ) -> Result<Self, TrainingError> {
        let steps_per_epoch = batches.steps_per_epoch();
        let trainer = Trainer::new(model, recipe, steps_per_epoch, devices);
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

    /// The same run after the step of a state.
    pub(crate) fn resume(mut self, saved: Saved) -> Result<Self, TrainingError> {
        self.log = MetricsLog::read(&self.folder.metrics(), saved.step)?;
        self.losses = MeanLoss::from_host(saved.losses, &self.device);
        (self.trainer, self.ema) = saved.restore(self.trainer, self.ema);
        Ok(self)
    }

    /// Takes the steps that are left.
    pub(crate) fn finish(mut self) -> Result<Fitted<C>, TrainingError> {
        let steps = self.batches.steps_per_epoch();
        let total = self.recipe.epochs * steps;
        self.observer.started(self.trainer.done, total);
        let mut events = EventFile::create(&self.folder.events(), &self.log.0)?;
        let batches = self.batches.clone();
        for batch in batches.starting_at(self.trainer.done)?.take(total - self.trainer.done) {
            let step = self.trainer.done + 1;
            // Whatever a layer draws depends on the seed and the step alone, so a resumed run
            // draws the same and no random state needs saving.
            self.device.seed(self.recipe.seed.wrapping_mul(1 << 32).wrapping_add(step as u64));
            let learning_rate = self.trainer.learning_rate();
            self.losses.add(self.trainer.take(batch?)?);
            if let Some(ema) = self.ema.take() {
                let keep = self.recipe.ema_warmup.decay(self.recipe.ema_decay, step);
                self.ema = Some(averaged(ema, &self.trainer.model(), keep));
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
                let states = self.folder.checkpoints();
                Saved::write(&states, &self.trainer, self.ema.as_ref(), losses)?;
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

    fn evaluate(
        &mut self,
        learning_rate: f64,
        events: &mut EventFile,
    ) -> Result<(), TrainingError> {
        let step = self.trainer.done;
        let model = self.trainer.model();
        let metrics = Metrics {
            epoch: step as f64 / self.batches.steps_per_epoch() as f64,
            step,
            learning_rate,
            train_loss: self.losses.take(step)?,
            test: self.top1(&model)?,
            ema: self.ema.as_ref().map(|ema| self.top1(ema)).transpose()?,
        };
        self.observer.evaluated(&metrics);
        events.append(&metrics)?;
        self.log.0.push(metrics);
        self.log.write(&self.folder.metrics(), &self.folder.summary())?;
        if self.log.last_is_best(|line| Some(line.test)) {
            self.save(&model, &self.folder.best())?;
        }
        if let Some(ema) = &self.ema
            && self.log.last_is_best(|line| line.ema)
        {
            self.save(ema, &self.folder.best_ema())?;
        }
        Ok(())
    }

    fn top1(&self, model: &C) -> Result<Evaluation, TrainingError> {
        let FitData { test, preprocess, .. } = self.data;
        evaluate(model, test, preprocess, self.batches.batch_size(), &self.device)
    }

    fn save_last(&self) -> Result<(), TrainingError> {
        self.save(&self.trainer.model(), &self.folder.last())?;
        if let Some(ema) = &self.ema {
            self.save(ema, &self.folder.last_ema())?;
        }
        Ok(())
    }

    /// Writes a checkpoint that tells how its images were prepared, and what the classes are.
    fn save(&self, model: &C, path: &Path) -> Result<(), TrainingError> {
        let Preprocess { crop_pct, mean, std, .. } = *self.data.preprocess.settings();
        let preprocessing = Preprocessing { mean, std, crop_pct: Some(crop_pct) };
        let label_names = self.data.train.classes().to_vec();
        let told = PretrainedCfg { preprocessing: Some(preprocessing), label_names };
        Ok(model.save(path, Some(&told))?)
    }
}

/// Sum of losses, kept on the device so that a step does not wait for the one before.
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
    fn to_host(&self, step: usize) -> Result<Losses, TrainingError> {
        // The first read of a step, so here it shows that a device is gone.
        let sum = self.sum.clone().map_or(Ok(0.0), Tensor::try_into_scalar::<f32>);
        let sum = sum.map_err(|error| TrainingError::Device(error.to_string()))?;
        if sum.is_finite() {
            Ok(Losses { sum, steps: self.steps })
        } else {
            Err(TrainingError::Diverged { step, loss: sum })
        }
    }

    /// Reads the mean and starts anew.
    fn take(&mut self, step: usize) -> Result<f64, TrainingError> {
        let Losses { sum, steps } = self.to_host(step)?;
        *self = Self::default();
        Ok(f64::from(sum) / steps.max(1) as f64)
    }
}
