//! Distillation: a model learns the outputs of another one.
//!
//! Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015,
//! <https://arxiv.org/abs/1503.02531>, for logits; Romero et al., "FitNets: Hints for Thin Deep Nets",
//! 2015, <https://arxiv.org/abs/1412.6550>, for features.

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData, activation::softmax},
};
use learngene_datasets::{CheckedPreprocess, Dataset, load_batch};
use learngene_models::{Classifier, Forward, Model};
use learngene_shape::Shape;
use learngene_tensors::StateDict;

use crate::{
    error::{Result, invalid},
    loss::soft_cross_entropy,
};

/// Images whose tokens give the variances of the channels.
const IMAGES: usize = 64;

/// A model whose outputs another one learns: the tokens after the last layer, and the probabilities of the
/// classes where both have the same.
#[derive(Clone, Debug)]
pub struct Teacher {
    model: Model,
    /// 1 / variance of each channel of the tokens: `[embed_dim]`.
    precisions: Vec<f32>,
    knows_classes: bool,
}

/// What a teacher makes of a batch of images.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// `[images, seq, embed_dim]`
    tokens: Tensor<3>,
    /// `[1, 1, embed_dim]`
    precisions: Tensor<3>,
    /// `[images, num_classes]`
    probabilities: Option<Tensor<2>>,
}

impl Teacher {
    /// A teacher for images of these classes. It teaches them where its own are called the same; the
    /// variances of its channels are measured on some of the images.
    ///
    /// # Errors
    /// Images that cannot be read; tokens that are not finite.
    pub fn new(
        model: Model,
        label_names: &[String],
        images: &dyn Dataset,
        preprocess: &CheckedPreprocess,
    ) -> Result<Self> {
        let count = images.len().min(IMAGES);
        let indices: Vec<usize> = (0..count).map(|at| at * images.len() / count).collect();
        let batch = load_batch(images, &indices, preprocess, None)?;
        let pixels = TensorData::new(batch.pixels, batch.shape);
        let tokens = all_tokens(&model, Tensor::from_data(pixels, &model.device()));
        let [_, _, width] = tokens.dims();
        let variances = tokens.reshape([-1, width as i32]).var_bias(0).into_data();
        let variances: Vec<f32> =
            variances.convert::<f32>().try_into_vec().expect("converted to f32 just before");
        if let Some(channel) = variances.iter().position(|variance| !variance.is_finite()) {
            let place = format!("teacher: variance of channel {channel} after the last layer");
            return Err(invalid(place, variances[channel], "a finite number"));
        }
        let least = f32::EPSILON * variances.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let precisions = variances.into_iter().map(|variance| 1.0 / variance.max(least)).collect();
        let knows_classes = model.num_classes() > 0 && label_names == images.classes();
        Ok(Self { model, precisions, knows_classes })
    }

    /// Refuses a student whose tokens are no match for the teacher's.
    pub(crate) fn check(&self, student: &Shape) -> Result<()> {
        let outputs = |shape: &Shape| {
            let last = shape.layer(shape.depth() - 1);
            (last.field.tokens(), last.embed_dim)
        };
        let (own, of_student) = (outputs(&self.model.shape()), outputs(student));
        if own == of_student {
            return Ok(());
        }
        let text = |(tokens, width)| format!("{tokens} tokens of {width} channels");
        let expected = format!("{}, as the model has", text(of_student));
        Err(invalid("outputs of the teacher's last layer", text(own), expected))
    }

    /// Its parameters.
    pub(crate) fn parameters(&self) -> StateDict {
        self.model.state_dict()
    }

    /// The same teacher elsewhere.
    pub(crate) fn on(&self, device: &Device) -> Self {
        Self { model: self.model.clone().fork(device), ..self.clone() }
    }

    /// What it makes of images on a device with autodiff.
    pub(crate) fn lesson(&self, images: &Tensor<4>) -> Lesson {
        let tokens = all_tokens(&self.model, images.clone().inner());
        let classify = || softmax(self.model.classify(self.model.pool(tokens.clone())), 1);
        let probabilities = self.knows_classes.then(classify).map(Tensor::from_inner);
        let precisions = TensorData::new(self.precisions.clone(), [1, 1, self.precisions.len()]);
        Lesson {
            precisions: Tensor::from_data(precisions, &images.device()),
            probabilities,
            tokens: Tensor::from_inner(tokens),
        }
    }
}

impl Lesson {
    /// Mean squared error of the tokens, in parts of each channel's variance, and the cross-entropy of
    /// the classes where they are taught: `[1]`.
    ///
    /// # Shapes
    /// - tokens: `[images, seq, embed_dim]`
    /// - logits: `[images, num_classes]`
    pub(crate) fn loss(&self, tokens: Tensor<3>, logits: Tensor<2>) -> Tensor<1> {
        let squares = (tokens - self.tokens.clone()).powi_scalar(2);
        let error = (squares * self.precisions.clone()).mean();
        match &self.probabilities {
            Some(probabilities) => error + soft_cross_entropy(logits, probabilities.clone()),
            None => error,
        }
    }
}

/// All tokens after a model's last layer.
fn all_tokens(model: &Model, images: Tensor<4>) -> Tensor<3> {
    model.tokens(images, Forward { all_tokens: true, scales: None })
}
