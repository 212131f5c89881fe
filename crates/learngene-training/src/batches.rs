//! Batches in a seeded order, straight from a dataset to the device.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderIterator, Progress},
        dataset::DatasetError as BurnDatasetError,
    },
    tensor::{Device, Tensor, TensorData},
};
use learngene_datasets::{
    Augmentation, Batch, CheckedAugment, CheckedPreprocess, Dataset, Subset, load_batch,
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{TrainingError, drop_path::DropPath, trainee::ImageBatch};

/// The training images of a run, each once an epoch, in an order drawn from the seed and the epoch.
#[derive(Clone)]
pub(crate) struct Batches {
    pub(crate) images: Arc<dyn Dataset>,
    pub(crate) preprocess: CheckedPreprocess,
    pub(crate) augment: CheckedAugment,
    pub(crate) drop_path: DropPath,
    pub(crate) batch_size: NonZeroUsize,
    pub(crate) seed: u64,
    pub(crate) device: Device,
    /// The epoch that [`DataLoader::iter`] goes through, counted from one.
    pub(crate) epoch: Arc<AtomicUsize>,
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
}

impl DataLoader<ImageBatch> for Batches {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch> + 'a> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        Box::new(Epoch { batches: self, order: self.order(epoch), epoch, done: 0 })
    }

    fn num_items(&self) -> usize {
        self.images.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<ImageBatch>> {
        Arc::new(Self { device: device.clone(), ..self.clone() })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<ImageBatch>> {
        let images = Subset::new(self.images.clone(), (start..end).collect())
            .expect("burn-train slices within num_items");
        Arc::new(Self { images: Arc::new(images), ..self.clone() })
    }
}

/// One pass over the images.
struct Epoch<'a> {
    batches: &'a Batches,
    order: Vec<usize>,
    epoch: usize,
    done: usize,
}

impl Iterator for Epoch<'_> {
    type Item = Result<ImageBatch, BurnDatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Batches { images, preprocess, augment, drop_path, batch_size, seed, device, .. } =
            self.batches;
        let end = self.order.len().min(self.done + batch_size.get());
        let indices = self.order.get(self.done..end).filter(|indices| !indices.is_empty())?;
        let place = (self.epoch, self.done);
        let branches = drop_path.draw(indices.len(), *seed, place, device);
        self.done = end;
        let augmentation =
            Augmentation { augment: *augment, seed: *seed, epoch: self.epoch as u64 };
        let batch = load_labelled(images.as_ref(), indices, preprocess, Some(&augmentation));
        let batch = batch.map(|batch| ImageBatch { branches, ..to_device(batch, device) });
        Some(batch.map_err(BurnDatasetError::new))
    }
}

impl DataLoaderIterator<ImageBatch> for Epoch<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.order.len(), Some("images".into()))
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

/// Moves a batch to the device.
pub(crate) fn to_device(batch: Batch, device: &Device) -> ImageBatch {
    let labels: Vec<i64> = batch.labels.into_iter().map(|label| label as i64).collect();
    let count = [labels.len()];
    ImageBatch {
        images: Tensor::from_data(TensorData::new(batch.pixels, batch.shape), device),
        labels: Tensor::from_data(TensorData::new(labels, count), device),
        branches: None,
    }
}

#[cfg(test)]
mod tests {
    use learngene_datasets::{Augment, BadImages, Preprocess, Split, open};

    use super::*;

    fn batches(seed: u64) -> Batches {
        let images: Arc<dyn Dataset> =
            open("cifar10-sample", Split::Test, BadImages::Refuse).expect("it is embedded").into();
        Batches {
            images: Arc::new(Subset::new(images, (0..50).collect()).expect("it has more")),
            preprocess: Preprocess::new(32).check().expect("32 pixels are possible"),
            augment: Augment::flip_and_crop().check().expect("it is a preset"),
            drop_path: DropPath { rate: 0.0, layers: 1 },
            batch_size: NonZeroUsize::new(16).expect("not zero"),
            seed,
            device: Device::flex(),
            epoch: Arc::new(AtomicUsize::new(1)),
        }
    }

    /// The published code broke off in the middle of every epoch (fault 11).
    #[test]
    fn an_epoch_shows_every_image_once() {
        let batches = batches(0);
        let mut order = batches.order(3);
        let sizes: Vec<usize> = batches
            .iter()
            .map(|batch| batch.expect("the images are good").images.dims()[0])
            .collect();
        assert_eq!(sizes, [16, 16, 16, 2]);
        assert_eq!(sizes.len(), batches.steps_per_epoch());
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
    fn an_epoch_can_be_repeated_bit_by_bit() {
        let pixels = || {
            let batch = batches(5).iter().next().expect("there are images").expect("they are good");
            batch.images.into_data()
        };
        assert_eq!(pixels(), pixels());
    }
}
