//! AdamW with separate rates and weight decay for groups of parameters.

use burn::{
    module::{Module, ParamGroup},
    optim::{AdamWState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer},
    tensor::{Device, Tensor},
};
use learngene_kernels::AdamWStep;
use learngene_shape::Shape;

use crate::{
    Recipe,
    parameter_groups::{AdamWGroup, parameter_groups},
};

/// AdamW as PyTorch and DeiT set it (epsilon 1e-8, where burn's default is 1e-5), with the groups of
/// [`parameter_groups`].
pub(crate) fn adamw<M: Module>(recipe: &Recipe, module: &M, shape: &Shape) -> ModuleOptimizer {
    let of_group = |lr_scale, decays| AdamW {
        betas: recipe.betas,
        lr_scale,
        weight_decay: if decays { recipe.weight_decay } else { 0.0 },
    };
    // burn requires an optimiser of all parameters, which those of the groups replace.
    let groups = parameter_groups(module, shape, recipe.layer_decay).into_iter();
    groups.fold(ModuleOptimizer::from(of_group(1.0, true)), |optimizer, group| {
        let AdamWGroup { lr_scale, decays, paths } = group;
        optimizer.with_group(ParamGroup::from_paths(paths), of_group(lr_scale, decays), None)
    })
}

/// AdamW in one pass over each parameter.
#[derive(Clone)]
struct AdamW {
    betas: (f64, f64),
    /// Factor of the learning rate.
    lr_scale: f64,
    weight_decay: f64,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (time, moments) = match state {
            Some(AdamWState { momentum }) => {
                (momentum.time + 1, [momentum.moment_1, momentum.moment_2])
            }
            None => (1, [gradient.zeros_like(), gradient.zeros_like()]),
        };
        let [moment_1, moment_2] = moments;
        let Self { betas, lr_scale, weight_decay } = *self;
        let learning_rate = learning_rate * lr_scale;
        let step = AdamWStep { learning_rate, betas, epsilon: 1e-8, weight_decay, time };
        let [parameter, moment_1, moment_2] =
            learngene_kernels::adamw([parameter, moment_1, moment_2], gradient, step);
        let momentum = AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2: None };
        (parameter, Some(AdamWState { momentum }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AdamWState { momentum: state.momentum.to_device(device) }
    }
}
