//! Training from a recipe.

use std::{path::Path, sync::Arc};

use burn::tensor::DType;
use learngene_datasets::{CheckedPreprocess, Dataset};
use learngene_models::{
    Classifier,
    checkpoint::{self, CheckpointError, ReadOptions},
};

use crate::{
    Execution, Metrics, Precision, Recipe, TrainingError, WarmupCosine, batches::Batches,
    evaluate::check_classes, metrics::MetricsLog, run::Run, run_folder::RunFolder, start::Start,
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
    /// Whether the run had ended before, and the model was made of the parameters of its last checkpoint.
    pub read_back: bool,
}

/// Trains a classifier by a recipe, leaving its artefacts in `folder`.
///
/// A folder with an unfinished run of the same recipe is
/// resumed after its newest checkpoint and ends with the same bytes as an uninterrupted run on the
/// same CPU. A finished run is not repeated. The folder is this run's alone: the caller sees to it that
/// no other one writes to it meanwhile.
///
/// # Errors
/// When the recipe cannot be carried out, the data does not fit the model or cannot be read, the
/// folder belongs to another run or cannot be written, a device fails, or the loss stops being a
/// number.
///
/// # Panics
/// If there is no device.
pub fn fit<C: Classifier + 'static>(
    model: C,
    data: &FitData,
    recipe: &Recipe,
    folder: &Path,
    execution: &Execution,
    observer: Arc<dyn Observer>,
) -> Result<Fitted<C>, TrainingError> {
    recipe.check()?;
    let augment = recipe.augment.check()?;
    if recipe.precision == Precision::Bf16
        && let Some(device) =
            execution.devices.iter().position(|device| !device.supports_dtype(DType::BF16))
    {
        return Err(TrainingError::NoBf16 { device });
    }
    check_classes(&model, data.train.as_ref(), "training")?;
    check_classes(&model, data.test.as_ref(), "test")?;
    check_warmup(recipe, data.train.len())?;
    let folder = RunFolder::open(folder, recipe, &Start::of(&model, data))?;
    folder.note(execution.environment.as_deref())?;

    let batches = Batches::new(data, augment, recipe, model.num_layers(), execution.workers)?;
    let total = recipe.epochs * batches.steps_per_epoch();
    let saved = folder.newest_state();
    // A run that ended left its last model and no states.
    let ended = MetricsLog::read(&folder.metrics(), total)?;
    if saved.is_none() && ended.ends_at(total) && folder.last().is_file() {
        observer.started(total, total);
        let last = checkpoint::read(&folder.last(), &ReadOptions::default())?;
        let model = model.with_parameters(&last.parameters).map_err(CheckpointError::from)?;
        folder.finish()?;
        return Ok(Fitted { model, metrics: ended.0, read_back: true });
    }
    let mut run = Run::begin(model, data, recipe, batches, folder, execution.devices, observer)?;
    if let Some(saved) = saved {
        run = run.resume(saved)?;
    }
    run.finish()
}

/// Says where the learning rate never comes to its peak, and refuses a run where it stays at zero.
fn check_warmup(recipe: &Recipe, images: usize) -> Result<(), TrainingError> {
    let schedule = WarmupCosine::new(recipe, recipe.steps_per_epoch(images));
    let steps = recipe.epochs * recipe.steps_per_epoch(images);
    match schedule.unfinished_warmup(steps) {
        Some(0.0) => return Err(TrainingError::NothingLearnt { steps }),
        Some(highest) => tracing::warn!(
            "optimiser steps: {steps}, all of them warm-up: the learning rate rises to {highest:.2e} \
             instead of {:.2e}, so next to nothing may be learnt; take more epochs, or a \
             --warmup-epochs of 0",
            recipe.peak_learning_rate()
        ),
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn::tensor::Device;
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
        let devices = [Device::flex()];
        let images = open("cifar10-sample", Split::Train, BadImages::Refuse).expect("embedded");
        let images: Arc<dyn Dataset> = Arc::new(Subset::first(images.into(), 20));
        let preprocess = Preprocess::new(32).check().expect("32 pixels are possible");
        let data = FitData { train: images.clone(), test: images, preprocess };
        let recipe = Recipe { epochs: 1, batch_size: 8, ..Recipe::default() };
        let model = VitConfig::uniform(8, 1, 2)
            .with_image_size(32)
            .with_patch_size(16)
            .with_num_classes(10)
            .init(&devices[0]);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let execution = Execution::on(&devices);
        let run = |recipe: &Recipe| {
            let steps = Arc::new(Steps::default());
            let fitted =
                fit(model.clone(), &data, recipe, folder.path(), &execution, steps.clone())
                    .expect("the run can be carried out");
            (steps.0.load(Ordering::Relaxed), fitted)
        };
        let (steps, first) = run(&recipe);
        assert_eq!(steps, 3);
        // The same recipe, but for what it left open.
        let (steps, second) = run(&recipe.resolved());
        assert_eq!(steps, 0);
        assert_eq!((first.read_back, second.read_back), (false, true));
        assert_eq!(second.metrics, first.metrics);
        assert_eq!(second.model.state_dict(), first.model.state_dict());
    }
}
