//! AdamW with the exemptions that every transformer recipe makes.

use burn::{
    module::{Module, ModuleVisitor, Param, ParamGroup},
    optim::{AdamWState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer},
    tensor::{Device, Tensor},
};
use learngene_kernels::AdamWStep;

use crate::Recipe;

/// AdamW as PyTorch and DeiT set it (epsilon 1e-8, where burn's default is 1e-5), without weight
/// decay on vectors (biases, norms), positions and the class token.
pub(crate) fn adamw<M: Module>(recipe: &Recipe, model: &M) -> ModuleOptimizer {
    let with_decay = |weight_decay| AdamW { betas: recipe.betas, weight_decay };
    let exempt = ParamGroup::from_paths(without_decay(model));
    ModuleOptimizer::from(with_decay(recipe.weight_decay)).with_group(exempt, with_decay(0.0), None)
}

/// AdamW in one pass over each parameter.
#[derive(Clone)]
struct AdamW {
    betas: (f64, f64),
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
        let Self { betas, weight_decay } = *self;
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

/// Paths of the parameters that weight decay leaves alone.
fn without_decay<M: Module>(model: &M) -> Vec<String> {
    let mut exempt = Exempt { path: Vec::new(), found: Vec::new() };
    model.visit(&mut exempt);
    exempt.found
}

struct Exempt {
    path: Vec<String>,
    found: Vec<String>,
}

impl ModuleVisitor for Exempt {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        let name = self.path.last().map(String::as_str);
        if D == 1
            || matches!(name, Some("pos_embed" | "cls_token" | "relative_position_bias_table"))
        {
            self.found.push(self.path.join("."));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use learngene_models::VitConfig;

    use super::*;

    #[test]
    fn vectors_positions_and_class_token_are_exempt() {
        let vit =
            VitConfig::uniform(8, 1, 2).with_image_size(8).with_patch_size(4).init(&Device::flex());
        let mut exempt = without_decay(&vit);
        exempt.sort();
        assert_eq!(
            exempt,
            [
                "blocks.0.attn.proj.bias",
                "blocks.0.attn.qkv.bias",
                "blocks.0.mlp.fc1.bias",
                "blocks.0.mlp.fc2.bias",
                "blocks.0.norm1.beta",
                "blocks.0.norm1.gamma",
                "blocks.0.norm2.beta",
                "blocks.0.norm2.gamma",
                "cls_token",
                "head.bias",
                "norm.beta",
                "norm.gamma",
                "patch_embed.proj.bias",
                "pos_embed",
            ]
        );
    }
}
