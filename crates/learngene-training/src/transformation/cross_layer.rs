//! Mixing of the FFNs of a stage along the depth.

use std::ops::Range;

use burn::{
    module::{Module, Param},
    nn,
    tensor::{Tensor, activation::relu},
};
use learngene_models::Model;

use super::{
    affine::Affine,
    bank::{Bank, Base},
    drawing::Drawing,
};

/// What is learnt of the FFNs of one stage.
#[derive(Module, Debug)]
pub(super) struct CrossLayer {
    fc1: Mixing,
    fc2: Mixing,
}

/// `V_k relu(U c + u)` for each element of a linear layer, where `c` holds its values in all bases: a
/// small linear-ReLU-linear along the depth (Cluster-Learngene, "learnable parameter
/// transformations").
#[derive(Module, Debug)]
struct Mixing {
    /// U: `[hidden, bases]`
    inner: Param<Tensor<2>>,
    /// u: `[hidden]`
    offset: Param<Tensor<1>>,
    /// V: `[layers, hidden]`
    outer: Param<Tensor<2>>,
}

impl CrossLayer {
    pub(super) fn new(
        name: &str,
        hidden: usize,
        bases: usize,
        layers: usize,
        drawing: &Drawing<'_>,
    ) -> Self {
        let mixing = |part: &str| Mixing {
            inner: drawing.normal(&[format!("{name}.{part}.inner")], bases, [hidden, bases]),
            offset: drawing.zeros([hidden]),
            outer: drawing.zeros([layers, hidden]),
        };
        Self { fc1: mixing("fc1"), fc2: mixing("fc2") }
    }

    /// Puts the mixed weights of those layers of a stage that are among `layers` in their place.
    pub(super) fn apply(
        &self,
        model: &mut Model,
        bank: &Bank,
        stage: Range<usize>,
        layers: &Range<usize>,
    ) {
        let (bases, of_stage) = (bank.of_stage(stage.clone()), bank.transformed(stage));
        let rows = of_stage.partition_point(|layer| *layer < layers.start)
            ..of_stage.partition_point(|layer| *layer < layers.end);
        if rows.is_empty() {
            return;
        }
        let affine = |linear: fn(&Base) -> &nn::Linear| {
            bases.iter().map(|base| Affine::of(linear(base))).collect()
        };
        let fc1 = self.fc1.additions(affine(|base| &base.fc1), rows.clone());
        let fc2 = self.fc2.additions(affine(|base| &base.fc2), rows.clone());
        for (&layer, (fc1, fc2)) in of_stage[rows].iter().zip(fc1.into_iter().zip(fc2)) {
            let base = bank.base(layer).expect("a transformed layer has a base");
            let linears = model.linears_mut(layer);
            (Affine::of(&base.fc1) + fc1).put_into(linears.fc1);
            (Affine::of(&base.fc2) + fc2).put_into(linears.fc2);
        }
    }
}

impl Mixing {
    /// What is added to the bases of some layers, which are counted among the transformed ones of the
    /// stage, given all bases of the stage.
    fn additions(&self, bases: Vec<Affine>, layers: Range<usize>) -> Vec<Affine> {
        let shapes = bases.first().expect("a stage that is mixed has a base").clone();
        let rows: Vec<Tensor<2>> = bases.into_iter().map(Affine::flatten).collect();
        let stack = Tensor::cat(rows, 0); // [bases, elements]
        let offset = self.offset.val().unsqueeze_dim(1); // [hidden, 1]
        let hidden = relu(self.inner.val().matmul(stack) + offset); // [hidden, elements]
        let outer = self.outer.val().slice_dim(0, layers.clone()); // [layers, hidden]
        let mixed = outer.matmul(hidden); // [layers, elements]
        let row = |index| shapes.unflatten(mixed.clone().slice_dim(0, index..index + 1));
        (0..layers.len()).map(row).collect()
    }
}
