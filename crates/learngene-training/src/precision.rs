//! The number format of forward and backward passes.
//!
//! In `bf16` a pass works on a copy of the parameters in that format; parameters themselves, their
//! gradients, the optimiser's moments and the loss stay in f32, so that small steps are not lost.
//! bf16 has the range of f32, so the loss needs no scaling: Kalamkar et al., 2019,
//! <https://arxiv.org/abs/1905.12322>; parameters in f32 beside: Micikevicius et al., 2018,
//! <https://arxiv.org/abs/1710.03740>, section 3.1.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{DType, Tensor},
};
use learngene_models::BranchScales;
use serde::{Deserialize, Serialize};

use crate::trainee::ImageBatch;

/// Number format of forward and backward passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, as parameters are.
    #[default]
    F32,
    /// The upper 16 bits of these, where the device has them.
    Bf16,
}

/// A copy of a module in another format, whose parameters have the same ids and gradients of their
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

impl ImageBatch {
    /// The same batch in another format; targets, which only the loss reads, stay as they are.
    pub(crate) fn cast(self, dtype: DType) -> Self {
        let scales = |BranchScales { attention, mlp }| BranchScales {
            attention: attention.cast(dtype),
            mlp: mlp.cast(dtype),
        };
        let branches = self.branches.map(|layers| layers.into_iter().map(scales).collect());
        Self { images: self.images.cast(dtype), branches, ..self }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use burn_train::TrainStep;
    use learngene_datasets::Batch;
    use learngene_models::{Classifier, SwinConfig, Vit, VitConfig};

    use super::*;
    use crate::{drop_path::DropPath, host_batch::HostBatch, trainee::Trainee};

    /// All gradients of a model, one after another.
    struct Collect<'a>(&'a GradientsParams, Vec<f32>);

    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(parameter.id).expect("every parameter has a gradient");
            self.1.extend(gradient.into_data().try_into_vec::<f32>().expect("it is in f32"));
        }
    }

    /// Checks loss and gradients against those in f32: bf16 keeps 8 bits, and errors average out.
    fn check<C: Classifier>(init: impl Fn(&Device) -> C, gradient_checkpointing: bool) {
        let device = Device::flex().autodiff();
        let model = init(&device);
        let pixels = (0..3 * 3 * 1024).map(|i| ((i * 7) % 13) as f32 / 6.0 - 1.0).collect();
        let batch = Batch { pixels, shape: [3, 3, 32, 32], labels: vec![4, 0, 2], targets: None };
        let branches = DropPath { rate: 0.2, layers: model.num_layers() }.draw(3, 0, (1, 0));
        let step = |precision| {
            let trainee = Trainee {
                model: model.clone(),
                label_smoothing: 0.1,
                gradient_checkpointing,
                precision,
            };
            let batch = HostBatch::new(batch.clone(), branches.clone()).upload(&device);
            let output = trainee.step(batch);
            let mut collect = Collect(&output.grads, Vec::new());
            trainee.visit(&mut collect);
            (output.item.loss.into_scalar::<f32>(), collect.1)
        };
        let (wide, narrow) = (step(Precision::F32), step(Precision::Bf16));
        assert!((wide.0 - narrow.0).abs() < 0.02, "losses {} and {}", wide.0, narrow.0);
        assert_ne!(wide, narrow);
        let norm = |values: &mut dyn Iterator<Item = f32>| {
            values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
        };
        let gap = norm(&mut wide.1.iter().zip(&narrow.1).map(|(wide, narrow)| wide - narrow));
        let relative = gap / norm(&mut wide.1.iter().copied());
        println!("gradients differ by {relative:.4} of their norm");
        assert!(relative < 0.05, "gradients differ by {relative} of their norm");
    }

    fn vit(device: &Device) -> Vit {
        let vit = VitConfig::uniform(24, 2, 3).with_image_size(32).with_patch_size(8);
        vit.with_num_classes(5).init(device)
    }

    #[test]
    fn a_vit_in_bf16_learns_nearly_the_same() {
        check(vit, false);
    }

    #[test]
    fn a_swin_in_bf16_learns_nearly_the_same() {
        let swin = SwinConfig::uniform(8, &[2, 2], &[2, 4]).with_image_size(32).with_patch_size(2);
        let swin = swin.with_window_size(4).with_num_classes(5);
        check(|device| swin.init(device), false);
    }

    #[test]
    fn layers_may_be_computed_again_in_bf16() {
        check(vit, true);
    }
}
