//! A classifier as burn-train's learner wants it.

use burn::{
    module::Module,
    nn::loss::CrossEntropyLossConfig,
    tensor::{ExecutionError, Int, Tensor},
};
use burn_train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use learngene_models::Classifier;

/// Images and their classes, on the device.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// Normalised pixels: `[batch, 3, image_size, image_size]`.
    pub images: Tensor<4>,
    /// Classes: `[batch]`.
    pub labels: Tensor<1, Int>,
}

/// A classifier with the loss it is trained by.
#[derive(Module, Debug)]
pub(crate) struct Trainee<C: Classifier> {
    pub(crate) model: C,
    pub(crate) label_smoothing: f64,
}

/// Mean loss of one step, left on the device until somebody reads it: `[1]`.
pub(crate) struct StepLoss(pub(crate) Tensor<1>);

impl ItemLazy for StepLoss {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl<C: Classifier> Trainee<C> {
    fn loss(&self, batch: ImageBatch) -> Tensor<1> {
        let logits = self.model.forward(batch.images); // [batch, num_classes]
        // burn treats a smoothing of zero as a softer target too, at the cost of another pass.
        let smoothing = (self.label_smoothing > 0.0).then_some(self.label_smoothing as f32);
        CrossEntropyLossConfig::new()
            .with_smoothing(smoothing)
            .init(&logits.device())
            .forward(logits, batch.labels)
    }
}

impl<C: Classifier> TrainStep for Trainee<C> {
    type Input = ImageBatch;
    type Output = StepLoss;

    fn step(&self, batch: ImageBatch) -> TrainOutput<StepLoss> {
        let loss = self.loss(batch);
        TrainOutput::new(self, loss.backward(), StepLoss(loss.inner()))
    }
}

impl<C: Classifier> InferenceStep for Trainee<C> {
    type Input = ImageBatch;
    type Output = StepLoss;

    fn step(&self, batch: ImageBatch) -> StepLoss {
        StepLoss(self.loss(batch))
    }
}
