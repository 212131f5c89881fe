//! Gradient checkpointing: of the forward pass, a step keeps what goes into each layer alone, and
//! computes the rest again, layer by layer, when the backward pass comes to it.
//!
//! Memory for activations falls from all that every layer computes to one tensor a layer and all of
//! one layer, at the price of a second forward pass, about a third of a step.
//!
//! Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016,
//! <https://arxiv.org/abs/1604.06174>.

use burn::{
    optim::{GradientsAccumulator, GradientsParams},
    tensor::Tensor,
};
use learngene_models::{BranchScales, Classifier};

use crate::trainee::{ImageBatch, Trainee};

/// The gradients of a step and its mean loss, `[1]`, as the whole graph would give them.
pub(crate) fn backward<C: Classifier>(
    trainee: &Trainee<C>,
    batch: ImageBatch,
) -> (GradientsParams, Tensor<1>) {
    let model = &trainee.model;
    let forward = model.valid(); // The same parameters, without a graph.
    let branches = batch.branches.as_deref();
    let scales = |layer: usize| branches.map(|scales| &scales[layer]);
    let inner_scales = |layer: usize| scales(layer).map(without_graph);
    let mut inputs = Vec::with_capacity(model.num_layers());
    let mut tokens = forward.embed(batch.images.clone().inner());
    for layer in 0..model.num_layers() {
        inputs.push(tokens.clone());
        tokens = forward.forward_layer_scaled(layer, tokens, inner_scales(layer).as_ref());
    }

    let mut gradients = GradientsAccumulator::new();
    let mut accumulate = |of_part| gradients.accumulate(trainee, of_part);
    let tokens = Tensor::from_inner(tokens).require_grad();
    let logits = model.classify(model.pool(tokens.clone()));
    let loss = trainee.loss(logits, &batch.targets, batch.share);
    let mut part = loss.backward();
    let mut dy = tokens.grad_remove(&mut part).expect("the loss depends on the last tokens");
    accumulate(GradientsParams::from_grads(part, trainee));

    for (layer, input) in inputs.into_iter().enumerate().rev() {
        let input = Tensor::from_inner(input).require_grad();
        let mut part =
            vector_jacobian(model.forward_layer_scaled(layer, input.clone(), scales(layer)), dy);
        dy = input.grad_remove(&mut part).expect("a layer depends on its input");
        accumulate(GradientsParams::from_grads(part, trainee));
    }
    let part = vector_jacobian(model.embed(batch.images), dy);
    accumulate(GradientsParams::from_grads(part, trainee));
    (gradients.grads(), loss.inner())
}

/// The gradients of all that `y` was computed from, where that of `y` is `dy`; none where `y` was
/// computed from frozen parameters alone.
fn vector_jacobian(y: Tensor<3>, dy: Tensor<3>) -> burn::tensor::Gradients {
    // burn refuses to go back from a sum into which nothing tracked went.
    let anchor = Tensor::<1>::zeros([1], (&y.device(), y.dtype())).require_grad();
    ((y * Tensor::from_inner(dy)).sum() + anchor).backward()
}

/// The same factors for a model without a graph.
fn without_graph(scales: &BranchScales) -> BranchScales {
    let [attention, mlp] = [&scales.attention, &scales.mlp].map(|scale| scale.clone().inner());
    BranchScales { attention, mlp }
}

#[cfg(test)]
mod tests {
    use burn::{
        module::{Module, ModuleVisitor, Param},
        tensor::Device,
    };
    use burn_train::TrainStep;
    use learngene_datasets::Batch;
    use learngene_models::VitConfig;

    use super::*;
    use crate::{Precision, drop_path::DropPath, host_batch::HostBatch};

    /// All gradients of a model, in the order of its parameters.
    struct Collect<'a>(&'a GradientsParams, Vec<Vec<f32>>);

    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(parameter.id).expect("every parameter has a gradient");
            self.1.push(gradient.into_data().try_into_vec().expect("flex computes in f32"));
        }
    }

    #[test]
    fn gradients_are_those_of_the_whole_graph() {
        let device = Device::flex().autodiff();
        let model = VitConfig::new(24, vec![3, 1, 2], 8, 40)
            .with_image_size(16)
            .with_patch_size(4)
            .with_num_classes(5)
            .init(&device);
        let pixels: Vec<f32> =
            (0..3 * 3 * 256).map(|i| ((i * 7) % 13) as f32 / 6.0 - 1.0).collect();
        let batch = Batch { pixels, shape: [3, 3, 16, 16], labels: vec![4, 0, 2], targets: None };
        let branches = DropPath { rate: 0.5, layers: 3 }.draw(3, 0, (1, 0));
        let batch = HostBatch::new(batch, branches).upload(&device);
        let step = |gradient_checkpointing| {
            let trainee = Trainee {
                model: model.clone(),
                label_smoothing: 0.1,
                gradient_checkpointing,
                precision: Precision::F32,
            };
            let output = trainee.step(batch.clone());
            let mut collect = Collect(&output.grads, Vec::new());
            trainee.visit(&mut collect);
            (output.item.loss.into_scalar::<f32>(), collect.1)
        };
        assert_eq!(step(true), step(false));
    }
}
