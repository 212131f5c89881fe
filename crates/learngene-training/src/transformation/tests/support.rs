//! Small descendants with shared layers and copied heads, and a few steps of training.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::loss::CrossEntropyLossConfig,
    optim::{AdamWConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};
use learngene_models::{
    Classifier, HostTensor, Model, ModelConfig, StateDict, SwinConfig, VitConfig,
};

use crate::{
    Descendant, DescendantConfig, NewLayers, TransformationConfig, Transforming, attach,
    init::truncated_normal, pretraining_finetuning,
};

pub(super) const FFN: [&str; 3] = ["scale-shift", "low-rank:2", "cross-layer:4"];

/// Three layers of 3, 4 and 2 heads.
pub(super) fn vit() -> ModelConfig {
    VitConfig::new(24, vec![3, 4, 2], 8, 40)
        .with_image_size(16)
        .with_patch_size(4)
        .with_num_classes(5)
        .into()
}

/// The same heads in two stages.
pub(super) fn swin() -> ModelConfig {
    SwinConfig::new(12, vec![vec![3, 4], vec![2]], vec![8, 8], vec![20, 40])
        .with_window_size(2)
        .with_image_size(16)
        .with_patch_size(4)
        .with_num_classes(5)
        .into()
}

/// Every layer twice and every head twice.
pub(super) fn descendant(ancestor: &ModelConfig, new_layers: NewLayers) -> Descendant {
    let random = |(name, shape): (String, Vec<usize>)| {
        let values = truncated_normal(&name, 5, 0.2, shape.iter().product());
        (name, HostTensor::new(shape, values))
    };
    let parameters: StateDict = ancestor.parameter_shapes().into_iter().map(random).collect();
    let wanted = DescendantConfig {
        depth: "x2".parse().expect("a ratio"),
        layers: "even".parse().expect("a policy"),
        heads: "w=1/2".parse().expect("a ratio"),
        new_layers,
        ..DescendantConfig::default()
    };
    pretraining_finetuning(&parameters, ancestor, &wanted).expect("an ancestor can give that")
}

pub(super) fn load(descendant: &Descendant) -> Model {
    let loaded = descendant.config.load(&descendant.parameters, &Device::flex());
    loaded.expect("a descendant holds the parameters of its shape")
}

/// Empty text is none.
pub(super) fn wanted(ffn: &str, heads: &str) -> TransformationConfig {
    TransformationConfig {
        ffn: (!ffn.is_empty()).then(|| ffn.parse().expect("a transformation of FFNs")),
        heads: (!heads.is_empty()).then(|| heads.parse().expect("a transformation of heads")),
        ..TransformationConfig::default()
    }
}

pub(super) fn transforming(descendant: &Descendant, wanted: &TransformationConfig) -> Transforming {
    attach(load(descendant), &descendant.plan(), wanted).expect("the descendant's own plan")
}

/// Four images, the same in every test.
pub(super) fn images(device: &Device) -> Tensor<4> {
    let values = truncated_normal("images", 9, 0.5, 4 * 3 * 16 * 16);
    Tensor::from_data(TensorData::new(values, [4, 3, 16, 16]), device)
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("flex computes in f32")
}

/// What a model on any device says of the images.
pub(super) fn logits(model: &impl Classifier) -> Vec<f32> {
    values(model.valid().forward(images(&Device::flex())))
}

/// The same, layer by layer: as training runs a model.
pub(super) fn logits_by_layer(model: &impl Classifier) -> Vec<f32> {
    let model = model.valid();
    let run = |tokens, layer| model.forward_layer(layer, tokens);
    let tokens = (0..model.num_layers()).fold(model.embed(images(&Device::flex())), run);
    values(model.classify(model.pool(tokens)))
}

/// The largest difference of two outputs.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "outputs of one shape");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// As training makes a model ready.
pub(super) fn with_autodiff<M: Module>(model: M) -> M {
    model.fork(&Device::flex().autodiff()).train()
}

/// Of the images' logits, `[4, num_classes]`.
pub(super) fn loss(logits: Tensor<2>) -> Tensor<1> {
    let device = logits.device();
    let labels = Tensor::from_data([0_i64, 4, 2, 1], &device);
    CrossEntropyLossConfig::new().init(&device).forward(logits, labels)
}

pub(super) fn gradients(model: &impl Classifier) -> GradientsParams {
    let loss = loss(model.forward(images(&model.device())));
    GradientsParams::from_grads(loss.backward(), model)
}

/// A model after some steps of an optimiser.
pub(super) fn steps<C: Classifier>(
    mut model: C,
    count: usize,
    learning_rate: f64,
    optimizer: &mut ModuleOptimizer,
) -> C {
    for _ in 0..count {
        let gradients = gradients(&model);
        model = optimizer.step(learning_rate, model, gradients);
    }
    model
}

/// After 20 steps of AdamW.
pub(super) fn trained<C: Classifier>(model: C) -> C {
    let mut adamw = AdamWConfig::new().with_weight_decay(0.0).init();
    steps(with_autodiff(model), 20, 1e-2, &mut adamw)
}

/// Largest gradient of each parameter that has one, by its path without variants of enums.
pub(super) fn largest_gradients(
    model: &impl Module,
    gradients: &GradientsParams,
) -> BTreeMap<String, f32> {
    let mut largest = Largest { gradients, path: Vec::new(), found: BTreeMap::new() };
    model.visit(&mut largest);
    largest.found
}

/// What of a [`Transforming`] learns, by the same paths.
pub(super) fn learns(name: &str) -> bool {
    name.starts_with("transformations.") || name.starts_with("model.head.")
}

struct Largest<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: BTreeMap<String, f32>,
}

impl ModuleVisitor for Largest<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if !container_type.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        if !container_type.starts_with("Enum:") {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            let largest = gradient.abs().max().into_scalar::<f32>();
            self.found.insert(self.path.join("."), largest);
        }
    }
}
