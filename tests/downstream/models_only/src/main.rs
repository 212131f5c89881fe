//! Classifies a blank image with a freshly initialised DeiT-Ti: a user of `learngene-models` alone.

use burn::tensor::{Device, Tensor};
use learngene_models::{Classifier, VitConfig};

fn main() {
    let device = Device::flex();
    let vit = VitConfig::deit_tiny().init(&device);
    let logits = vit.forward(Tensor::zeros([1, 3, 224, 224], &device));
    println!("{:?}", logits.dims());
}
