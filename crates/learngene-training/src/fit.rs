//! Training from a recipe.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicUsize},
};

use burn::tensor::Device;
use burn_train::{SupervisedTraining, TrainingStrategy, checkpoint::KeepLastNCheckpoints};
use learngene_datasets::{Augment, CheckedPreprocess, Dataset};
use learngene_models::{
    Classifier,
    checkpoint::{self, CheckpointError, ReadOptions},
};

use crate::{
    Metrics, Recipe, TrainingError,
    batches::Batches,
    drop_path::DropPath,
    evaluate::check_classes,
    metrics::MetricsLog,
    run_folder::{RunFolder, WholeFile},
    silent::Silent,
    start::Start,
    step_loop::{Outcome, StepLoop},
    trainer::learner,
};

/// The images of a run.
#[derive(Clone)]
pub struct FitData {
    /// Images to learn from.
    pub train: Arc<dyn Dataset>,
    /// Images to evaluate on; they choose the best checkpoint.
    pub test: Arc<dyn Dataset>,
    /// How both become tensors.
    pub preprocess: CheckedPreprocess,
}

/// Told how a run goes, as it goes.
pub trait Observer: Send + Sync {
    /// The run begins, or goes on after `done` of `total` optimiser steps.
    fn started(&self, done: usize, total: usize);
    /// That many steps are done.
    fn stepped(&self, done: usize);
    /// The model was evaluated.
    fn evaluated(&self, metrics: &Metrics);
}

/// Nobody listens.
impl Observer for () {
    fn started(&self, _: usize, _: usize) {}
    fn stepped(&self, _: usize) {}
    fn evaluated(&self, _: &Metrics) {}
}

/// A trained model and what was measured on the way.
#[derive(Debug)]
pub struct Fitted<C> {
    /// The model after the last epoch, ready for inference.
    pub model: C,
    /// Every evaluation of the run, in order.
    pub metrics: Vec<Metrics>,
}

/// Trains a classifier by a recipe, leaving its artefacts in `folder`.
///
/// A folder with an unfinished run of the same recipe is resumed after its last whole epoch and
/// ends with the same bytes as an uninterrupted run on the same device. A finished run is not
/// repeated.
///
/// # Errors
/// When the recipe cannot be carried out, the data does not fit the model or cannot be read, the
/// folder belongs to another run or cannot be written, or the loss stops being a number.
pub fn fit<C: Classifier + 'static>(
    model: C,
    data: &FitData,
    recipe: &Recipe,
    folder: &Path,
    device: &Device,
    observer: Arc<dyn Observer>,
) -> Result<Fitted<C>, TrainingError> {
    recipe.check()?;
    check_classes(&model, data.train.as_ref(), "training")?;
    check_classes(&model, data.test.as_ref(), "test")?;
    let folder = RunFolder::open(folder, recipe, &Start::of(&model, data))?;
    let device = device.clone().autodiff();
    let augment = Augment {
        flip: recipe.horizontal_flip,
        crop_padding: recipe.crop_padding,
        ..Augment::none()
    };
    let augment = augment.check()?;

    let train = Batches {
        images: data.train.clone(),
        preprocess: data.preprocess.clone(),
        drop_path: DropPath { rate: recipe.drop_path, layers: model.num_layers() },
        augment,
        batch_size: NonZeroUsize::new(recipe.batch_size).expect("the recipe was checked"),
        seed: recipe.seed,
        device: device.clone(),
        epoch: Arc::new(AtomicUsize::new(1)),
    };
    let steps = train.steps_per_epoch();
    let total = recipe.epochs * steps;
    let resumed = folder.newest_checkpoint();
    // A run that ended left its last model and no checkpoints.
    let ended = MetricsLog::read(&folder.metrics(), total)?;
    if resumed.is_none() && ended.ends_at(total) && folder.last().is_file() {
        observer.started(total, total);
        let last = checkpoint::read(&folder.last(), &ReadOptions::default())?;
        let model = model.with_parameters(&last.parameters).map_err(CheckpointError::from)?;
        folder.finish()?;
        return Ok(Fitted { model, metrics: ended.0 });
    }
    let done = resumed.unwrap_or(0) * steps;
    let log = MetricsLog::read(&folder.metrics(), done)?;
    observer.started(done, total);

    let learner = learner(model, recipe, steps, &device);
    let step_loop = Arc::new(StepLoop {
        recipe: recipe.clone(),
        train: train.clone(),
        test: data.test.clone(),
        preprocess: data.preprocess.clone(),
        device,
        folder: folder.clone(),
        observer,
        outcome: Mutex::new(Outcome { log, error: None }),
    });

    let checkpoints = |name| WholeFile { folder: folder.checkpoints(), name };
    let loader = Arc::new(train);
    let training = SupervisedTraining::new(folder.checkpoints(), loader.clone(), loader)
        .num_epochs(recipe.epochs)
        .with_application_logger(None)
        .renderer(Box::new(Silent))
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_custom_checkpointers(
            checkpoints("model"),
            checkpoints("optim"),
            checkpoints("scheduler"),
        )
        .with_training_strategy(TrainingStrategy::Custom(step_loop.clone()));
    let training = match resumed {
        Some(epoch) => training.checkpoint(epoch),
        None => training,
    };
    let result = training.launch(learner);

    let Outcome { log, error } = std::mem::take(&mut *step_loop.outcome());
    if let Some(error) = error {
        return Err(error);
    }
    if let Some(error) = result.error {
        return Err(TrainingError::Stopped(error.to_string()));
    }
    folder.finish()?;
    Ok(Fitted { model: result.model.model, metrics: log.0 })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use learngene_datasets::{BadImages, Preprocess, Split, Subset, open};
    use learngene_models::VitConfig;

    use super::*;

    /// Counts the steps it is told of.
    #[derive(Default)]
    struct Steps(AtomicUsize);

    impl Observer for Steps {
        fn started(&self, _: usize, _: usize) {}
        fn stepped(&self, _: usize) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn evaluated(&self, _: &Metrics) {}
    }

    #[test]
    fn a_finished_run_is_not_repeated() {
        let device = Device::flex();
        let images = open("cifar10-sample", Split::Train, BadImages::Refuse).expect("embedded");
        let images: Arc<dyn Dataset> = Arc::new(Subset::first(images.into(), 20));
        let preprocess = Preprocess::new(32).check().expect("32 pixels are possible");
        let data = FitData { train: images.clone(), test: images, preprocess };
        let recipe = Recipe { epochs: 1, batch_size: 8, ..Recipe::default() };
        let model = VitConfig::uniform(8, 1, 2)
            .with_image_size(32)
            .with_patch_size(16)
            .with_num_classes(10)
            .init(&device);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let run = |recipe: &Recipe| {
            let steps = Arc::new(Steps::default());
            let fitted = fit(model.clone(), &data, recipe, folder.path(), &device, steps.clone())
                .expect("the run can be carried out");
            (steps.0.load(Ordering::Relaxed), fitted)
        };
        let (steps, first) = run(&recipe);
        assert_eq!(steps, 3);
        // The same recipe, but for what it left open.
        let (steps, second) = run(&recipe.resolved());
        assert_eq!(steps, 0);
        assert_eq!(second.metrics, first.metrics);
        assert_eq!(second.model.state_dict(), first.model.state_dict());
    }
}
