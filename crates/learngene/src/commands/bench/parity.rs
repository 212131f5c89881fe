//! `learngene bench parity`: whether devices compute the same.

use std::{fs, sync::Arc};

use anyhow::{Context, ensure};
use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::loss::CrossEntropyLossConfig,
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};
use learngene_datasets::{BadImages, Preprocess, Split, Subset, load_batch, open};
use learngene_expansion::from_scratch;
use learngene_models::{
    Classifier, Vit, VitConfig,
    checkpoint::{self, ReadOptions},
};
use learngene_training::{FitData, Recipe, fit};
use safetensors::SafeTensors;
use serde::Serialize;

use crate::device::DeviceChoice;

/// Compares what devices compute with PyTorch's results and with each other's.
///
/// Golden models: logits, attention, loss and gradients, against PyTorch's where they are known and
/// the first device's otherwise. Then one epoch of training from the same weights on the same
/// images. The exit code is 1 where a difference is above its tolerance.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene bench parity --devices flex,wgpu:0")]
pub struct Args {
    /// Devices to compare; the first is what the others are compared with.
    #[arg(
        long,
        value_name = "DEVICE[,DEVICE..]",
        value_delimiter = ',',
        required = true,
        num_args = 1
    )]
    devices: Vec<DeviceChoice>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What is compared, how, and how far apart it may be.
///
/// The tolerances hold for f32: one operation rounds to 6e-8 of its result, a sum over some hundred
/// terms in another order to some 1e-6, and a few layers of them to some 1e-5. A step of training
/// adds to differences, so an epoch is compared more loosely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Logits,
    Attention,
    Loss,
    Gradient,
    TrainingLoss,
    TrainedLogits,
}

impl Kind {
    fn tolerance(self) -> f64 {
        match self {
            Self::Logits | Self::Gradient => 1e-4,
            Self::Attention | Self::Loss => 1e-5,
            Self::TrainingLoss => 1e-3,
            Self::TrainedLogits => 1e-2,
        }
    }

    /// Whether differences are taken in relation to the greatest value.
    fn is_relative(self) -> bool {
        matches!(self, Self::Gradient | Self::TrainingLoss)
    }
}

/// Something that a device computed.
struct Quantity {
    name: String,
    kind: Kind,
    values: Vec<f32>,
}

/// Two results beside each other.
#[derive(Serialize)]
struct Comparison {
    device: String,
    /// A device, or `pytorch`.
    reference: String,
    quantity: String,
    kind: Kind,
    /// Greatest difference of two values; null where one is not finite.
    difference: Option<f64>,
    tolerance: f64,
    agrees: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let goldens = GOLDENS.iter().map(Golden::read).collect::<anyhow::Result<Vec<_>>>()?;
    let mut comparisons = Vec::new();
    let mut first: Option<(String, Vec<Quantity>)> = None;
    for choice in &args.devices {
        // One device after another, for opening one may change how the next computes.
        let device = choice.open()?;
        let mut quantities = Vec::new();
        for golden in &goldens {
            quantities.extend(golden.run(&device).with_context(|| choice.to_string())?);
        }
        quantities.extend(train(&device).with_context(|| choice.to_string())?);

        let pytorch: Vec<&Quantity> = goldens.iter().flat_map(|golden| &golden.expected).collect();
        for known in &pytorch {
            let is_computed = quantities.iter().any(|quantity| quantity.name == known.name);
            ensure!(is_computed, "{choice} did not compute {}", known.name);
        }
        for quantity in &quantities {
            let known = pytorch.iter().find(|known| known.name == quantity.name);
            let known = known.map(|known| ("pytorch", *known));
            let of_first = first.iter().flat_map(|(device, quantities)| {
                quantities.iter().map(move |quantity| (device.as_str(), quantity))
            });
            let of_first = of_first.filter(|(_, other)| other.name == quantity.name);
            for (reference, other) in known.into_iter().chain(of_first) {
                comparisons.push(Comparison::of(choice, reference, quantity, other));
            }
        }
        first.get_or_insert((choice.to_string(), quantities));
    }
    let apart = comparisons.iter().filter(|comparison| !comparison.agrees).count();
    let total = comparisons.len();
    super::super::print(args.json, &comparisons, |comparisons| summary(comparisons))?;
    ensure!(apart == 0, "{apart} of {total} results are further apart than their tolerance");
    Ok(())
}

/// Of each kind, for each device and what it is compared with, the results that differ most.
fn summary(comparisons: &[Comparison]) -> String {
    let mut lines = vec!["device     against    greatest difference, allowed".to_owned()];
    let group = |one: &Comparison| (one.device.clone(), one.reference.clone(), one.kind);
    let mut seen = Vec::new();
    for first in comparisons {
        if seen.contains(&group(first)) {
            continue;
        }
        seen.push(group(first));
        let all: Vec<&Comparison> =
            comparisons.iter().filter(|other| group(other) == group(first)).collect();
        // What is not finite is worse than any number.
        let size = |one: &&&Comparison| one.difference.unwrap_or(f64::INFINITY);
        let worst = all.iter().max_by(|a, b| size(a).total_cmp(&size(b))).copied();
        lines.extend(worst.map(|worst| format!("{}; {} compared", worst.text(), all.len())));
    }
    let agreeing = comparisons.iter().filter(|comparison| comparison.agrees).count();
    lines.push(format!("{agreeing} of {} results agree", comparisons.len()));
    lines.join("\n")
}

impl Comparison {
    fn of(device: &DeviceChoice, reference: &str, found: &Quantity, wanted: &Quantity) -> Self {
        let (kind, tolerance) = (found.kind, found.kind.tolerance());
        let difference = difference(kind, &found.values, &wanted.values);
        Self {
            device: device.to_string(),
            reference: reference.to_owned(),
            quantity: found.name.clone(),
            kind,
            difference,
            tolerance,
            agrees: difference.is_some_and(|difference| difference <= tolerance),
        }
    }

    fn text(&self) -> String {
        let Self { device, reference, quantity, kind, tolerance, .. } = self;
        let difference =
            self.difference.map_or("not finite".into(), |found| format!("{found:.1e}"));
        let relative = if kind.is_relative() { " of the greatest" } else { "" };
        let verdict = if self.agrees { "" } else { "APART: " };
        format!(
            "{device:10} {reference:10} {verdict}{difference}, {tolerance:.0e}{relative}: {quantity}"
        )
    }
}

/// The greatest difference, in relation to the greatest of the wanted values where the kind says so.
fn difference(kind: Kind, found: &[f32], wanted: &[f32]) -> Option<f64> {
    let pairs = found.iter().zip(wanted).map(|(found, wanted)| f64::from(found - wanted).abs());
    let worst =
        pairs.fold(0.0, |worst: f64, one| if one > worst || one.is_nan() { one } else { worst });
    let greatest = wanted.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
    let difference = if kind.is_relative() && greatest > 0.0 { worst / greatest } else { worst };
    (found.len() == wanted.len() && difference.is_finite()).then_some(difference)
}

/// A model, its input and what PyTorch makes of it; see tests/golden.
struct GoldenFiles {
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

const GOLDENS: [GoldenFiles; 2] =
    [golden!("vit_tiny_golden", 3), golden!("vit_narrow_mlp_golden", 4)];

struct Golden {
    name: &'static str,
    checkpoint: checkpoint::Checkpoint,
    /// `[batch, 3, image_size, image_size]`
    input: TensorData,
    expected: Vec<Quantity>,
}

impl Golden {
    fn read(files: &GoldenFiles) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("golden.safetensors");
        fs::write(&path, files.checkpoint)?;
        let options = ReadOptions { num_heads: Some(vec![files.num_heads]), ..Default::default() };
        let checkpoint = checkpoint::read(&path, &options)?;

        let tensors = SafeTensors::deserialize(files.expected)?;
        let values = |name: &str| -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
            let view = tensors.tensor(name)?;
            let (words, _) = view.data().as_chunks();
            let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            Ok((view.shape().to_vec(), values))
        };
        let last = checkpoint.config.depth() - 1;
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

    fn run(&self, device: &Device) -> anyhow::Result<Vec<Quantity>> {
        let named = |quantity: String, kind, values| Quantity {
            name: format!("{}: {quantity}", self.name),
            kind,
            values,
        };
        let output = self
            .checkpoint
            .load(device)?
            .forward_attention(Tensor::from_data(self.input.clone(), device));
        let mut quantities = vec![named("logits".into(), Kind::Logits, fetch(output.logits)?)];
        for (layer, weights) in output.attention.into_iter().enumerate() {
            let name = format!("attention of layer {layer}");
            quantities.push(named(name, Kind::Attention, fetch(weights)?));
        }

        let device = device.clone().autodiff();
        let model = self.checkpoint.load(&device)?;
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
fn train(device: &Device) -> anyhow::Result<Vec<Quantity>> {
    const TRAINING: usize = 128;
    const TEST: usize = 32;
    let config =
        VitConfig::uniform(48, 3, 3).with_image_size(32).with_patch_size(8).with_num_classes(10);
    let some = |split, count| -> anyhow::Result<Arc<Subset>> {
        let all = open("cifar10-sample", split, BadImages::Refuse)?;
        Ok(Arc::new(Subset::first(all.into(), count)))
    };
    let preprocess = Preprocess::new(32).check()?;
    let test = some(Split::Test, TEST)?;
    let indices: Vec<usize> = (0..TEST).collect();
    let batch = load_batch(test.as_ref(), &indices, &preprocess, None)?;
    let data = FitData { train: some(Split::Train, TRAINING)?, test, preprocess };
    let recipe = Recipe { epochs: 1, batch_size: 16, learning_rate: 0.01, ..Recipe::default() };
    let model: Vit = config.load(&from_scratch(&config, 0)?, device)?;
    let folder = tempfile::tempdir()?;
    let fitted = fit(model, &data, &recipe, folder.path(), device, Arc::new(()))?;

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
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
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
    fn a_difference_is_the_greatest_and_of_gradients_relative() {
        assert_eq!(difference(Kind::Logits, &[1.0, 5.0], &[1.5, 4.0]), Some(1.0));
        assert_eq!(difference(Kind::Gradient, &[1.0, 5.0], &[1.5, 4.0]), Some(0.25));
        assert_eq!(difference(Kind::Gradient, &[0.0], &[0.0]), Some(0.0));
    }

    #[test]
    fn what_is_not_finite_or_of_another_length_agrees_with_nothing() {
        for (found, wanted) in [(&[f32::NAN, 0.0][..], &[0.0, 0.0][..]), (&[0.0], &[0.0, 0.0])] {
            assert_eq!(difference(Kind::Logits, found, wanted), None);
        }
        assert_eq!(difference(Kind::Logits, &[0.0, f32::NAN], &[1.0, 0.0]), None);
    }

    #[test]
    fn what_is_further_apart_than_its_tolerance_does_not_agree() {
        let quantity = |value| Quantity {
            name: "logits".into(),
            kind: Kind::Logits,
            values: vec![value, 1.0],
        };
        let choice = DeviceChoice::default();
        let compare = |found| Comparison::of(&choice, "pytorch", &quantity(found), &quantity(2.0));
        assert!(compare(2.000_05).agrees);
        let apart = compare(2.001);
        assert!(!apart.agrees && apart.text().contains("APART"), "{}", apart.text());
        let summary = summary(&[compare(2.000_05), apart]);
        assert!(summary.contains("APART: 1.0e-3, 1e-4: logits; 2 compared"), "{summary}");
        assert!(summary.ends_with("1 of 2 results agree"), "{summary}");
        assert!(!compare(f32::NAN).agrees);
    }

    #[test]
    fn a_matrix_is_turned() {
        assert_eq!(transposed(&[1., 2., 3., 4., 5., 6.], 3), [1., 4., 2., 5., 3., 6.]);
    }
}
