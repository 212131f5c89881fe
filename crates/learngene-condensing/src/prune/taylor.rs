//! Scores of heads and hidden units by what the cross-entropy loses without them, to first order.

use std::error::Error as StdError;

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData, activation::log_softmax},
};
use learngene_checkpoints::Checkpoint;
use learngene_least_squares::{LinearMap, Sums};
use learngene_models::{Classifier, Model, Pool};
use learngene_shape::Shape;
use learngene_tensors::{Error, Result};
use ndarray::Array2;

use super::scores::Scores;
use crate::{
    half::Half,
    images::unreadable,
    measure::linear,
    sums::{fetch, unsolvable},
    tokens::Drawn,
};

/// Images whose activations are kept at a time.
const IMAGES: usize = 4;

/// Ridge of a classifier, as a multiple of the features' mean variance over the images.
const RIDGE: f64 = 1.0;

/// `(a dL/da)^2` of every head and hidden unit, with `a dL/da` summed over the tokens of an image and the
/// square summed over images.
pub(super) fn scores<F, I, E>(
    ancestor: &Checkpoint,
    model: &Model,
    batches: &F,
    device: &Device,
) -> Result<Scores>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<(Tensor<4>, Vec<usize>), E>>,
    E: StdError,
{
    let shape = &ancestor.shape;
    let batches = || batches().into_iter().map(labelled);
    let head = match shape.num_classes() {
        0 => Some(classifier(model, batches())?),
        _ => None,
    };
    let classes = head.as_ref().map_or(shape.num_classes(), |head| head.bias.len());
    let autodiff = device.clone().autodiff();
    let tracked = model.clone().fork(&autodiff).no_grad();
    let head = head.map(|head| Head::new(&head, &autodiff));
    let weights = Weights::of(ancestor, device);
    let mut scores: Scores = (0..shape.depth())
        .map(|layer| Half::BOTH.map(|half| vec![0.0; half.num_groups(shape, layer)]))
        .collect();
    for batch in batches() {
        let (images, labels) = batch?;
        if let Some(label) = labels.iter().find(|label| **label >= classes) {
            let expected = format!("one of the ancestor's {classes}, counted from 0");
            return Err(Error::invalid("class of an image", label, expected));
        }
        for (images, labels) in images.split(IMAGES, 0).into_iter().zip(labels.chunks(IMAGES)) {
            let logits = |tokens: Tensor<3>| match &head {
                Some(head) => head.logits(tracked.pool_tokens(tokens, Pool::Both)),
                None => tracked.classify(tracked.pool(tokens)),
            };
            let loss = |tokens| cross_entropy(logits(tokens), labels);
            add(&tracked, &weights, Tensor::from_inner(images), loss, &mut scores);
        }
    }
    Ok(scores)
}

/// A batch with a class for every image.
fn labelled<E: StdError>(
    batch: Result<(Tensor<4>, Vec<usize>), E>,
) -> Result<(Tensor<4>, Vec<usize>)> {
    let (images, labels) = batch.map_err(|error| unreadable(&error))?;
    match (images.dims()[0], labels.len()) {
        (images, labels) if images != labels => {
            let found = format!("{labels} for {images} images");
            Err(Error::invalid("classes", found, "one for each image"))
        }
        _ => Ok((images, labels)),
    }
}

/// The linear map from features to one-hot classes, by ridge regression.
fn classifier(
    model: &Model,
    batches: impl Iterator<Item = Result<(Tensor<4>, Vec<usize>)>>,
) -> Result<LinearMap> {
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for batch in batches {
        let (images, of_batch) = batch?;
        features.extend(fetch(model.pooled_features(images, Pool::Both)));
        labels.extend(of_batch);
    }
    let classes = labels.iter().max().map_or(1, |largest| largest + 1);
    let width = features.len() / labels.len();
    let one_hot = one_hot(&labels, classes);
    let last = model.num_layers() - 1;
    let mut sums = Sums::new(width, classes);
    let pushed = sums.push(&features, &one_hot);
    let fit = pushed.and_then(|()| sums.moments().fit(&Array2::zeros((width, classes)), RIDGE));
    fit.map_err(unsolvable(last))
}

fn one_hot(labels: &[usize], classes: usize) -> Vec<f32> {
    let mut rows = vec![0.0; labels.len() * classes];
    rows.chunks_exact_mut(classes).zip(labels).for_each(|(row, label)| row[*label] = 1.0);
    rows
}

/// `-log softmax(logits)` of the images' classes, summed over images.
fn cross_entropy(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let [images, classes] = logits.dims();
    let one_hot = TensorData::new(one_hot(labels, classes), [images, classes]);
    let one_hot = Tensor::from_data(one_hot, &logits.device());
    -(log_softmax(logits, 1) * one_hot).sum()
}

/// A classifier on a device.
struct Head {
    /// `[features, classes]`
    weight: Tensor<2>,
    /// `[1, classes]`
    bias: Tensor<2>,
}

impl Head {
    fn new(map: &LinearMap, device: &Device) -> Self {
        let (features, classes) = map.weight.dim();
        let [weight, bias] = map.to_columns();
        Self {
            weight: Tensor::from_data(TensorData::new(weight, [features, classes]), device),
            bias: Tensor::from_data(TensorData::new(bias, [1, classes]), device),
        }
    }

    fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        features.matmul(self.weight.clone()) + self.bias.clone()
    }
}

/// The last matrix of each half of every layer, `[outputs, inputs]`.
struct Weights {
    shape: Shape,
    of_layers: Vec<[Tensor<2>; 2]>,
}

impl Weights {
    fn of(ancestor: &Checkpoint, device: &Device) -> Self {
        let shape = ancestor.shape.clone();
        let tensor = |layer, half: Half| {
            let map = linear(&ancestor.parameters, &half.weight(&shape, layer));
            let (inputs, outputs) = map.weight.dim();
            let [rows, _] = map.to_rows();
            Tensor::from_data(TensorData::new(rows, [outputs, inputs]), device)
        };
        let of_layers =
            (0..shape.depth()).map(|layer| Half::BOTH.map(|half| tensor(layer, half))).collect();
        Self { shape, of_layers }
    }
}

/// Adds the squares of some images.
fn add(
    model: &Model,
    weights: &Weights,
    images: Tensor<4>,
    loss: impl FnOnce(Tensor<3>) -> Tensor<1>,
    scores: &mut Scores,
) {
    let mut tokens = model.embed(images);
    let mut halves: Vec<[(Tensor<3>, Tensor<3>); 2]> = Vec::new();
    for layer in 0..scores.len() {
        tokens = model.layer_input(layer, tokens);
        halves.push(Half::BOTH.map(|half| {
            let [batch, seq, _] = tokens.dims();
            let features = half.features(model, layer, tokens.clone(), &Drawn::ALL).inner();
            let features = features.reshape([batch as i32, seq as i32, -1]);
            let change = Tensor::zeros_like(&tokens).require_grad();
            tokens = half.run(model, layer, tokens.clone()) + change.clone();
            (features, change)
        }));
    }
    let gradients = loss(tokens).backward();
    for (layer, (halves, scores)) in halves.into_iter().zip(scores).enumerate() {
        for ((half, (features, change)), scores) in Half::BOTH.into_iter().zip(halves).zip(scores) {
            let gradient = change.grad(&gradients).expect("the loss depends on every token");
            let weight = weights.of_layers[layer][half as usize].clone();
            // Of a feature: what it is read with, times the gradient of what is written.
            let of_features = gradient.matmul(weight.unsqueeze());
            let sums = (features * of_features).sum_dim(1); // [images, 1, features]
            let [images, _, width] = sums.dims();
            let groups = half.num_groups(&weights.shape, layer);
            let sums = sums.reshape([images, groups, width / groups]).sum_dim(2);
            let squares = fetch(sums.powi_scalar(2).sum_dim(0));
            scores.iter_mut().zip(squares).for_each(|(score, square)| *score += f64::from(square));
        }
    }
}
