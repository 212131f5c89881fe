//! A classifier with its loss, as burn-train's workers need it.

mod checkpointing;

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{DType, ExecutionError, Tensor},
};
use burn_train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use learngene_models::Classifier;

use crate::{
    Precision,
    image_batch::{ImageBatch, Targets},
    loss::cross_entropy,
    precision,
};

/// A classifier with the loss that it is trained by.
#[derive(Module, Debug)]
pub(crate) struct Student<C: Classifier> {
    pub(crate) model: C,
    pub(crate) label_smoothing: f64,
    /// Keeps only the input of each layer for the backward pass and recomputes the rest.
    pub(crate) gradient_checkpointing: bool,
    /// Number format of the passes.
    #[module(skip)]
    pub(crate) precision: Precision,
}

/// What a part adds to the mean loss of the batch; stays on the device until it is read.
pub(crate) struct PartLoss {
    /// `[1]`.
    pub(crate) loss: Tensor<1>,
    pub(crate) part: usize,
}

impl ItemLazy for PartLoss {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl<C: Classifier> Student<C> {
    /// What logits, `[images, num_classes]`, add to the mean loss of the batch.
    fn loss(&self, logits: Tensor<2>, targets: &Targets, weight: f64) -> Tensor<1> {
        let loss = cross_entropy(logits.cast(DType::F32), targets, self.label_smoothing);
        if weight == 1.0 { loss } else { loss * weight }
    }

    /// Gradients of what a part adds to the mean loss, and that loss.
    fn backward(&self, batch: ImageBatch) -> (GradientsParams, Tensor<1>) {
        if self.gradient_checkpointing {
            return checkpointing::backward(self, batch);
        }
        let features = self.model.features_scaled(batch.images, batch.branches.as_deref());
        let loss = self.loss(self.model.classify(features), &batch.targets, batch.weight);
        (GradientsParams::from_grads(loss.backward(), self), loss.inner())
    }
}

impl<C: Classifier> TrainStep for Student<C> {
    type Input = ImageBatch;
    type Output = PartLoss;

    fn step(&self, batch: ImageBatch) -> TrainOutput<PartLoss> {
        let part = batch.part;
        let (gradients, loss) = match self.precision {
            Precision::F32 => self.backward(batch),
            Precision::Bf16 => {
                let copy = precision::copied(self, DType::BF16);
                let (gradients, loss) = copy.backward(batch.cast(DType::BF16));
                (precision::gradients_in_f32(self, gradients), loss)
            }
        };
        TrainOutput { grads: gradients, item: PartLoss { loss, part } }
    }
}

impl<C: Classifier> InferenceStep for Student<C> {
    type Input = ImageBatch;
    type Output = PartLoss;

    fn step(&self, batch: ImageBatch) -> PartLoss {
        let logits = self.model.forward(batch.images);
        PartLoss { loss: self.loss(logits, &batch.targets, batch.weight), part: batch.part }
    }
}

#[cfg(test)]
mod tests;
