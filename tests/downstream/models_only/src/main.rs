//! Classifies a blank image with a freshly initialised DeiT-Ti: a user of `learngene-models` alone.

use burn::tensor::{Device, Tensor};
use learngene_models::{Classifier, Model};
use learngene_shape::Shape;

fn main() {
    let device = Device::flex();
    let shape = Shape::preset("deit_tiny_patch16_224").expect("a preset");
    let logits = Model::init(&shape, &device).forward(Tensor::zeros([1, 3, 224, 224], &device));
    println!("{:?}", logits.dims());
}
