//! A classifier as burn-train's learner wants it.

use burn::{
    module::Module,
    nn::loss::CrossEntropyLossConfig,
    optim::GradientsParams,
    tensor::{ExecutionError, Int, Tensor},
};
use burn_train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use learngene_models::{BranchScales, Classifier};

use crate::checkpointing;

/// Images and their classes, on the device.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// Normalised pixels: `[batch, 3, image_size, image_size]`.
    pub images: Tensor<4>,
    /// Classes: `[batch]`.
    pub labels: Tensor<1, Int>,
    /// Factors of the residual branches of each layer, where some are left out.
    pub branches: Option<Vec<BranchScales>>,
}

/// A classifier with the loss it is trained by.
#[derive(Module, Debug)]
pub(crate) struct Trainee<C: Classifier> {
    pub(crate) model: C,
    pub(crate) label_smoothing: f64,
    /// Whether a step keeps what goes into each layer alone, and computes the rest again.
    pub(crate) gradient_checkpointing: bool,
}

/// Mean loss of one step, left on the device until somebody reads it: `[1]`.
pub(crate) struct StepLoss(pub(crate) Tensor<1>);

impl ItemLazy for StepLoss {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl<C: Classifier> Trainee<C> {
    /// Mean loss of some logits, `[batch, num_classes]`.
    pub(crate) fn loss(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        // burn treats a smoothing of zero as a softer target too, at the cost of another pass.
        let smoothing = (self.label_smoothing > 0.0).then_some(self.label_smoothing as f32);
        CrossEntropyLossConfig::new()
            .with_smoothing(smoothing)
            .init(&logits.device())
            .forward(logits, labels)
    }
}

impl<C: Classifier> TrainStep for Trainee<C> {
    type Input = ImageBatch;
    type Output = StepLoss;

    fn step(&self, batch: ImageBatch) -> TrainOutput<StepLoss> {
        let (gradients, loss) = if self.gradient_checkpointing {
            checkpointing::backward(self, batch)
        } else {
            let features = self.model.features_scaled(batch.images, batch.branches.as_deref());
            let loss = self.loss(self.model.classify(features), batch.labels);
            (GradientsParams::from_grads(loss.backward(), self), loss.inner())
        };
        TrainOutput { grads: gradients, item: StepLoss(loss) }
    }
}

impl<C: Classifier> InferenceStep for Trainee<C> {
    type Input = ImageBatch;
    type Output = StepLoss;

    fn step(&self, batch: ImageBatch) -> StepLoss {
        StepLoss(self.loss(self.model.forward(batch.images), batch.labels))
    }
}
