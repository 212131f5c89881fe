//! Small descendants with shared layers and copied heads, and a few steps of training.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::loss::CrossEntropyLossConfig,
    optim::{AdamWConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};
use learngene_expansion::{TransformationPlan, truncated_normal};
use learngene_models::{Classifier, Forward, Model};
use learngene_shape::{
    Family, LayerSizes, Parameter, Place, Reshape, Shape, Swin, Vit, select_heads,
};
use learngene_tensors::{StateDict, Tensor as HostTensor};

use crate::{TransformationConfig, Transforming, attach};

pub(super) const FFN: [&str; 3] = ["scale-shift", "low-rank:2", "cross-layer:4"];

/// A descendant in which every layer and every head occurs twice.
pub(super) struct Descendant {
    pub(super) shape: Shape,
    pub(super) parameters: StateDict,
    pub(super) plan: TransformationPlan,
}

/// Three layers of 3, 4 and 2 heads.
pub(super) fn vit() -> Descendant {
    let vit = Vit::new(24, vec![3, 4, 2], 8, vec![40; 3]);
    doubled(&Vit { image_size: 16, patch_size: 4, num_classes: 5, ..vit })
}

/// The same heads in two stages.
pub(super) fn swin() -> Descendant {
    doubled(&Swin {
        image_size: 16,
        patch_size: 4,
        window_size: 2,
        num_heads: vec![3, 4, 2],
        head_dim: vec![8, 8],
        hidden_dim: vec![20, 20, 40],
        num_classes: 5,
        ..Swin::uniform(12, &[2, 1], &[1, 1])
    })
}

/// A descendant of an ancestor with random parameters.
pub(super) fn doubled(ancestor: &impl Family) -> Descendant {
    let ancestor = ancestor.clone().shape().expect("a possible shape");
    let sizes = |layer: usize| {
        let of = ancestor.layer(layer);
        let sizes = LayerSizes { num_heads: 2 * of.heads.num_heads, hidden_dim: of.ffn.hidden_dim };
        [sizes; 2]
    };
    let layers = ancestor.stages().into_iter().map(|stage| stage.flat_map(sizes).collect());
    let to = Reshape { layers: Some(layers.collect()), ..Reshape::default() };
    let shape = ancestor.reshaped(&to).expect("a possible shape");

    let slots = |layer: usize| {
        let num_heads = ancestor.layer(layer).heads.num_heads;
        (0..2 * num_heads).map(|slot| slot % num_heads).collect::<Vec<usize>>()
    };
    let inherit = |to: Parameter, from: &Parameter| {
        let values = truncated_normal(&from.name, 5, 0.2, from.count());
        let tensor = HostTensor::new(from.shape(), values);
        let layer = from.place.layer();
        let tensor = layer
            .map_or_else(|| tensor.clone(), |layer| select_heads(from, &tensor, &slots(layer)));
        (to.name, tensor)
    };
    let of_layers = (0..shape.depth()).flat_map(|layer| {
        let from = ancestor.layer_parameters(layer / 2);
        let to = shape.layer_parameters(layer);
        to.into_iter().zip(from).map(|(to, from)| inherit(to, &from)).collect::<Vec<_>>()
    });
    let others = shape.parameters().into_iter().filter(|p| !matches!(p.place, Place::Layer { .. }));
    let others = others.map(|parameter| inherit(parameter.clone(), &parameter));
    let parameters = of_layers.chain(others).collect();
    let depth = shape.depth();
    let plan = TransformationPlan {
        ffn: (0..depth).map(|layer| layer / 2).collect(),
        heads: (0..depth).map(|layer| slots(layer / 2)).collect(),
    };
    Descendant { shape, parameters, plan }
}

impl Descendant {
    pub(super) fn load(&self) -> Model {
        let loaded = Model::load(&self.shape, &self.parameters, &Device::flex());
        loaded.expect("a descendant has the parameters of its shape")
    }

    pub(super) fn attach(&self, config: &TransformationConfig) -> Transforming {
        attach(self.load(), &self.plan, config).expect("the descendant's own plan")
    }
}

/// Transformations by their texts; an empty one is none.
pub(super) fn config(ffn: &str, heads: &str) -> TransformationConfig {
    TransformationConfig {
        ffn: (!ffn.is_empty()).then(|| ffn.parse().expect("a transformation of FFNs")),
        heads: (!heads.is_empty()).then(|| heads.parse().expect("a transformation of heads")),
        ..TransformationConfig::default()
    }
}

/// Four images, the same in every test.
pub(super) fn images(device: &Device) -> Tensor<4> {
    let values = truncated_normal("images", 9, 0.5, 4 * 3 * 16 * 16);
    Tensor::from_data(TensorData::new(values, [4, 3, 16, 16]), device)
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("flex computes in f32")
}

/// Logits of the images.
pub(super) fn logits(model: &impl Classifier) -> Vec<f32> {
    values(model.valid().forward(images(&Device::flex())))
}

/// The same, layer by layer, as gradient checkpointing runs a model.
pub(super) fn logits_by_layer(model: &impl Classifier) -> Vec<f32> {
    let model = model.valid();
    let run = |tokens, layer| model.forward_layer(layer, tokens, Forward::default());
    let tokens = (0..model.num_layers()).fold(model.embed(images(&Device::flex())), run);
    values(model.classify(model.pool(tokens)))
}

/// The largest difference of two outputs.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "outputs of one shape");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Prepares a model as training does.
pub(super) fn with_autodiff<M: Module>(model: M) -> M {
    model.fork(&Device::flex().autodiff()).train()
}

/// Loss of the images' logits, `[4, num_classes]`.
fn loss(logits: Tensor<2>) -> Tensor<1> {
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

/// A model after 20 steps of AdamW.
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

/// Whether a parameter of a [`Transforming`] learns, by the same paths.
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
