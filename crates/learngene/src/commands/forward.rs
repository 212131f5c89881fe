//! `learngene forward`

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, bail, ensure};
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    args::{CheckpointArgs, DeviceArgs},
    files::{read, write_whole},
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
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Writes the attention of every layer too.
    #[arg(long)]
    attention: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let (values, shape) = read_input(&args)?;
    let [_, channels, height, width] = shape;
    ensure!(height == width, "`input` has images of {width} x {height} pixels, wanted square ones");
    let device = args.device.device.open();
    let checkpoint = args.checkpoint.read(Some(height), None)?;
    let wanted = checkpoint.config.in_channels;
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
    println!("{}: {}", args.out.display(), tensors.keys().cloned().collect::<Vec<_>>().join(", "));
    Ok(())
}

fn read_input(args: &Args) -> anyhow::Result<(Vec<f32>, [usize; 4])> {
    let bytes = read(&args.input)?;
    let place = || format!("{} is not a file with a tensor `input`", args.input.display());
    let file = SafeTensors::deserialize(&bytes).with_context(place)?;
    let input = file.tensor("input").with_context(place)?;
    let shape: [usize; 4] = input.shape().try_into().with_context(|| {
        format!("`input` has shape {:?}, wanted [batch, 3, height, width]", input.shape())
    })?;
    let values: Vec<f32> = match input.dtype() {
        Dtype::F32 => {
            input.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
        Dtype::F16 => {
            let words = input.data().as_chunks().0.iter();
            words.map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        other => bail!("`input` is {other:?}, wanted F32 or F16"),
    };
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        bail!("`input` holds {} at flat index {at}, wanted finite numbers", values[at]);
    }
    Ok((values, shape))
}

fn fetch<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<(Vec<usize>, Vec<u8>)> {
    let data = tensor.into_data().convert::<f32>();
    let shape = data.shape().to_vec();
    let values: Vec<f32> =
        data.try_into_vec().context("the device returned another number format")?;
    Ok((shape, values.into_iter().flat_map(f32::to_le_bytes).collect()))
}
