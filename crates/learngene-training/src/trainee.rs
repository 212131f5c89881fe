//! A classifier with its loss, as burn-train's workers want it.

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{DType, ExecutionError, Tensor},
};
use burn_train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use learngene_models::{BranchScales, Classifier};

use crate::{
    Precision, checkpointing,
    loss::{Targets, cross_entropy},
    precision,
};

/// Images and what they show, on the device: a whole batch, or the part of it that one pass takes.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// Normalised pixels: `[images, 3, image_size, image_size]`.
    pub images: Tensor<4>,
    /// Their classes.
    pub targets: Targets,
    /// Factors of the residual branches of each layer, where some are left out.
    pub branches: Option<Vec<BranchScales>>,
    /// Images of this part, divided by those of the batch.
    pub share: f64,
    /// Place of this part in the batch.
    pub part: usize,
}

/// A classifier with the loss it is trained by.
#[derive(Module, Debug)]
pub(crate) struct Trainee<C: Classifier> {
    pub(crate) model: C,
    pub(crate) label_smoothing: f64,
    /// Whether a step keeps what goes into each layer alone, and computes the rest again.
    pub(crate) gradient_checkpointing: bool,
    /// What passes compute in.
    #[module(skip)]
    pub(crate) precision: Precision,
}

/// What a part adds to the mean loss of the batch, left on the device until somebody reads it.
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

impl<C: Classifier> Trainee<C> {
    /// What some logits, `[images, num_classes]`, add to the mean loss of the batch.
    pub(crate) fn loss(&self, logits: Tensor<2>, targets: &Targets, share: f64) -> Tensor<1> {
        let loss = cross_entropy(logits.cast(DType::F32), targets, self.label_smoothing);
        if share == 1.0 { loss } else { loss * share }
    }

    /// Gradients of what a batch adds to the mean loss, and that loss.
    fn backward(&self, batch: ImageBatch) -> (GradientsParams, Tensor<1>) {
        if self.gradient_checkpointing {
            return checkpointing::backward(self, batch);
        }
        let features = self.model.features_scaled(batch.images, batch.branches.as_deref());
        let loss = self.loss(self.model.classify(features), &batch.targets, batch.share);
        (GradientsParams::from_grads(loss.backward(), self), loss.inner())
    }
}

impl<C: Classifier> TrainStep for Trainee<C> {
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

impl<C: Classifier> InferenceStep for Trainee<C> {
    type Input = ImageBatch;
    type Output = PartLoss;

    fn step(&self, batch: ImageBatch) -> PartLoss {
        let logits = self.model.forward(batch.images);
        PartLoss { loss: self.loss(logits, &batch.targets, batch.share), part: batch.part }
    }
}
