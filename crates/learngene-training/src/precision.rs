//! The number format of forward and backward passes.
//!
//! In `bf16`, a pass uses a copy of the parameters in that format. The parameters themselves, their
//! gradients, the optimiser's moments and the loss stay in f32, so that small steps are not lost.
//! bf16 has the range of f32, so the loss needs no scaling: Kalamkar et al., 2019,
//! <https://arxiv.org/abs/1905.12322>; parameters in f32 beside: Micikevicius et al., 2018,
//! <https://arxiv.org/abs/1710.03740>, section 3.1.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{DType, Tensor},
};
use serde::{Deserialize, Serialize};

/// Number format of forward and backward passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, the format of the parameters.
    #[default]
    F32,
    /// The upper 16 bits of f32; not every device supports it.
    Bf16,
}

/// A copy of a module in another format. Its parameters keep their ids and get gradients of their
/// own.
pub(crate) fn copied<M: Module>(module: &M, dtype: DType) -> M {
    module.clone().map(&mut Copy(dtype))
}

struct Copy(DType);

impl ModuleMapper for Copy {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let tracked = parameter.is_require_grad();
        parameter.map(|tensor| {
            let copy = Tensor::from_inner(tensor.inner().cast(self.0));
            copy.set_require_grad(tracked)
        })
    }
}

/// Gradients of a module's parameters in f32.
pub(crate) fn gradients_in_f32<M: Module>(
    module: &M,
    gradients: GradientsParams,
) -> GradientsParams {
    let mut widen = Widen { narrow: gradients, wide: GradientsParams::new() };
    module.visit(&mut widen);
    widen.wide
}

struct Widen {
    narrow: GradientsParams,
    wide: GradientsParams,
}

impl ModuleVisitor for Widen {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.narrow.remove::<D>(parameter.id) {
            self.wide.register(parameter.id, gradient.cast(DType::F32));
        }
    }
}
