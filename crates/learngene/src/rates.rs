//! Learning rates tried before a run.

use std::{path::Path, sync::Arc};

use learngene_datasets::{Dataset, HeldOut, fraction, hold_out};
use learngene_models::Model;
use learngene_training::{Execution, FitData, Observer, Recipe, find_rate};

use crate::progress::TrainingProgress;

/// Share of the training images on which learning rates are compared.
const HELD_OUT: f64 = 0.2;

/// Steps of a run that tries a learning rate, about.
const STEPS: usize = 50;

/// The peak learning rate whose short run is best on held-out training images. `start` gives the model
/// for the images that it may learn from.
pub fn find(
    data: &FitData,
    recipe: &Recipe,
    folder: &Path,
    execution: &Execution<'_>,
    start: impl Fn(&FitData) -> anyhow::Result<Model>,
) -> anyhow::Result<f64> {
    let HeldOut { kept, held_out } = hold_out(data.train.clone(), HELD_OUT, recipe.seed)?;
    let wanted = STEPS * recipe.batch_size;
    let at_most = |images| at_most(wanted, images, recipe.seed);
    let (train, test) = (at_most(Arc::new(kept))?, at_most(Arc::new(held_out))?);
    let epochs = wanted.div_ceil(train.len()).min(recipe.epochs);
    let classes = train.classes().len();
    let data = FitData { train, test, ..data.clone() };
    let recipe = Recipe { epochs, warmup_epochs: None, evaluations_per_epoch: 1, ..recipe.clone() };
    let has_teacher = data.teacher.is_some();
    let observer = |rate: f64| -> Arc<dyn Observer> {
        let phase = format!("learning rate {rate:e}");
        let progress = TrainingProgress::new(Some(&phase), "held-out", classes);
        Arc::new(progress.with_teacher(has_teacher))
    };
    let tried = find_rate(&start(&data)?, &data, &recipe, folder, execution, observer)?;
    let seen: Vec<String> = tried
        .iter()
        .map(|of| format!("{:e}: loss {:.3}", of.learning_rate, of.evaluation.loss))
        .collect();
    tracing::info!("learning rates tried, the best first: {}", seen.join(", "));
    Ok(tried[0].learning_rate)
}

/// So many of the images, of every class alike.
fn at_most(wanted: usize, images: Arc<dyn Dataset>, seed: u64) -> anyhow::Result<Arc<dyn Dataset>> {
    if images.len() <= wanted {
        return Ok(images);
    }
    let share = wanted as f64 / images.len() as f64;
    Ok(Arc::new(fraction(images, share, seed)?))
}
