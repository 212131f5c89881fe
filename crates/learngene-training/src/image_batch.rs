//! A batch on a device.

use burn::tensor::{DType, Tensor};
use learngene_models::BranchScales;

use crate::{loss::Targets, teacher::Lesson};

/// Images with their targets on a device: a whole batch, or the part of it that one pass takes.
#[derive(Clone, Debug)]
pub(crate) struct ImageBatch {
    /// Normalised pixels: `[images, 3, image_size, image_size]`.
    pub(crate) images: Tensor<4>,
    pub(crate) goal: Goal,
    /// Factors of the residual branches of each layer, where stochastic depth drops some.
    pub(crate) branches: Option<Vec<BranchScales>>,
    /// Index of this part in the batch.
    pub(crate) part: usize,
}

/// What the loss compares a model's outputs with.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) targets: Targets,
    /// What a teacher makes of the images.
    pub(crate) lesson: Option<Lesson>,
    /// Images of this part divided by those of the batch.
    pub(crate) weight: f64,
}

impl ImageBatch {
    /// The same batch in another number format, but for the goal, which only the loss reads.
    pub(crate) fn cast(self, dtype: DType) -> Self {
        let scales = |BranchScales { attention, mlp }| BranchScales {
            attention: attention.cast(dtype),
            mlp: mlp.cast(dtype),
        };
        let branches = self.branches.map(|layers| layers.into_iter().map(scales).collect());
        Self { images: self.images.cast(dtype), branches, ..self }
    }
}
