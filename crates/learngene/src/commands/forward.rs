//! `learngene forward`

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    args::{CheckpointArgs, DeviceArgs},
    files::{prepare, read, write_whole},
    kind::Kind,
};

/// Runs a checkpoint on a tensor, to compare it with another library.
///
/// The input file holds a tensor named `input`, f32 or f16, [batch, 3, height, width], already
/// normalised; others in it are ignored. The output file holds `logits` [batch, classes], or the
/// class token's features where the model has no classifier, and `attention.{layer}`
/// [batch, heads, queries, keys], all f32.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene forward --checkpoint deit_tiny.safetensors --input x.safetensors --out y.safetensors --attention"
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// File with the tensor `input`.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// File to write.
    #[arg(long, value_name = "FILE", value_parser = Kind::Outputs.name(), help_heading = "Output")]
    out: PathBuf,
    /// Writes the attention of every layer too.
    #[arg(long, help_heading = "Output")]
    attention: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let inputs: Vec<&Path> =
        args.checkpoint.checkpoint.file().into_iter().chain([&*args.input]).collect();
    prepare(&args.out, Kind::Outputs, &inputs)?;
    let place = || format!("{} holds no usable tensor `input`", args.input.display());
    let (values, shape) = parse_input(&read(&args.input)?).with_context(place)?;
    let [_, channels, height, _] = shape;
    let device = args.device.device.open()?;
    let checkpoint = args.checkpoint.read(Some(height), None)?;
    let wanted = checkpoint.config.in_channels();
    ensure!(channels == wanted, "`input` has {channels} channels, the model takes {wanted}");
    let model = checkpoint.load(&device)?;

    let output =
        model.forward_attention(Tensor::from_data(TensorData::new(values, shape), &device));
    let mut tensors = BTreeMap::from([("logits".to_owned(), fetch(output.logits)?)]);
    if args.attention {
        for (layer, weights) in output.attention.into_iter().enumerate() {
            tensors.insert(format!("attention.{layer}"), fetch(weights)?);
        }
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    write_whole(&args.out, &safetensors::serialize(views, None)?)?;
    let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    super::say(format_args!("{}: {}", args.out.display(), names.join(", ")))
}

/// The tensor `input` of a file: its values and `[batch, channels, height, width]`.
fn parse_input(bytes: &[u8]) -> anyhow::Result<(Vec<f32>, [usize; 4])> {
    let input = SafeTensors::deserialize(bytes)?.tensor("input")?;
    let shape = match *input.shape() {
        [batch, channels, height, width] if batch > 0 && height > 0 && height == width => {
            [batch, channels, height, width]
        }
        ref other => bail!(
            "its shape is {other:?}, wanted [batch, 3, height, width] of at least one square image"
        ),
    };
    let values: Vec<f32> = match input.dtype() {
        Dtype::F32 => {
            input.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
        Dtype::F16 => {
            let words = input.data().as_chunks().0.iter();
            words.map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        other => bail!("its numbers are {other:?}, wanted F32 or F16"),
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => bail!("it is {} at flat index {at}, wanted finite numbers", values[at]),
        None => Ok((values, shape)),
    }
}

fn fetch<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<(Vec<usize>, Vec<u8>)> {
    let data = tensor.into_data().convert::<f32>();
    let shape = data.shape().to_vec();
    let values: Vec<f32> =
        data.try_into_vec().context("the device returned another number format")?;
    Ok((shape, values.into_iter().flat_map(f32::to_le_bytes).collect()))
}
