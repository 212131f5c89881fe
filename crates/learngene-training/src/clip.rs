//! Clipping of gradients by their global norm.
//!
//! Source: Pascanu et al., 2013, <https://arxiv.org/abs/1211.5063>; as PyTorch's `clip_grad_norm_`.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};

/// Added to the norm, as in PyTorch, so that no gradient divides by zero.
const EPSILON: f64 = 1e-6;

/// The gradients times `min(1, max_norm / norm)`, where `norm` is taken over all of them together.
///
/// The norm stays on the device, so that a step does not wait for it.
pub(crate) fn clip_global_norm<M: Module>(
    model: &M,
    gradients: GradientsParams,
    max_norm: f64,
) -> GradientsParams {
    let mut squares = Squares { gradients: &gradients, sum: None };
    model.visit(&mut squares);
    let Some(sum) = squares.sum else { return gradients };
    let factor = (sum.sqrt() + EPSILON).recip() * max_norm;
    let mut scale = Scale { gradients, factor: factor.clamp_max(1.0) };
    model.visit(&mut scale);
    scale.gradients
}

/// Sums the squares of all gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            let square = (gradient.clone() * gradient).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

/// Multiplies all gradients by one factor, `[1]`.
struct Scale {
    gradients: GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.gradients.register(parameter.id, gradient * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{nn::LinearConfig, tensor::Device};

    use super::*;

    /// Clips gradients 3 and 4, of norm 5.
    fn check_clip(max_norm: f64, want: [f32; 2]) {
        let linear = LinearConfig::new(1, 1).init(&Device::flex());
        let (weight, bias) = (linear.weight.id, linear.bias.as_ref().expect("it has one").id);
        let mut gradients = GradientsParams::new();
        gradients.register(weight, Tensor::<2>::from_data([[3.0_f32]], &Device::flex()));
        gradients.register(bias, Tensor::<1>::from_data([4.0_f32], &Device::flex()));
        let clipped = clip_global_norm(&linear, gradients, max_norm);
        let weight: f32 = clipped.get::<2>(weight).expect("kept").into_scalar();
        let bias: f32 = clipped.get::<1>(bias).expect("kept").into_scalar();
        for (got, want) in [weight, bias].into_iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{got}, expected {want}");
        }
    }

    #[test]
    fn only_a_larger_norm_is_scaled_down() {
        check_clip(1.0, [0.6, 0.8]);
        check_clip(10.0, [3.0, 4.0]);
    }
}
