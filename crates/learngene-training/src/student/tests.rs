//! Gradients in other number formats, and recomputed layer by layer.

use burn::{
    module::{ModuleVisitor, Param},
    tensor::Device,
};
use learngene_datasets::{BadImages, Batch, Preprocess, Split, open};
use learngene_models::Model;
use learngene_shape::{Family, Shape, Swin, Vit};

use super::*;
use crate::{Teacher, drop_path::DropPath, host_batch::HostBatch};

/// All gradients of a model, one after another.
struct Collect<'a>(&'a GradientsParams, Vec<f32>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = self.0.get::<D>(parameter.id).expect("every parameter has a gradient");
        self.1.extend(gradient.into_data().try_into_vec::<f32>().expect("it is in f32"));
    }
}

/// Loss and gradients of one step on three images with stochastic depth, and perhaps a teacher.
fn step(
    model: &Model,
    teacher: Option<&Teacher>,
    precision: Precision,
    gradient_checkpointing: bool,
) -> (f32, Vec<f32>) {
    let device = model.device();
    let pixels = (0..3 * 3 * 1024).map(|i| ((i * 7) % 13) as f32 / 6.0 - 1.0).collect();
    let batch = Batch { pixels, shape: [3, 3, 32, 32], labels: vec![4, 0, 2], targets: None };
    let branches = DropPath { rate: 0.2, layers: model.num_layers() }.draw(3, 0, (1, 0));
    let model = model.clone();
    let recipe = Recipe { gradient_checkpointing, precision, ..Recipe::default() };
    let student = Student::new(model, &recipe);
    let mut batch = HostBatch::new(batch, branches).upload(&device);
    batch.goal.lesson = teacher.map(|teacher| teacher.lesson(&batch.images));
    let output = TrainStep::step(&student, batch);
    let mut collect = Collect(&output.grads, Vec::new());
    student.visit(&mut collect);
    (output.item.loss.into_scalar::<f32>(), collect.1)
}

fn init(shape: &Shape) -> Model {
    Model::init(shape, &Device::flex().autodiff())
}

/// Layers of 3, 1 and 2 heads.
fn vit() -> Shape {
    let vit = Vit::new(24, vec![3, 1, 2], 8, vec![40; 3]);
    let vit = Vit { image_size: 32, patch_size: 8, num_classes: 5, ..vit };
    vit.shape().expect("a possible shape")
}

fn teacher(shape: &Shape) -> Teacher {
    let images = open("cifar10-sample", Split::Train, BadImages::Refuse).expect("embedded");
    let preprocess = Preprocess::new(32).check().expect("32 pixels are possible");
    let model = Model::init(shape, &Device::flex());
    Teacher::new(model, &[], &init(shape).valid(), &*images, &preprocess)
        .expect("images and tokens are good")
}

#[test]
fn recomputed_gradients_are_those_of_the_whole_graph() {
    let model = init(&vit());
    let teacher = teacher(&vit());
    for teacher in [None, Some(&teacher)] {
        let step = |checkpointing| step(&model, teacher, Precision::F32, checkpointing);
        assert_eq!(step(true), step(false));
    }
}

/// Checks loss and gradients in bf16 against those in f32: bf16 keeps 8 bits, and errors average out.
fn check_bf16(shape: &Shape, gradient_checkpointing: bool) {
    let model = init(shape);
    let teacher = teacher(shape);
    let step = |precision| step(&model, Some(&teacher), precision, gradient_checkpointing);
    let (wide, narrow) = (step(Precision::F32), step(Precision::Bf16));
    assert!((wide.0 - narrow.0).abs() < 0.01 * wide.0, "losses {} and {}", wide.0, narrow.0);
    assert_ne!(wide, narrow);
    let norm = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
    };
    let gap = norm(&mut wide.1.iter().zip(&narrow.1).map(|(wide, narrow)| wide - narrow));
    let relative = gap / norm(&mut wide.1.iter().copied());
    assert!(relative < 0.05, "gradients differ by {relative} of their norm");
}

#[test]
fn gradients_in_bf16_are_nearly_those_in_f32() {
    check_bf16(&vit(), false);
    check_bf16(&vit(), true);
    let swin = Swin::uniform(8, &[2, 2], &[2, 4]);
    let swin = Swin { image_size: 32, patch_size: 2, window_size: 4, num_classes: 5, ..swin };
    check_bf16(&swin.shape().expect("a possible shape"), false);
}
