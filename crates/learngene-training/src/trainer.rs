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
    Recipe, Teacher, clip::clip_global_norm, error::Result, gradients::Passes,
    host_batch::HostBatch, optimizer::adamw, schedule::WarmupCosine, student::Student,
};

/// Takes optimiser steps as [`fit`](crate::fit) does, on batches that the caller brings: for
/// benchmarks, and for other training loops.
pub struct Trainer<C: Classifier + 'static> {
    pub(crate) student: Student<C>,
    pub(crate) optimizer: ModuleOptimizer,
    passes: Passes<C>,
    schedule: WarmupCosine,
    clip_norm: f64,
    /// Steps taken so far.
    pub(crate) done: usize,
}

impl<C: Classifier + 'static> Trainer<C> {
    /// Starts at the first step of a recipe with that many steps an epoch, on devices without
    /// autodiff; the first holds the model and the optimiser. The recipe is not checked; see
    /// [`Recipe::check`].
    ///
    /// # Panics
    /// If there is no device.
    pub fn new(model: C, recipe: &Recipe, steps_per_epoch: usize, devices: &[Device]) -> Self {
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        let shape = model.shape();
        let student = Student::new(model, recipe);
        let student = student.fork(&devices[0]).train();
        let micro_batch_size =
            NonZeroUsize::new(recipe.micro_batch_size()).unwrap_or(NonZeroUsize::MIN);
        Self {
            optimizer: adamw(recipe, &student, &shape),
            student,
            passes: Passes::new(devices, micro_batch_size),
            schedule: WarmupCosine::new(recipe, steps_per_epoch),
            clip_norm: recipe.clip_norm,
            done: 0,
        }
    }

    /// Has the model learn the outputs of a teacher too.
    pub fn with_teacher(self, teacher: &Teacher) -> Self {
        Self { passes: self.passes.with_teacher(teacher), ..self }
    }

    /// Takes a step on a batch. The mean loss, a tensor of shape `[1]`, stays on the device, so that a
    /// step need not wait for the one before.
    ///
    /// # Errors
    /// When one of several devices fails.
    ///
    /// # Panics
    /// If the batch has no images, images of another size than the model's, or labels that are not
    /// among its classes.
    pub fn step(&mut self, batch: Batch) -> Result<Tensor<1>> {
        self.take(HostBatch::new(batch, None))
    }

    /// [`Trainer::step`] for a batch with stochastic depth.
    pub(crate) fn take(&mut self, batch: HostBatch) -> Result<Tensor<1>> {
        let (mut gradients, loss) = self.passes.gradients(&self.student, batch)?;
        if self.clip_norm > 0.0 {
            gradients = clip_global_norm(&self.student, gradients, self.clip_norm);
        }
        let student = self.student.clone();
        self.student = self.optimizer.step(self.learning_rate(), student, gradients);
        self.done += 1;
        Ok(loss)
    }

    /// Learning rate of the next step.
    pub(crate) fn learning_rate(&self) -> f64 {
        self.schedule.at(self.done)
    }

    /// The model for inference, on the first device.
    pub(crate) fn model(&self) -> C {
        self.student.model.valid()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use learngene_datasets::{
        BadImages, CheckedPreprocess, Dataset, Preprocess, Split, load_batch, open,
    };
    use learngene_models::Model;
    use learngene_shape::{Family, Vit};

    use super::*;

    /// The same weights each time.
    fn vit() -> Model {
        static VIT: OnceLock<Model> = OnceLock::new();
        let vit = Vit { image_size: 32, patch_size: 16, num_classes: 10, ..Vit::uniform(16, 2, 2) };
        let init = || Model::init(&vit.shape().expect("a possible shape"), &Device::flex());
        VIT.get_or_init(init).clone()
    }

    fn images() -> Box<dyn Dataset> {
        open("cifar10-sample", Split::Train, BadImages::Refuse).expect("embedded")
    }

    fn preprocess() -> CheckedPreprocess {
        Preprocess::new(32).check().expect("32 pixels are possible")
    }

    fn batch() -> Batch {
        let indices: Vec<usize> = (0..16).collect();
        load_batch(&*images(), &indices, &preprocess(), None).expect("embedded images")
    }

    /// Another model than the one that learns.
    fn teacher() -> Teacher {
        let model = Model::init(&vit().shape(), &Device::flex());
        Teacher::new(model, &[], &vit(), &*images(), &preprocess()).expect("images are good")
    }

    fn losses(
        recipe: &Recipe,
        teacher: Option<&Teacher>,
        devices: usize,
        steps: usize,
    ) -> Vec<f32> {
        let mut trainer = Trainer::new(vit(), recipe, 1, &vec![Device::flex(); devices]);
        if let Some(teacher) = teacher {
            trainer = trainer.with_teacher(teacher);
        }
        let step = |_| trainer.step(batch()).expect("nothing fails").into_scalar::<f32>();
        (0..steps).map(step).collect()
    }

    #[test]
    fn micro_batches_and_devices_do_not_change_the_losses() {
        let recipe =
            Recipe { batch_size: 16, learning_rate: 0.1, clip_norm: 0.5, ..Recipe::default() };
        let teacher = teacher();
        for teacher in [None, Some(&teacher)] {
            let whole = losses(&recipe, teacher, 1, 10);
            assert!(whole[9] < whole[0] - 0.01, "{whole:?}");
            for (micro_batch_size, devices) in [(5, 1), (0, 2), (0, 3), (3, 2)] {
                let recipe = Recipe { micro_batch_size, ..recipe.clone() };
                let parts = losses(&recipe, teacher, devices, 10);
                for (whole, parts) in whole.iter().zip(&parts) {
                    let apart = (whole - parts).abs();
                    assert!(apart < 2e-5, "{micro_batch_size}, {devices}: {whole} and {parts}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_learnt_from_oneself_but_classes() {
        let recipe = Recipe { batch_size: 16, label_weight: 0.0, ..Recipe::default() };
        let myself = |label_names: &[String]| {
            Teacher::new(vit(), label_names, &vit(), &*images(), &preprocess())
                .expect("images are good")
        };
        assert_eq!(losses(&recipe, Some(&myself(&[])), 1, 1), [0.0]);
        // The cross-entropy of probabilities with themselves is their entropy.
        let entropy = losses(&recipe, Some(&myself(images().classes())), 1, 1);
        assert!(entropy[0] > 0.0, "{entropy:?}");
    }
}
