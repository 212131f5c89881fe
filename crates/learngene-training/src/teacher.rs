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
use learngene_least_squares::Sums;
use learngene_models::{Classifier, Forward, Model};
use learngene_shape::Shape;
use learngene_tensors::StateDict;

use crate::{
    error::{Result, invalid},
    loss::soft_cross_entropy,
};

/// Images on which a student's tokens are mapped to the teacher's.
const IMAGES: usize = 128;

/// Ridge of that map.
const RIDGE: f64 = 0.1;

/// A model whose outputs another one learns: the tokens after the final norm, and the probabilities of the
/// classes where both have the same.
///
/// What a student's tokens are before it learns, a linear map takes to the teacher's as well as it can, and
/// stays: a model of fewer layers says the same in other directions.
#[derive(Clone, Debug)]
pub struct Teacher {
    model: Model,
    /// From the student's tokens to the teacher's: `[student's embed_dim, embed_dim]`, row-major.
    weight: Vec<f32>,
    /// `[embed_dim]`
    bias: Vec<f32>,
    /// 1 / variance of each channel of the tokens: `[embed_dim]`.
    precisions: Vec<f32>,
    knows_classes: bool,
}

/// What a teacher makes of a batch of images.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// `[images, seq, embed_dim]`
    tokens: Tensor<3>,
    /// `[1, student's embed_dim, embed_dim]`
    weight: Tensor<3>,
    /// `[1, 1, embed_dim]`
    bias: Tensor<3>,
    /// `[1, 1, embed_dim]`
    precisions: Tensor<3>,
    /// `[images, num_classes]`
    probabilities: Option<Tensor<2>>,
}

impl Teacher {
    /// A teacher of a student, for images of these classes. It teaches them where its own are called the
    /// same.
    ///
    /// # Errors
    /// Another number of tokens than the student's; images that cannot be read; tokens that are not finite.
    pub fn new<C: Classifier>(
        model: Model,
        label_names: &[String],
        student: &C,
        images: &dyn Dataset,
        preprocess: &CheckedPreprocess,
    ) -> Result<Self> {
        check(&model.shape(), &student.shape())?;
        let count = images.len().min(IMAGES);
        let indices: Vec<usize> = (0..count).map(|at| at * images.len() / count).collect();
        let batch = load_batch(images, &indices, preprocess, None)?;
        let pixels = TensorData::new(batch.pixels, batch.shape);
        let pixels = Tensor::from_data(pixels, &model.device());
        let (tokens, of_student) =
            (normed_tokens(&model, pixels.clone()), normed_tokens(student, pixels));
        let [width, of_student_width] = [&tokens, &of_student].map(|tokens| tokens.dims()[2]);
        let mut sums = Sums::new(of_student_width, width);
        let pushed = sums.push(&fetch(of_student), &fetch(tokens));
        let not_finite = |_| {
            invalid("tokens after the final norm", "a number that is not finite", "finite numbers")
        };
        pushed.map_err(not_finite)?;
        let moments = sums.moments();
        let map = moments.near_identity(RIDGE).map_err(not_finite)?;
        let [weight, bias] = map.to_columns();
        let variances = &moments.target_variances;
        let least = f64::from(f32::EPSILON) * variances.iter().copied().fold(1e-30, f64::max);
        let precision = |variance: &f64| (1.0 / variance.max(least)) as f32;
        let precisions = variances.iter().map(precision).collect();
        let knows_classes = model.num_classes() > 0 && label_names == images.classes();
        Ok(Self { model, weight, bias, precisions, knows_classes })
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
        let device = images.device();
        let tokens = tokens(&self.model, images.clone().inner());
        let classify = || softmax(self.model.classify(self.model.pool(tokens.clone())), 1);
        let width = self.bias.len();
        let data = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [1, values.len() / width, width]);
            Tensor::from_data(data, &device)
        };
        Lesson {
            weight: data(&self.weight),
            bias: data(&self.bias),
            precisions: data(&self.precisions),
            probabilities: self.knows_classes.then(classify).map(Tensor::from_inner),
            tokens: Tensor::from_inner(self.model.final_norm(tokens)),
        }
    }
}

impl Lesson {
    /// Mean squared error of normed tokens, in parts of each channel's variance, and the cross-entropy of
    /// the classes where they are taught: `[1]`.
    ///
    /// # Shapes
    /// - tokens: `[images, seq, embed_dim]`
    /// - logits: `[images, num_classes]`
    pub(crate) fn loss(&self, tokens: Tensor<3>, logits: Tensor<2>) -> Tensor<1> {
        let mapped = tokens.matmul(self.weight.clone()) + self.bias.clone();
        let squares = (mapped - self.tokens.clone()).powi_scalar(2);
        let error = (squares * self.precisions.clone()).mean();
        match &self.probabilities {
            Some(probabilities) => error + soft_cross_entropy(logits, probabilities.clone()),
            None => error,
        }
    }
}

/// Refuses a student that has another number of tokens.
fn check(teacher: &Shape, student: &Shape) -> Result<()> {
    let tokens = |shape: &Shape| shape.layer(shape.depth() - 1).field.tokens();
    let (own, wanted) = (tokens(teacher), tokens(student));
    if own == wanted {
        return Ok(());
    }
    let expected = format!("{wanted}, as the model has");
    Err(invalid("tokens after the teacher's last layer", own, expected))
}

/// All tokens after a model's last layer.
fn tokens<C: Classifier>(model: &C, images: Tensor<4>) -> Tensor<3> {
    model.tokens(images, Forward { all_tokens: true, scales: None })
}

fn normed_tokens<C: Classifier>(model: &C, images: Tensor<4>) -> Tensor<3> {
    model.final_norm(tokens(model, images))
}

fn fetch(tokens: Tensor<3>) -> Vec<f32> {
    tokens.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before")
}
