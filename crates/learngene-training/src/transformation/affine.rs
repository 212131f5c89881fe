//! Weight and bias of a linear layer as tensors.

use burn::{
    module::{Param, ParamId},
    nn,
    tensor::Tensor,
};

/// Weight and bias of a linear layer: `x * weight + bias`.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    /// `[d_input, d_output]`
    pub(super) weight: Tensor<2>,
    /// `[d_output]`
    pub(super) bias: Tensor<1>,
}

impl Affine {
    pub(super) fn of(layer: &nn::Linear) -> Self {
        let bias = layer.bias.as_ref().expect("every linear layer of a block has a bias");
        Self { weight: layer.weight.val(), bias: bias.val() }
    }

    /// Replaces the weight and the bias of a layer, so that gradients reach what these were computed
    /// from.
    pub(super) fn put_into(self, layer: &mut nn::Linear) {
        let bias_id = layer.bias.as_ref().map_or_else(ParamId::new, |bias| bias.id);
        layer.weight = Param::initialized(layer.weight.id, self.weight);
        layer.bias = Some(Param::initialized(bias_id, self.bias));
    }

    /// All scalars in one row, the weight before the bias:
    /// `[1, d_input * d_output + d_output]`.
    pub(super) fn flatten(self) -> Tensor<2> {
        let [d_input, d_output] = self.weight.dims();
        let weight = self.weight.reshape([1, d_input * d_output]);
        Tensor::cat(vec![weight, self.bias.unsqueeze()], 1)
    }

    /// The inverse of [`Affine::flatten`] for a layer of these shapes.
    pub(super) fn unflatten(&self, row: Tensor<2>) -> Self {
        let [d_input, d_output] = self.weight.dims();
        let bias = d_input * d_output..d_input * d_output + d_output;
        Self {
            weight: row.clone().slice_dim(1, 0..bias.start).reshape([d_input, d_output]),
            bias: row.slice_dim(1, bias).squeeze_dim(0),
        }
    }
}

impl std::ops::Add for Affine {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { weight: self.weight + other.weight, bias: self.bias + other.bias }
    }
}
