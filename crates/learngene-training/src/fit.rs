//! Training from a recipe.

use std::{path::Path, sync::Arc};

use burn::tensor::DType;
use learngene_checkpoints::ReadOptions;
use learngene_models::Classifier;

use crate::{
    Execution, FitData, Fitted, Observer, Precision, Recipe,
    batches::Batches,
    error::{Result, invalid},
    evaluate::check_classes,
    metrics::MetricsLog,
    run::Run,
    run_folder::{LAST, METRICS, RunFolder},
    run_identity::RunIdentity,
    schedule::WarmupCosine,
    train_state::TrainState,
};

/// Trains a classifier by a recipe and writes the results to `folder`.
///
/// An unfinished run of the same recipe in the folder is resumed from its newest state and ends with
/// the same bytes as an uninterrupted run on the same CPU. A finished run is not repeated. The caller
/// makes sure that no other run writes to the folder at the same time.
///
/// # Errors
/// A recipe that cannot be used; data that does not fit the model or cannot be read; a folder that
/// belongs to another run or cannot be written; a device that fails; a loss that is not finite.
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
) -> Result<Fitted<C>> {
    recipe.check()?;
    let augment = recipe.augment.check()?;
    if recipe.precision == Precision::Bf16
        && let Some(device) =
            execution.devices.iter().position(|device| !device.supports_dtype(DType::BF16))
    {
        let found = format!("bf16, which device {} does not support", device + 1);
        let expected = "f32, or devices that support bf16 (`learngene list devices` lists them)";
        return Err(invalid("precision", found, expected));
    }
    check_classes(&model, data.train.as_ref(), "training")?;
    check_classes(&model, data.test.as_ref(), "test")?;
    check_warmup(recipe, data.train.len())?;
    if data.teacher.is_none() && recipe.label_weight == 0.0 {
        return Err(invalid("label_weight", 0, "more than 0 where there is no teacher"));
    }
    let folder = RunFolder::open(folder, recipe, &RunIdentity::of(&model, data))?;
    folder.write_environment(execution.environment.as_deref())?;

    let batches = Batches::new(data, augment, recipe, model.num_layers(), execution.workers)?;
    let total = recipe.epochs * batches.steps_per_epoch();
    let state = TrainState::newest(&folder.states());
    // A finished run has its last model and no states.
    let ended = MetricsLog::read(&folder.path(METRICS), total)?;
    if state.is_none() && ended.ends_at(total) && folder.path(LAST).is_file() {
        observer.started(total, total);
        let last = learngene_checkpoints::read(&folder.path(LAST), &ReadOptions::default())?;
        let model = model.with_parameters(&last.parameters)?;
        folder.finish()?;
        return Ok(Fitted { model, metrics: ended.0, read_back: true });
    }
    let mut run = Run::begin(model, data, recipe, batches, folder, execution.devices, observer)?;
    if let Some(state) = state {
        run = run.resume(state)?;
    }
    run.finish()
}

/// Warns if the learning rate never reaches its peak, and refuses a run in which it stays at zero.
fn check_warmup(recipe: &Recipe, images: usize) -> Result<()> {
    let schedule = WarmupCosine::new(recipe, recipe.steps_per_epoch(images));
    let steps = recipe.epochs * recipe.steps_per_epoch(images);
    match schedule.unfinished_warmup(steps) {
        Some(0.0) => {
            let found = format!("{steps}, all of them warm-up from a learning rate of 0");
            let expected = "steps after the warm-up; take more epochs, or a --warmup-epochs of 0";
            return Err(invalid("optimiser steps", found, expected));
        }
        Some(highest) => tracing::warn!(
            "optimiser steps: {steps}, all of them warm-up: the learning rate grows to {highest:.2e} \
             instead of {:.2e}, so the model may learn little; take more epochs, or a \
             --warmup-epochs of 0",
            recipe.peak_learning_rate()
        ),
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use burn::tensor::Device;
    use learngene_datasets::{BadImages, Dataset, Preprocess, Split, Subset, open};
    use learngene_models::Model;
    use learngene_shape::{Family, Vit};

    use super::*;
    use crate::{Metrics, TrainingError};

    /// Counts steps.
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
        let data = FitData { train: images.clone(), test: images, preprocess, teacher: None };
        let recipe = Recipe { epochs: 1, batch_size: 8, ..Recipe::default() };
        let vit = Vit { image_size: 32, patch_size: 16, num_classes: 10, ..Vit::uniform(8, 1, 2) };
        let model = Model::init(&vit.shape().expect("a possible shape"), &devices[0]);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let execution = Execution::on(&devices);
        let run = |recipe: &Recipe| {
            let steps = Arc::new(Steps::default());
            let fitted =
                fit(model.clone(), &data, recipe, folder.path(), &execution, steps.clone())
                    .expect("a short run");
            (steps.0.load(Ordering::Relaxed), fitted)
        };
        let (steps, first) = run(&recipe);
        assert_eq!(steps, 3);
        // The same recipe with nothing left open.
        let (steps, second) = run(&recipe.resolved());
        assert_eq!(steps, 0);
        assert_eq!((first.read_back, second.read_back), (false, true));
        assert_eq!(second.metrics, first.metrics);
        assert_eq!(second.model.state_dict(), first.model.state_dict());

        let other = Recipe { seed: 1, ..recipe };
        let refused = fit(model, &data, &other, folder.path(), &execution, Arc::new(()));
        let Err(TrainingError::OtherRun { path, differs, key }) = refused else {
            panic!("another run in this folder: {refused:?}")
        };
        assert!(path.ends_with("recipe.toml"));
        assert_eq!((&*key, &*differs), ("seed", "found seed = 0, expected seed = 1"));
    }
}
