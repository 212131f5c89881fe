//! Batches in a seeded order, loaded ahead of the steps that take them.

use std::{num::NonZeroUsize, sync::Arc};

use learngene_datasets::{
    Batch, BatchPlan, CheckedAugment, CheckedPreprocess, Dataset, Loader, Pipeline, View, Workers,
    plan_epoch, repeat_views,
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    FitData, Recipe,
    drop_path::DropPath,
    error::{Result, invalid},
    host_batch::HostBatch,
};

/// The training images of a run, in an order drawn from the seed and the epoch. An epoch shows each of
/// them once, or as often as the recipe repeats it.
#[derive(Clone)]
pub(crate) struct Batches {
    order: Order,
    pipeline: Pipeline,
    workers: Workers,
    drop_path: DropPath,
}

/// The order of the images.
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

    /// The batches of all steps from that one on, counted from zero.
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
    /// The batches of a checked recipe for a model of that many layers.
    ///
    /// # Errors
    /// An image without a label.
    pub(crate) fn new(
        data: &FitData,
        augment: CheckedAugment,
        recipe: &Recipe,
        layers: usize,
        workers: Workers,
    ) -> Result<Self> {
        let images = data.train.as_ref();
        check_labels(images)?;
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

    /// The batches of all steps from that one on, counted from zero.
    ///
    /// # Errors
    /// When loading threads cannot be started.
    pub(crate) fn starting_at(
        &self,
        step: usize,
    ) -> Result<impl Iterator<Item = Result<HostBatch>>> {
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
fn check_labels(images: &dyn Dataset) -> Result<()> {
    match (0..images.len()).find(|index| images.label(*index).is_none()) {
        Some(index) => Err(invalid(images.name(index), "no label", "a label for every image")),
        None => Ok(()),
    }
}

/// All images of a dataset once and in order, without augmentation, loaded ahead.
///
/// # Errors
/// An image without a label; loading threads that cannot be started.
pub(crate) fn in_order(
    images: &Arc<dyn Dataset>,
    preprocess: &CheckedPreprocess,
    batch_size: NonZeroUsize,
) -> Result<impl Iterator<Item = Result<Batch>>> {
    check_labels(images.as_ref())?;
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
    use crate::named_images::Named;

    fn batches(augment: Augment, seed: u64) -> Batches {
        let recipe = &Recipe { augment, batch_size: 16, seed, ..Recipe::default() };
        let images: Arc<dyn Dataset> =
            open("cifar10-sample", Split::Test, BadImages::Refuse).expect("it is embedded").into();
        let images: Arc<dyn Dataset> =
            Arc::new(Subset::new(images, (0..50).collect()).expect("it has more"));
        let data = FitData {
            train: images.clone(),
            test: images,
            preprocess: Preprocess::new(32).check().expect("32 pixels are possible"),
            teacher: None,
        };
        let augment = recipe.augment.check().expect("it is a preset");
        Batches::new(&data, augment, recipe, 1, Workers::default())
            .expect("the images are labelled")
    }

    fn plain(seed: u64) -> Batches {
        batches(Augment::flip_and_crop(), seed)
    }

    /// That many batches from a step on.
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
        let expected = order.iter().map(|index| images.label(*index).expect("labelled"));
        assert_eq!(labels.concat(), expected.collect::<Vec<_>>());
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
    fn an_image_without_a_label_is_refused() {
        let images = Named(&[("a.png", Some(0)), ("b.png", None)]);
        let error = check_labels(&images).expect_err("one has none").to_string();
        assert_eq!(error, "b.png: found no label, expected a label for every image");
    }
}
