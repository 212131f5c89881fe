//! Batches in a seeded order, loaded ahead of the steps that take them.

use std::{num::NonZeroUsize, sync::Arc};

use learngene_datasets::{
    Batch, BatchPlan, CheckedAugment, CheckedPreprocess, Dataset, Loader, Pipeline, View, Workers,
    plan_epoch, repeat_views,
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{FitData, Recipe, TrainingError, drop_path::DropPath, host_batch::HostBatch};

/// The training images of a run, each once an epoch (or as often as the recipe repeats it), in an
/// order drawn from the seed and the epoch.
#[derive(Clone)]
pub(crate) struct Batches {
    order: Order,
    pipeline: Pipeline,
    workers: Workers,
    drop_path: DropPath,
}

/// Which images make the batches of an epoch.
#[derive(Clone, Copy)]
struct Order {
    images: usize,
    repeats: u32,
    batch_size: NonZeroUsize,
    seed: u64,
    steps_per_epoch: usize,
}

impl Order {
    /// The views of an epoch, counted from one, shuffled by seed and epoch.
    fn views(self, epoch: usize) -> Vec<View> {
        let mut order: Vec<usize> = (0..self.images).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch as u64);
        order.shuffle(&mut rng);
        repeat_views(&order, self.repeats, 0, 1)
    }

    /// The batches of the steps from that one on, counted from zero, without an end.
    fn plans(self, step: usize) -> impl Iterator<Item = BatchPlan> + Send + 'static {
        let steps = self.steps_per_epoch;
        let epochs = step / steps + 1..;
        let plans = epochs.flat_map(move |epoch| {
            let views = self.views(epoch);
            plan_epoch(epoch as u64, &views, self.batch_size).collect::<Vec<_>>()
        });
        plans.skip(step % steps)
    }
}

impl Batches {
    /// The batches of a recipe, which was checked, for a model of so many layers.
    ///
    /// # Errors
    /// Names the first image without a label.
    pub(crate) fn new(
        data: &FitData,
        augment: CheckedAugment,
        recipe: &Recipe,
        layers: usize,
        workers: Workers,
    ) -> Result<Self, TrainingError> {
        let images = data.train.as_ref();
        check_labels(images, 0..images.len())?;
        Ok(Self {
            order: Order {
                images: images.len(),
                repeats: recipe.augment.repeats,
                batch_size: NonZeroUsize::new(recipe.batch_size).expect("the recipe was checked"),
                seed: recipe.seed,
                steps_per_epoch: recipe.steps_per_epoch(images.len()),
            },
            pipeline: Pipeline {
                dataset: data.train.clone(),
                preprocess: data.preprocess.clone(),
                augment: Some(augment),
                seed: recipe.seed,
                label_smoothing: recipe.label_smoothing,
            },
            workers,
            drop_path: DropPath { rate: recipe.drop_path, layers },
        })
    }

    pub(crate) fn batch_size(&self) -> NonZeroUsize {
        self.order.batch_size
    }

    pub(crate) fn steps_per_epoch(&self) -> usize {
        self.order.steps_per_epoch
    }

    /// The batches of the steps from that one on, counted from zero, without an end.
    ///
    /// # Errors
    /// When the system gives no threads to load them on.
    pub(crate) fn starting_at(
        &self,
        step: usize,
    ) -> Result<impl Iterator<Item = Result<HostBatch, TrainingError>>, TrainingError> {
        let Self { order, drop_path, .. } = *self;
        let (steps, size) = (order.steps_per_epoch, order.batch_size.get());
        let loader = Loader::start(self.pipeline.clone(), order.plans(step), self.workers)?;
        Ok(loader.zip(step..).map(move |(batch, step)| {
            let batch = batch?;
            let place = (step / steps + 1, step % steps * size);
            let branches = drop_path.draw(batch.shape[0], order.seed, place);
            Ok(HostBatch::new(batch, branches))
        }))
    }
}

/// Checks that images have labels.
fn check_labels(
    images: &dyn Dataset,
    mut indices: impl Iterator<Item = usize>,
) -> Result<(), TrainingError> {
    match indices.find(|index| images.label(*index).is_none()) {
        Some(index) => Err(TrainingError::Unlabelled { name: images.name(index) }),
        None => Ok(()),
    }
}

/// All images of a dataset, each of which must have a label, once and in order, as they are
/// evaluated: without augmentation, loaded ahead.
///
/// # Errors
/// Names the first image without a label; when the system gives no threads.
pub(crate) fn in_order(
    images: &Arc<dyn Dataset>,
    preprocess: &CheckedPreprocess,
    batch_size: NonZeroUsize,
) -> Result<impl Iterator<Item = Result<Batch, TrainingError>>, TrainingError> {
    check_labels(images.as_ref(), 0..images.len())?;
    let pipeline = Pipeline {
        dataset: images.clone(),
        preprocess: preprocess.clone(),
        augment: None,
        seed: 0,
        label_smoothing: 0.0,
    };
    let order: Vec<usize> = (0..images.len()).collect();
    let plans: Vec<BatchPlan> = plan_epoch(0, &repeat_views(&order, 1, 0, 1), batch_size).collect();
    let loader = Loader::start(pipeline, plans, Workers::default())?;
    Ok(loader.map(|batch| Ok(batch?)))
}

#[cfg(test)]
mod tests {
    use learngene_datasets::{Augment, BadImages, Preprocess, Split, Subset, open};

    use super::*;

    fn batches(augment: Augment, seed: u64) -> Batches {
        batches_of(&Recipe { augment, batch_size: 16, seed, ..Recipe::default() })
    }

    fn batches_of(recipe: &Recipe) -> Batches {
        let images: Arc<dyn Dataset> =
            open("cifar10-sample", Split::Test, BadImages::Refuse).expect("it is embedded").into();
        let images: Arc<dyn Dataset> =
            Arc::new(Subset::new(images, (0..50).collect()).expect("it has more"));
        let data = FitData {
            train: images.clone(),
            test: images,
            preprocess: Preprocess::new(32).check().expect("32 pixels are possible"),
        };
        let augment = recipe.augment.check().expect("it is a preset");
        Batches::new(&data, augment, recipe, 1, Workers::default())
            .expect("the images are labelled")
    }

    fn plain(seed: u64) -> Batches {
        batches(Augment::flip_and_crop(), seed)
    }

    /// So many batches from a step on.
    fn load(batches: &Batches, step: usize, count: usize) -> Vec<HostBatch> {
        let loaded = batches.starting_at(step).expect("there are threads").take(count);
        loaded.map(|batch| batch.expect("the images are good")).collect()
    }

    /// The published code broke off in the middle of every epoch.
    #[test]
    fn an_epoch_shows_every_image_once() {
        let batches = plain(0);
        assert_eq!(batches.steps_per_epoch(), 4);
        let (sizes, labels): (Vec<_>, Vec<_>) =
            load(&batches, 8, 4).into_iter().map(|batch| (batch.len(), batch.batch.labels)).unzip();
        assert_eq!(sizes, [16, 16, 16, 2]);
        let mut order: Vec<usize> =
            batches.order.views(3).into_iter().map(|view| view.index).collect();
        let images = &batches.pipeline.dataset;
        let wanted = order.iter().map(|index| images.label(*index).expect("labelled"));
        assert_eq!(labels.concat(), wanted.collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn order_depends_on_seed_and_epoch_alone() {
        let views = |seed, epoch| plain(seed).order.views(epoch);
        assert_eq!(views(0, 1), views(0, 1));
        assert_ne!(views(0, 1), views(0, 2));
        assert_ne!(views(0, 1), views(1, 1));
    }

    /// Batches are the same wherever a run begins.
    fn check_resumed(augment: Augment) {
        let batches = batches(augment, 5);
        let batch = |begin: usize| {
            let batch = load(&batches, begin, 7 - begin).pop().expect("there is no end");
            (batch.batch.pixels, batch.batch.labels, batch.batch.targets)
        };
        assert_eq!(batch(0), batch(6));
        assert_eq!(batch(3), batch(6));
    }

    #[test]
    fn a_batch_is_the_same_wherever_a_run_begins() {
        check_resumed(Augment::flip_and_crop());
        check_resumed(Augment::deit());
    }

    #[test]
    fn an_image_without_a_label_is_named() {
        struct Unlabelled;
        impl Dataset for Unlabelled {
            fn len(&self) -> usize {
                1
            }
            fn classes(&self) -> &[String] {
                &[]
            }
            fn label(&self, _: usize) -> Option<usize> {
                None
            }
            fn image(&self, _: usize) -> Result<image::RgbImage, learngene_datasets::DatasetError> {
                Ok(image::RgbImage::new(1, 1))
            }
            fn name(&self, _: usize) -> String {
                "a.png".into()
            }
        }
        let error = check_labels(&Unlabelled, 0..1).expect_err("it has none").to_string();
        assert!(error.contains("a.png"), "{error}");
    }
}
