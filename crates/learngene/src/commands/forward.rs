//! `learngene forward`

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use burn::tensor::{Tensor, TensorData};
use learngene_models::Model;
use learngene_tensors::{
    Dtype, Error, Result, Safetensors, StateDict, Tensor as HostTensor, safetensors,
};

use crate::{
    args::{CheckpointArgs, DeviceArgs},
    kind::Kind,
};

/// Runs a checkpoint on a tensor, to compare it with another library.
///
/// The input file holds a tensor named `input`, f32, f16 or bf16, [batch, 3, height, width], already
/// normalised; others in it are ignored. The output file holds `logits` [batch, classes], or the
/// class token's features where the model has no classifier, and `attention.{layer}`
/// [batch, heads, queries, keys], all f32.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene forward deit_tiny.safetensors --input x.safetensors --out y.safetensors --attention"
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
    Kind::Outputs.prepare(&args.out, &inputs)?;
    let (values, shape) = read_input(&args.input).map_err(|error| error.in_file(&args.input))?;
    let [_, channels, height, _] = shape;
    let device = args.device.device.open()?;
    let checkpoint = args.checkpoint.read(Some(height), None)?;
    let wanted = checkpoint.shape.image().channels;
    ensure!(channels == wanted, "`input` has {channels} channels, the model takes {wanted}");
    let model = Model::load(&checkpoint.shape, &checkpoint.parameters, &device)?;

    let output =
        model.forward_attention(Tensor::from_data(TensorData::new(values, shape), &device));
    let mut tensors = StateDict::default();
    tensors.insert("logits", fetch(output.logits)?);
    if args.attention {
        for (layer, weights) in output.attention.into_iter().enumerate() {
            tensors.insert(format!("attention.{layer}"), fetch(weights)?);
        }
    }
    let metadata = ("producer", crate::PRODUCER);
    safetensors::write(&args.out, metadata, Dtype::F32, tensors.parts())?;
    let names: Vec<&str> = tensors.names().collect();
    super::say(format_args!("{}: {}", args.out.display(), names.join(", ")))
}

/// The tensor `input` of a file: its values and `[batch, channels, height, width]`.
fn read_input(path: &Path) -> Result<(Vec<f32>, [usize; 4])> {
    let file = Safetensors::open(path)?;
    let values = file.values("input")?;
    match file.tensors["input"].shape[..] {
        [batch, channels, height, width] if batch > 0 && height > 0 && height == width => {
            Ok((values, [batch, channels, height, width]))
        }
        ref other => {
            let expected = "[batch, 3, height, width] of at least one square image";
            Err(Error::invalid("shape of `input`", format!("{other:?}"), expected))
        }
    }
}

fn fetch<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<HostTensor> {
    let data = tensor.into_data().convert::<f32>();
    let shape = data.shape().to_vec();
    let values = data.try_into_vec().context("the device returned another number format")?;
    Ok(HostTensor::new(shape, values))
}
