//! What a device computes, and what PyTorch does.

use std::{fs, sync::Arc};

use anyhow::Context;
use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::loss::CrossEntropyLossConfig,
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};
use learngene_checkpoints::{Checkpoint, ReadOptions};
use learngene_datasets::{BadImages, Preprocess, Split, Subset, load_batch, open};
use learngene_expansion::from_scratch;
use learngene_models::{Classifier, Model};
use learngene_shape::{Family, Vit};
use learngene_tensors::Safetensors;
use learngene_training::{Execution, FitData, Recipe, fit};
use serde::Serialize;

/// What is compared, how, and how far apart it may be.
///
/// The tolerances hold for f32: one operation rounds to 6e-8 of its result, a sum over some hundred
/// terms in another order to some 1e-6, and a few layers of them to some 1e-5. A step of training
/// adds to differences, so an epoch is compared more loosely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Logits,
    Attention,
    Loss,
    Gradient,
    TrainingLoss,
    TrainedLogits,
}

impl Kind {
    pub(super) fn tolerance(self) -> f64 {
        match self {
            Self::Logits | Self::Gradient => 1e-4,
            Self::Attention | Self::Loss => 1e-5,
            Self::TrainingLoss => 1e-3,
            Self::TrainedLogits => 1e-2,
        }
    }

    /// Whether differences are taken in relation to the greatest value.
    pub(super) fn is_relative(self) -> bool {
        matches!(self, Self::Gradient | Self::TrainingLoss)
    }
}

/// Something that a device computed.
pub(super) struct Quantity {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) values: Vec<f32>,
}

/// A model, its input and what PyTorch makes of it; see tests/golden.
pub(super) struct GoldenFiles {
    name: &'static str,
    num_heads: usize,
    checkpoint: &'static [u8],
    expected: &'static [u8],
}

macro_rules! golden {
    ($name:literal, $num_heads:literal) => {
        GoldenFiles {
            name: $name,
            num_heads: $num_heads,
            checkpoint: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/golden/",
                $name,
                "/timm.safetensors"
            )),
            expected: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/golden/",
                $name,
                "/expected.safetensors"
            )),
        }
    };
}

pub(super) const GOLDENS: [GoldenFiles; 2] =
    [golden!("vit_tiny_golden", 3), golden!("vit_narrow_mlp_golden", 4)];

pub(super) struct Golden {
    name: &'static str,
    checkpoint: Checkpoint,
    /// `[batch, 3, image_size, image_size]`
    input: TensorData,
    pub(super) expected: Vec<Quantity>,
}

impl Golden {
    pub(super) fn read(files: &GoldenFiles) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("golden.safetensors");
        fs::write(&path, files.checkpoint)?;
        let options = ReadOptions { num_heads: Some(vec![files.num_heads]), ..Default::default() };
        let checkpoint = learngene_checkpoints::read(&path, &options)?;

        let tensors = Safetensors::from_bytes(files.expected)?;
        let values = |name: &str| -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
            let values = tensors.values(name)?;
            Ok((tensors.tensors[name].shape.clone(), values))
        };
        let last = checkpoint.shape.depth() - 1;
        let known = [
            ("logits", "logits".to_owned(), Kind::Logits),
            ("attention_layer0", "attention of layer 0".to_owned(), Kind::Attention),
            ("attention_last", format!("attention of layer {last}"), Kind::Attention),
            ("loss", "loss".to_owned(), Kind::Loss),
        ];
        let mut expected = Vec::new();
        for (tensor, quantity, kind) in known {
            let name = format!("{}: {quantity}", files.name);
            expected.push(Quantity { name, kind, values: values(tensor)?.1 });
        }
        let (shape, gradient) = values("grad_block0_qkv")?;
        expected.push(Quantity {
            name: format!("{}: gradient of blocks.0.attn.qkv.weight", files.name),
            kind: Kind::Gradient,
            values: transposed(&gradient, shape[1]), // burn's layout is [in, out].
        });
        let (shape, input) = values("input")?;
        Ok(Self { name: files.name, checkpoint, input: TensorData::new(input, shape), expected })
    }

    fn model(&self, device: &Device) -> anyhow::Result<Model> {
        Ok(Model::load(&self.checkpoint.shape, &self.checkpoint.parameters, device)?)
    }

    pub(super) fn run(&self, device: &Device) -> anyhow::Result<Vec<Quantity>> {
        let named = |quantity: String, kind, values| Quantity {
            name: format!("{}: {quantity}", self.name),
            kind,
            values,
        };
        let input = Tensor::from_data(self.input.clone(), device);
        let output = self.model(device)?.forward_attention(input);
        let mut quantities = vec![named("logits".into(), Kind::Logits, fetch(output.logits)?)];
        for (layer, weights) in output.attention.into_iter().enumerate() {
            let name = format!("attention of layer {layer}");
            quantities.push(named(name, Kind::Attention, fetch(weights)?));
        }

        let device = device.clone().autodiff();
        let model = self.model(&device)?;
        let logits = model.forward(Tensor::from_data(self.input.clone(), &device));
        let labels = Tensor::from_data([0_i64, 1], &device);
        let loss = CrossEntropyLossConfig::new().init(&device).forward(logits, labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        quantities.push(named("loss".into(), Kind::Loss, fetch(loss.inner())?));
        for (parameter, gradient) in all_gradients(&model, &gradients)? {
            quantities.push(named(format!("gradient of {parameter}"), Kind::Gradient, gradient));
        }
        Ok(quantities)
    }
}

/// One epoch of a small model on some images of the embedded sample.
pub(super) fn train(device: &Device) -> anyhow::Result<Vec<Quantity>> {
    const TRAINING: usize = 128;
    const TEST: usize = 32;
    let vit = Vit::uniform(48, 3, 3);
    let shape = Vit { image_size: 32, patch_size: 8, num_classes: 10, ..vit }.shape()?;
    let some = |split, count| -> anyhow::Result<Arc<Subset>> {
        let all = open("cifar10-sample", split, BadImages::Refuse)?;
        Ok(Arc::new(Subset::first(all.into(), count)))
    };
    let preprocess = Preprocess::new(32).check()?;
    let test = some(Split::Test, TEST)?;
    let indices: Vec<usize> = (0..TEST).collect();
    let batch = load_batch(test.as_ref(), &indices, &preprocess, None)?;
    let data = FitData { train: some(Split::Train, TRAINING)?, test, preprocess, teacher: None };
    let recipe = Recipe { epochs: 1, batch_size: 16, learning_rate: 0.01, ..Recipe::default() };
    let model = Model::load(&shape, &from_scratch(&shape, 0), device)?;
    let folder = tempfile::tempdir()?;
    let fitted = fit(
        model,
        &data,
        &recipe,
        folder.path(),
        &Execution::on(std::slice::from_ref(device)),
        Arc::new(()),
    )?;

    let images = Tensor::from_data(TensorData::new(batch.pixels, batch.shape), device);
    let logits = fitted.model.valid().forward(images);
    let named = |name: &str, kind, values| Quantity { name: name.to_owned(), kind, values };
    let losses = fitted.metrics.iter().map(|metrics| metrics.train_loss as f32).collect();
    Ok(vec![
        named("one epoch of training: loss", Kind::TrainingLoss, losses),
        named("one epoch of training: logits after it", Kind::TrainedLogits, fetch(logits)?),
    ])
}

/// Gradients of all parameters by their names in burn.
fn all_gradients<M: Module>(
    model: &M,
    gradients: &GradientsParams,
) -> anyhow::Result<Vec<(String, Vec<f32>)>> {
    struct Collect<'a> {
        gradients: &'a GradientsParams,
        path: Vec<String>,
        found: Vec<anyhow::Result<(String, Vec<f32>)>>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            // Which family it is stands in no name.
            if !container_type.starts_with("Enum:") {
                self.path.push(name.to_owned());
            }
        }

        fn exit_module(&mut self, _name: &str, container_type: &str) {
            if !container_type.starts_with("Enum:") {
                self.path.pop();
            }
        }

        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let name = self.path.join(".");
            let gradient = self.gradients.get::<D>(parameter.id);
            let gradient = gradient.with_context(|| format!("{name} has no gradient"));
            self.found.push(gradient.and_then(fetch).map(|values| (name, values)));
        }
    }
    let mut collect = Collect { gradients, path: Vec::new(), found: Vec::new() };
    model.visit(&mut collect);
    collect.found.into_iter().collect()
}

fn fetch<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<Vec<f32>> {
    let data = tensor.try_into_data()?.convert::<f32>();
    data.try_into_vec().map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// The transpose of a matrix of so many columns.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_turned() {
        assert_eq!(transposed(&[1., 2., 3., 4., 5., 6.], 3), [1., 4., 2., 5., 3., 6.]);
    }
}
