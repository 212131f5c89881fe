//! First values of transformations, drawn on the host.

use burn::{
    module::Param,
    tensor::{Device, Tensor, TensorData},
};

use crate::init::truncated_normal;

/// Makes tensors to learn, on a device, from a seed.
pub(super) struct Drawing<'a> {
    pub(super) seed: u64,
    pub(super) device: &'a Device,
}

impl Drawing<'_> {
    /// Zeros: where a transformation starts as the identity.
    pub(super) fn zeros<const D: usize>(&self, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::zeros(shape, self.device))
    }

    /// Normal values of standard deviation 1 / sqrt(fan_in), the length of the axis that is summed
    /// over.
    ///
    /// So what comes out is of the size of what goes in, whatever the width: with a deviation of
    /// .02, as models have it, the factor that starts at zero would get gradients several times
    /// smaller in a narrow model than in a wide one.
    ///
    /// Each of `names` has a random stream of its own, and an equal part of the first axis.
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
