//! Optimiser steps one at a time.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use burn_train::Learner;
use learngene_datasets::Batch;
use learngene_models::Classifier;

use crate::{
    Recipe,
    batches::to_device,
    optimizer::adamw,
    schedule::WarmupCosine,
    trainee::{ImageBatch, Trainee},
};

/// Takes one optimiser step after another, as [`fit`](crate::fit) does, on batches that the caller
/// brings: for benchmarks, and for loops that `fit` does not have.
pub struct Trainer<C: Classifier + 'static> {
    learner: Learner<Trainee<C>>,
    device: Device,
}

impl<C: Classifier + 'static> Trainer<C> {
    /// Starts at the first step of a recipe with that many steps an epoch, on a device without
    /// autodiff. The recipe is taken as it is: [`Recipe::check`] says whether it can be carried out.
    pub fn new(model: C, recipe: &Recipe, steps_per_epoch: usize, device: &Device) -> Self {
        let device = device.clone().autodiff();
        Self { learner: learner(model, recipe, steps_per_epoch, &device), device }
    }

    /// Brings a batch to the device and takes a step on it. The mean loss, a tensor of shape `[1]`,
    /// is left on the device, so that a step need not wait for the one before.
    ///
    /// # Panics
    /// If the batch has no images, other images than the model takes, or labels that are not among its
    /// classes.
    pub fn step(&mut self, batch: Batch) -> Tensor<1> {
        step(&mut self.learner, to_device(batch, &self.device))
    }
}

/// What burn-train trains: the model, its optimiser and its schedule, on a device with autodiff.
pub(crate) fn learner<C: Classifier + 'static>(
    model: C,
    recipe: &Recipe,
    steps_per_epoch: usize,
    device: &Device,
) -> Learner<Trainee<C>> {
    let Recipe { label_smoothing, gradient_checkpointing, .. } = *recipe;
    let trainee = Trainee { model, label_smoothing, gradient_checkpointing }.fork(device).train();
    let optimizer = adamw(recipe, &trainee);
    Learner::new(trainee, optimizer, WarmupCosine::new(recipe, steps_per_epoch))
}

/// Learning rate, forward, backward, optimiser; returns the mean loss.
pub(crate) fn step<C: Classifier + 'static>(
    learner: &mut Learner<Trainee<C>>,
    batch: ImageBatch,
) -> Tensor<1> {
    learner.lr_step();
    let output = learner.train_step(batch);
    learner.optimizer_step(output.grads);
    output.item.0
}

#[cfg(test)]
mod tests {
    use learngene_datasets::{BadImages, Preprocess, Split, load_batch, open};
    use learngene_models::VitConfig;

    use super::*;

    #[test]
    fn steps_on_one_batch_lower_its_loss() {
        let device = Device::flex();
        let shape = VitConfig::uniform(16, 1, 2).with_image_size(32).with_patch_size(16);
        let recipe = Recipe { batch_size: 16, learning_rate: 0.1, ..Recipe::default() };
        let vit = shape.with_num_classes(10).init(&device);
        let mut trainer = Trainer::new(vit, &recipe, 1, &device);
        let images = open("cifar10-sample", Split::Train, BadImages::Refuse).expect("embedded");
        let preprocess = Preprocess::new(32).check().expect("32 pixels are possible");
        let indices: Vec<usize> = (0..16).collect();
        let batch = load_batch(&*images, &indices, &preprocess, None).expect("embedded images");
        let losses: Vec<f32> =
            (0..20).map(|_| trainer.step(batch.clone()).into_scalar::<f32>()).collect();
        assert!(losses[19] < losses[0] - 0.1, "{losses:?}");
    }
}
