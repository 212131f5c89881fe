//! Transformations of one linear layer.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use super::{affine::Affine, drawing::Drawing};

/// `(1 + s) W` and `(1 + s) b + t`.
#[derive(Module, Debug)]
pub(super) struct ScaleShift {
    /// s: `[d_output]`
    scale: Param<Tensor<1>>,
    /// t: `[d_output]`
    shift: Param<Tensor<1>>,
}

impl ScaleShift {
    pub(super) fn new(base: &Affine, drawing: &Drawing<'_>) -> Self {
        let outputs = base.bias.dims();
        Self { scale: drawing.zeros(outputs), shift: drawing.zeros(outputs) }
    }

    pub(super) fn apply(&self, base: Affine) -> Affine {
        let scale = self.scale.val() + 1.0;
        Affine {
            weight: base.weight * scale.clone().unsqueeze(), // [d_input, d_output] * [1, d_output]
            bias: base.bias * scale + self.shift.val(),
        }
    }
}

/// `W + A B` and `b + t`.
#[derive(Module, Debug)]
pub(super) struct LowRank {
    /// A: `[d_input, rank]`
    a: Param<Tensor<2>>,
    /// B: `[rank, d_output]`
    b: Param<Tensor<2>>,
    /// t: `[d_output]`
    shift: Param<Tensor<1>>,
}

impl LowRank {
    pub(super) fn new(name: &str, rank: usize, base: &Affine, drawing: &Drawing<'_>) -> Self {
        let [d_input, d_output] = base.weight.dims();
        Self {
            a: drawing.normal(&[format!("{name}.a")], d_input, [d_input, rank]),
            b: drawing.zeros([rank, d_output]),
            shift: drawing.zeros([d_output]),
        }
    }

    pub(super) fn apply(&self, base: Affine) -> Affine {
        Affine {
            weight: base.weight + self.a.val().matmul(self.b.val()),
            bias: base.bias + self.shift.val(),
        }
    }
}
