//! Batches in a seeded order, straight from a dataset.

use std::{num::NonZeroUsize, sync::Arc};

use learngene_datasets::{Augment, Augmentation, Batch, CheckedPreprocess, Dataset, load_batch};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{TrainingError, drop_path::DropPath, host_batch::HostBatch};

/// The training images of a run, each once an epoch, in an order drawn from the seed and the epoch.
#[derive(Clone)]
pub(crate) struct Batches {
    pub(crate) images: Arc<dyn Dataset>,
    pub(crate) preprocess: CheckedPreprocess,
    pub(crate) augment: Augment,
    pub(crate) drop_path: DropPath,
    pub(crate) batch_size: NonZeroUsize,
    pub(crate) seed: u64,
}

impl Batches {
    pub(crate) fn steps_per_epoch(&self) -> usize {
        self.images.len().div_ceil(self.batch_size.get())
    }

    /// All indices, shuffled by seed and epoch.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch as u64);
        order.shuffle(&mut rng);
        order
    }

    /// The batches of the steps from that one on, counted from zero, without an end.
    pub(crate) fn from_step(
        &self,
        step: usize,
    ) -> impl Iterator<Item = Result<HostBatch, TrainingError>> {
        let steps = self.steps_per_epoch();
        let mut order = (0, Vec::new());
        (step..).map(move |step| {
            let epoch = step / steps + 1;
            if order.0 != epoch {
                order = (epoch, self.order(epoch));
            }
            let first = step % steps * self.batch_size.get();
            let end = self.images.len().min(first + self.batch_size.get());
            self.load(&order.1[first..end], (epoch, first))
        })
    }

    /// Reads some images, whose place is the epoch, and that of the first of them in its order.
    fn load(&self, indices: &[usize], place: (usize, usize)) -> Result<HostBatch, TrainingError> {
        let Self { images, preprocess, augment, drop_path, seed, .. } = self;
        let augmentation = Augmentation { augment: *augment, seed: *seed, epoch: place.0 as u64 };
        let batch = load_labelled(images.as_ref(), indices, preprocess, Some(&augmentation))?;
        Ok(HostBatch::new(batch, drop_path.draw(indices.len(), *seed, place)))
    }
}

/// Reads images that must have labels.
pub(crate) fn load_labelled(
    images: &dyn Dataset,
    indices: &[usize],
    preprocess: &CheckedPreprocess,
    augmentation: Option<&Augmentation>,
) -> Result<Batch, TrainingError> {
    if let Some(index) = indices.iter().find(|index| images.label(**index).is_none()) {
        return Err(TrainingError::Unlabelled { name: images.name(*index) });
    }
    Ok(load_batch(images, indices, preprocess, augmentation)?)
}

#[cfg(test)]
mod tests {
    use learngene_datasets::{BadImages, Preprocess, Split, Subset, open};

    use super::*;

    fn batches(seed: u64) -> Batches {
        let images: Arc<dyn Dataset> =
            open("cifar10-sample", Split::Test, BadImages::Refuse).expect("it is embedded").into();
        Batches {
            images: Arc::new(Subset::new(images, (0..50).collect()).expect("it has more")),
            preprocess: Preprocess::new(32).check().expect("32 pixels are possible"),
            augment: Augment::flip_and_crop(),
            drop_path: DropPath { rate: 0.0, layers: 1 },
            batch_size: NonZeroUsize::new(16).expect("not zero"),
            seed,
        }
    }

    /// The published code broke off in the middle of every epoch (fault 11).
    #[test]
    fn an_epoch_shows_every_image_once() {
        let batches = batches(0);
        let mut order = batches.order(3);
        assert_eq!(batches.steps_per_epoch(), 4);
        let epoch = batches.from_step(8).take(4).map(|batch| batch.expect("the images are good"));
        let (sizes, labels): (Vec<_>, Vec<_>) =
            epoch.map(|batch| (batch.len(), batch.batch.labels)).unzip();
        assert_eq!(sizes, [16, 16, 16, 2]);
        let in_order = order.iter().map(|index| batches.images.label(*index).expect("labelled"));
        assert_eq!(labels.concat(), in_order.collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn order_depends_on_seed_and_epoch_alone() {
        assert_eq!(batches(0).order(1), batches(0).order(1));
        assert_ne!(batches(0).order(1), batches(0).order(2));
        assert_ne!(batches(0).order(1), batches(1).order(1));
    }

    #[test]
    fn a_batch_is_the_same_wherever_a_run_begins() {
        let batches = batches(5);
        let pixels = |begin: usize| {
            let batch = batches.from_step(begin).nth(6 - begin).expect("there is no end");
            batch.expect("the images are good").batch.pixels
        };
        assert_eq!(pixels(0), pixels(6));
        assert_eq!(pixels(3), pixels(6));
    }
}
