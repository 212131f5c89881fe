//! The FFNs that layers are made from.

use std::{mem, ops::Range};

use burn::{
    module::{Module, Param, ParamId},
    nn,
    tensor::Tensor,
};
use learngene_expansion::TransformationPlan;
use learngene_models::{LayerLinears, Model};

/// Every base once, however many layers share it.
#[derive(Module, Debug)]
pub(super) struct Bank {
    /// In the order of the first layer of each.
    bases: Vec<Base>,
    /// `of_layer[l]`: the base of layer `l`; `None` if its FFN is not transformed.
    #[module(skip)]
    of_layer: Vec<Option<usize>>,
}

/// The linear layers of an FFN, frozen.
#[derive(Module, Debug)]
pub(super) struct Base {
    pub(super) fc1: nn::Linear,
    pub(super) fc2: nn::Linear,
}

impl Bank {
    /// Takes the FFNs of some layers out of a model, which cannot run these layers until others are
    /// put in their place.
    ///
    /// Layers of one group share a base if their parameters are still the same.
    pub(super) fn take(
        model: &mut Model,
        layers: impl Iterator<Item = usize>,
        plan: &TransformationPlan,
    ) -> Self {
        let mut of_layer = vec![None; plan.ffn.len()];
        let mut bases: Vec<(usize, Base)> = Vec::new();
        for layer in layers {
            let LayerLinears { fc1, fc2, .. } = model.linears_mut(layer);
            let taken = Base { fc1: take(fc1), fc2: take(fc2) };
            let group = plan.ffn[layer];
            let found = bases.iter().position(|(of, base)| *of == group && is_equal(base, &taken));
            of_layer[layer] = Some(found.unwrap_or_else(|| {
                bases.push((group, taken));
                bases.len() - 1
            }));
        }
        Self { bases: bases.into_iter().map(|(_, base)| base).collect(), of_layer }
    }

    /// The base of a layer, if its FFN is transformed.
    pub(super) fn base(&self, layer: usize) -> Option<&Base> {
        self.of_layer[layer].map(|base| &self.bases[base])
    }

    /// Those of some layers whose FFNs are transformed.
    pub(super) fn transformed(&self, layers: Range<usize>) -> Vec<usize> {
        layers.filter(|layer| self.of_layer[*layer].is_some()).collect()
    }

    /// The bases of the layers of a stage; no base belongs to two stages.
    pub(super) fn of_stage(&self, stage: Range<usize>) -> &[Base] {
        let of_stage = || self.of_layer[stage.clone()].iter().flatten();
        match (of_stage().min(), of_stage().max()) {
            (Some(&first), Some(&last)) => &self.bases[first..=last],
            _ => &[],
        }
    }
}

/// Takes a linear layer, frozen, and leaves an empty one with the same output width and the same ids
/// of its parameters.
fn take(layer: &mut nn::Linear) -> nn::Linear {
    let [_, d_output] = layer.weight.dims();
    let device = layer.weight.device();
    let bias = layer.bias.as_ref().expect("every linear layer of a block has a bias");
    let empty = nn::Linear {
        weight: Param::initialized(layer.weight.id, Tensor::zeros([1, d_output], &device)),
        bias: Some(Param::initialized(bias.id, Tensor::zeros([1], &device))),
    };
    let full = mem::replace(layer, empty);
    nn::Linear { weight: frozen(full.weight), bias: full.bias.map(frozen) }
}

/// The value with an id of its own, since the layer keeps the old one.
fn frozen<const D: usize>(param: Param<Tensor<D>>) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), param.val().detach()).set_require_grad(false)
}

fn is_equal(a: &Base, b: &Base) -> bool {
    let tensors = |base: &Base| {
        [&base.fc1, &base.fc2].map(|layer| {
            (layer.weight.val().into_data(), layer.bias.as_ref().map(|bias| bias.val().into_data()))
        })
    };
    tensors(a) == tensors(b)
}
