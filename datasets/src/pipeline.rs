//! What every batch of a run goes through, from a plan to pixels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::augment::Scratch;
use crate::load::load_image;
use crate::preprocess::CHANNELS;
use crate::{Augmentation, Batch, CheckedAugment, CheckedPreprocess, Dataset, DatasetError, View};

/// Where the batches of a run come from, and what happens to them on the way.
#[derive(Clone)]
pub struct Pipeline {
    /// The images.
    pub dataset: Arc<dyn Dataset>,
    /// From images to the numbers a model takes.
    pub preprocess: CheckedPreprocess,
    /// Random changes; none for an evaluation.
    pub augment: Option<CheckedAugment>,
    /// Of the random changes.
    pub seed: u64,
    /// Share of a target spread over all classes, where batches are mixed and so have soft targets.
    pub label_smoothing: f64,
}

/// Which images make a batch, and when it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPlan {
    /// Epoch, so that an image looks different in each.
    pub epoch: u64,
    /// Step within the epoch, so that each batch is mixed in another way.
    pub step: u64,
    /// The images, in order.
    pub views: Vec<View>,
}

/// The batches of an epoch whose views stand in this order; the last may be smaller.
pub fn plan_epoch(
    epoch: u64,
    views: &[View],
    batch_size: std::num::NonZeroUsize,
) -> impl Iterator<Item = BatchPlan> {
    let batches = views.chunks(batch_size.get()).zip(0..);
    batches.map(move |(views, step)| BatchPlan { epoch, step, views: views.to_vec() })
}

impl Pipeline {
    /// Loads one batch on this thread. The same plan gives the same bytes, whatever was loaded before.
    ///
    /// # Errors
    /// When an image cannot be read or an index is past the end: the first such image in order.
    pub fn load(&self, plan: &BatchPlan) -> Result<Batch, DatasetError> {
        let never = AtomicBool::new(false);
        let batch = self.load_until(plan, &mut Scratch::default(), &never)?;
        Ok(batch.expect("nobody stops it"))
    }

    /// Loads a batch; nothing when it was stopped before its end.
    pub(crate) fn load_until(
        &self,
        plan: &BatchPlan,
        scratch: &mut Scratch,
        stop: &AtomicBool,
    ) -> Result<Option<Batch>, DatasetError> {
        let augmentation = self.augment.map(|augment| Augmentation {
            augment,
            seed: self.seed,
            epoch: plan.epoch,
        });
        let values = self.preprocess.values();
        let mut pixels = vec![0.0; plan.views.len() * values];
        for (pixels, view) in pixels.chunks_exact_mut(values).zip(&plan.views) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let dataset = self.dataset.as_ref();
            load_image(dataset, *view, &self.preprocess, augmentation.as_ref(), scratch, pixels)?;
        }
        let labels = plan.views.iter().filter_map(|view| self.dataset.label(view.index)).collect();
        let image_size = self.preprocess.settings().image_size;
        let shape = [plan.views.len(), CHANNELS, image_size as usize, image_size as usize];
        let mut batch = Batch { pixels, shape, labels, targets: None };
        if let Some(augment) = self.augment.filter(CheckedAugment::mixes) {
            let mix = augment.draw_mix(self.seed, plan.epoch, plan.step, image_size);
            batch.mix(&mix, self.dataset.classes().len(), self.label_smoothing)?;
        }
        Ok(Some(batch))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Augment, Cifar10, Preprocess, Split, load_batch};

    /// The sample of CIFAR-10.
    pub(crate) fn pipeline(augment: Augment) -> Pipeline {
        Pipeline {
            dataset: Arc::new(Cifar10::sample(Split::Test).expect("the embedded sample is whole")),
            preprocess: Preprocess::new(32).check().expect("the settings are valid"),
            augment: Some(augment.check().expect("the settings are valid")),
            seed: 5,
            label_smoothing: 0.1,
        }
    }

    fn plan(epoch: u64, step: u64, views: impl IntoIterator<Item = View>) -> BatchPlan {
        BatchPlan { epoch, step, views: views.into_iter().collect() }
    }

    fn load(augment: Augment, plan: &BatchPlan) -> Batch {
        pipeline(augment).load(plan).expect("the images are in memory")
    }

    #[test]
    fn without_mixing_a_batch_is_that_of_load_batch() {
        let Pipeline { dataset, preprocess, augment, seed, .. } =
            pipeline(Augment::flip_and_crop());
        let augmentation = augment.map(|augment| Augmentation { augment, seed, epoch: 3 });
        let batch = load_batch(&*dataset, &[4, 9], &preprocess, augmentation.as_ref());
        let plan = plan(3, 7, [4, 9].map(View::from));
        assert_eq!(load(Augment::flip_and_crop(), &plan), batch.expect("they are in memory"));
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes() {
        let plan = plan(3, 7, (0..8).map(View::from));
        assert_eq!(load(Augment::deit(), &plan), load(Augment::deit(), &plan));
    }

    #[test]
    fn epoch_step_and_repeat_all_matter() {
        let batch = |epoch, step, repeat| {
            load(Augment::deit(), &plan(epoch, step, (0..8).map(|index| View { index, repeat })))
        };
        let base = batch(1, 2, 0).pixels;
        for other in [batch(2, 2, 0), batch(1, 3, 0), batch(1, 2, 1)] {
            assert_ne!(base, other.pixels);
        }
    }

    #[test]
    fn mixed_batches_have_soft_targets() {
        let plan = plan(1, 2, (0..8).map(View::from));
        let targets = load(Augment::deit(), &plan).targets.expect("DeiT mixes every batch");
        assert_eq!(targets.len(), 8 * 10);
        assert_eq!(load(Augment::flip_and_crop(), &plan).targets, None);
    }

    #[test]
    fn the_first_bad_image_is_the_error() {
        let plan = plan(0, 0, [3, 1_002, 1_001].map(View::from));
        let error = pipeline(Augment::none()).load(&plan).expect_err("there are 1,000 images");
        assert!(matches!(error, DatasetError::IndexOutOfRange { index: 1_002, .. }), "{error}");
    }

    #[test]
    fn an_epoch_is_cut_into_batches() {
        let views: Vec<View> = (0..5).map(View::from).collect();
        let size = std::num::NonZeroUsize::new(2).expect("not zero");
        let plans: Vec<BatchPlan> = plan_epoch(4, &views, size).collect();
        assert_eq!(plans.len(), 3);
        assert_eq!(plans[2], plan(4, 2, [View::from(4)]));
    }
}
