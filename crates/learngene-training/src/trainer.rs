//! Optimiser steps one at a time.

use std::num::NonZeroUsize;

use burn::{
    module::Module,
    optim::ModuleOptimizer,
    tensor::{Device, Tensor},
};
use learngene_datasets::Batch;
use learngene_models::Classifier;

use crate::{
    Recipe, TrainingError, WarmupCosine, clip::clip_global_norm, gradients::Passes,
    host_batch::HostBatch, optimizer::adamw, trainee::Trainee,
};

/// Takes one optimiser step after another, as [`fit`](crate::fit) does, on batches that the caller
/// brings: for benchmarks, and for loops that `fit` does not have.
pub struct Trainer<C: Classifier + 'static> {
    pub(crate) trainee: Trainee<C>,
    pub(crate) optimizer: ModuleOptimizer,
    passes: Passes<C>,
    schedule: WarmupCosine,
    clip_norm: f64,
    /// Steps taken so far.
    pub(crate) done: usize,
}

impl<C: Classifier + 'static> Trainer<C> {
    /// Starts at the first step of a recipe with that many steps an epoch, on devices without
    /// autodiff; the first has the model and the optimiser. The recipe is taken as it is:
    /// [`Recipe::check`] says whether it can be carried out.
    ///
    /// # Panics
    /// If there is no device.
    pub fn new(model: C, recipe: &Recipe, steps_per_epoch: usize, devices: &[Device]) -> Self {
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        let Recipe { label_smoothing, gradient_checkpointing, precision, .. } = *recipe;
        let trainee = Trainee { model, label_smoothing, gradient_checkpointing, precision };
        let trainee = trainee.fork(&devices[0]).train();
        let images_per_pass =
            NonZeroUsize::new(recipe.images_per_pass()).unwrap_or(NonZeroUsize::MIN);
        Self {
            optimizer: adamw(recipe, &trainee),
            trainee,
            passes: Passes::new(devices, images_per_pass),
            schedule: WarmupCosine::new(recipe, steps_per_epoch),
            clip_norm: recipe.clip_norm,
            done: 0,
        }
    }

    /// Brings a batch to the device and takes a step on it. The mean loss, a tensor of shape `[1]`,
    /// is left on the device, so that a step need not wait for the one before.
    ///
    /// # Errors
    /// When one of several devices fails.
    ///
    /// # Panics
    /// If the batch has no images, other images than the model takes, or labels that are not among its
    /// classes.
    pub fn step(&mut self, batch: Batch) -> Result<Tensor<1>, TrainingError> {
        self.take(HostBatch::new(batch, None))
    }

    /// Gradients, learning rate, optimiser; returns the mean loss.
    pub(crate) fn take(&mut self, batch: HostBatch) -> Result<Tensor<1>, TrainingError> {
        let (mut gradients, loss) = self.passes.gradients(&self.trainee, batch)?;
        if self.clip_norm > 0.0 {
            gradients = clip_global_norm(&self.trainee, gradients, self.clip_norm);
        }
        let trainee = self.trainee.clone();
        self.trainee = self.optimizer.step(self.learning_rate(), trainee, gradients);
        self.done += 1;
        Ok(loss)
    }

    /// Learning rate of the next step.
    pub(crate) fn learning_rate(&self) -> f64 {
        self.schedule.at(self.done)
    }

    /// The model for inference, on the first device.
    pub(crate) fn model(&self) -> C {
        self.trainee.model.valid()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use learngene_datasets::{BadImages, Preprocess, Split, load_batch, open};
    use learngene_models::{Vit, VitConfig};

    use super::*;

    /// The same weights each time.
    fn vit() -> Vit {
        static VIT: OnceLock<Vit> = OnceLock::new();
        let shape = VitConfig::uniform(16, 2, 2).with_image_size(32).with_patch_size(16);
        VIT.get_or_init(|| shape.with_num_classes(10).init(&Device::flex())).clone()
    }

    fn batch() -> Batch {
        let images = open("cifar10-sample", Split::Train, BadImages::Refuse).expect("embedded");
        let preprocess = Preprocess::new(32).check().expect("32 pixels are possible");
        let indices: Vec<usize> = (0..16).collect();
        load_batch(&*images, &indices, &preprocess, None).expect("embedded images")
    }

    fn losses(recipe: &Recipe, devices: usize, steps: usize) -> Vec<f32> {
        let mut trainer = Trainer::new(vit(), recipe, 1, &vec![Device::flex(); devices]);
        let step = |_| trainer.step(batch()).expect("nothing fails").into_scalar::<f32>();
        (0..steps).map(step).collect()
    }

    fn recipe() -> Recipe {
        Recipe { batch_size: 16, learning_rate: 0.1, ..Recipe::default() }
    }

    #[test]
    fn steps_on_one_batch_lower_its_loss() {
        let losses = losses(&recipe(), 1, 20);
        assert!(losses[19] < losses[0] - 0.1, "{losses:?}");
    }

    /// Losses of ten steps are those of the whole batch on one device.
    fn check_same_losses(images_per_pass: usize, devices: usize) {
        let recipe = Recipe { images_per_pass, clip_norm: 0.5, ..recipe() };
        let whole = losses(&Recipe { images_per_pass: 0, ..recipe.clone() }, 1, 10);
        let parts = losses(&recipe, devices, 10);
        for (whole, parts) in whole.iter().zip(&parts) {
            assert!((whole - parts).abs() < 2e-5, "{whole} and {parts}");
        }
        assert!(whole[9] < whole[0] - 0.01, "{whole:?}");
    }

    #[test]
    fn passes_over_parts_add_up_to_the_batch() {
        check_same_losses(5, 1);
    }

    #[test]
    fn devices_share_the_batch() {
        check_same_losses(0, 2);
        check_same_losses(0, 3);
    }

    #[test]
    fn devices_share_parts_of_the_batch() {
        check_same_losses(3, 2);
    }
}
