//! A classifier with its loss, as burn-train's workers need it.

mod checkpointing;

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{DType, ExecutionError, Tensor},
};
use burn_train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use learngene_models::{BranchScales, Classifier, Forward};

use crate::{
    Precision, Recipe,
    image_batch::{Goal, ImageBatch},
    loss::cross_entropy,
    precision,
};

/// A classifier with the loss that it is trained by.
#[derive(Module, Debug)]
pub(crate) struct Student<C: Classifier> {
    pub(crate) model: C,
    label_smoothing: f64,
    /// Factors of the losses by labels and by a teacher.
    label_weight: f64,
    teacher_weight: f64,
    /// Keeps only the input of each layer for the backward pass and recomputes the rest.
    gradient_checkpointing: bool,
    /// Number format of the passes.
    #[module(skip)]
    precision: Precision,
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
    /// A model that learns by a recipe.
    pub(crate) fn new(model: C, recipe: &Recipe) -> Self {
        Self {
            model,
            label_smoothing: recipe.label_smoothing,
            label_weight: recipe.label_weight,
            teacher_weight: recipe.teacher_weight,
            gradient_checkpointing: recipe.gradient_checkpointing,
            precision: recipe.precision,
        }
    }

    /// What the last layer's tokens, `[images, seq, embed_dim]`, add to the mean loss of the batch.
    fn loss(&self, tokens: Tensor<3>, goal: &Goal) -> Tensor<1> {
        let logits = self.model.classify(self.model.pool(tokens.clone())).cast(DType::F32);
        let by_labels = |logits| cross_entropy(logits, &goal.targets, self.label_smoothing);
        let times = |loss: Tensor<1>, factor: f64| if factor == 1.0 { loss } else { loss * factor };
        let loss = match &goal.lesson {
            None => by_labels(logits),
            Some(lesson) => {
                let normed = self.model.final_norm(tokens).cast(DType::F32);
                let taught = lesson.loss(normed, logits.clone());
                let taught = times(taught, self.teacher_weight);
                if self.label_weight == 0.0 {
                    taught
                } else {
                    taught + times(by_labels(logits), self.label_weight)
                }
            }
        };
        times(loss, goal.weight)
    }

    /// How the model runs: a teacher's tokens are compared one by one.
    fn forward<'a>(&self, scales: Option<&'a [BranchScales]>, goal: &Goal) -> Forward<'a> {
        Forward { scales, all_tokens: goal.lesson.is_some() }
    }

    /// Gradients of what a part adds to the mean loss, and that loss.
    fn backward(&self, batch: ImageBatch) -> (GradientsParams, Tensor<1>) {
        if self.gradient_checkpointing {
            return checkpointing::backward(self, batch);
        }
        let forward = self.forward(batch.branches.as_deref(), &batch.goal);
        let loss = self.loss(self.model.tokens(batch.images, forward), &batch.goal);
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

/// Required of what burn-train's workers train, which never infer.
impl<C: Classifier> InferenceStep for Student<C> {
    type Input = ImageBatch;
    type Output = PartLoss;

    fn step(&self, batch: ImageBatch) -> PartLoss {
        let tokens = self.model.tokens(batch.images, Forward::default());
        PartLoss { loss: self.loss(tokens, &batch.goal), part: batch.part }
    }
}

#[cfg(test)]
mod tests;
