//! Initial values of transformations, drawn on the host.

use burn::{
    module::Param,
    tensor::{Device, Tensor, TensorData},
};
use learngene_expansion::truncated_normal;

/// Makes learnable tensors on a device from a seed.
pub(super) struct Drawing<'a> {
    pub(super) seed: u64,
    pub(super) device: &'a Device,
}

impl Drawing<'_> {
    /// Zeros, with which a transformation starts as the identity.
    pub(super) fn zeros<const D: usize>(&self, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::zeros(shape, self.device))
    }

    /// Normal values with standard deviation 1 / sqrt(fan_in), where `fan_in` is the length of the axis
    /// that is summed over, so that outputs have the scale of inputs for any width. With a deviation of
    /// .02, as in models, the factor that starts at zero would get smaller gradients in a narrow model.
    ///
    /// Each of `names` has its own random stream and an equal part of the first axis.
    pub(super) fn normal<const D: usize>(
        &self,
        names: &[String],
        fan_in: usize,
        shape: [usize; D],
    ) -> Param<Tensor<D>> {
        let std = 1.0 / (fan_in as f64).sqrt();
        let count = shape.iter().product::<usize>() / names.len();
        let draw = |name: &String| {
            truncated_normal(&format!("transformation.{name}"), self.seed, std, count)
        };
        let values: Vec<f32> = names.iter().flat_map(draw).collect();
        Param::from_data(TensorData::new(values, shape), self.device)
    }
}
