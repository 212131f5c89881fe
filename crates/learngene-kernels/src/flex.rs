//! The fused operations: one trait of burn's extension mechanism, implemented for the Flex
//! backend (values) and for its autodiff decoration (values and gradients).
//!
//! One file an operation, from tensors at its top to loops over slices at its end.

mod buffer;
mod gelu;
mod layer_norm;
mod math;
mod softmax;

use burn::backend::{
    Autodiff, Backend, Dispatch, DispatchDevice, Flex,
    autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension, tensor::FloatTensor,
};
use burn::tensor::{DType, Tensor};

use crate::switch::fused;

/// Whether the fused path is on and made for this tensor.
pub(crate) fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    fused()
        && math::fast_on_this_cpu()
        && x.dtype() == DType::F32
        && x.shape().num_elements() > 0
        && match x.device().as_dispatch() {
            DispatchDevice::Flex(_) => true,
            DispatchDevice::Autodiff(device) => matches!(**device, DispatchDevice::Flex(_)),
            #[allow(unreachable_patterns)] // Reachable as soon as burn has another backend.
            _ => false,
        }
}

/// See [`crate::gelu`]; the tensor must be one that [`takes`] accepts.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// See [`crate::softmax`]; the tensor must be one that [`takes`] accepts.
pub(crate) fn softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_softmax(x.into_dispatch(), scale))
}

/// See [`crate::layer_norm`]; the tensors must be ones that [`takes`] accepts.
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_layer_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        eps,
    ))
}

/// The operations as burn's dispatch sees them.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedOps: Backend {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self>;
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::forward(x)
    }

    fn fused_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        softmax::forward(x, scale as f32)
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        layer_norm::forward(x, weight, bias, eps as f32).0
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::record::<C>(x)
    }

    fn fused_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        softmax::record::<C>(x, scale as f32)
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        layer_norm::record::<C>(x, weight, bias, eps as f32)
    }
}
