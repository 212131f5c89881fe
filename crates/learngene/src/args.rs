//! The command line, and what several subcommands share.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use learngene_datasets::{CheckedPreprocess, Preprocess};
use learngene_models::{
    StateDict, VitConfig,
    checkpoint::{self, Checkpoint, Dialect, Dtype, ReadOptions},
};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{commands, device::DeviceChoice};

/// Condenses a pretrained vision transformer into a learngene and makes descendants from it.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Says more on standard error; twice for everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

/// One step of the path from a checkpoint to a trained descendant.
#[derive(Subcommand)]
pub enum Command {
    Probe(commands::probe::Args),
    Cluster(commands::cluster::Args),
    Condense(commands::condense::Args),
    Inspect(commands::inspect::Args),
    Verify(commands::verify::Args),
    Expand(commands::expand::Args),
    Convert(commands::convert::Args),
    Forward(commands::forward::Args),
    Train(commands::train::Args),
    Eval(commands::eval::Args),
    Data(commands::data::Args),
    Report(commands::report::Args),
    Devices(commands::devices::Args),
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Probe(args) => commands::probe::run(args),
            Self::Cluster(args) => commands::cluster::run(args),
            Self::Condense(args) => commands::condense::run(args),
            Self::Inspect(args) => commands::inspect::run(args),
            Self::Verify(args) => commands::verify::run(args),
            Self::Expand(args) => commands::expand::run(args),
            Self::Convert(args) => commands::convert::run(args),
            Self::Forward(args) => commands::forward::run(args),
            Self::Train(args) => commands::train::run(args),
            Self::Eval(args) => commands::eval::run(args),
            Self::Data(args) => commands::data::run(args),
            Self::Report(args) => commands::report::run(args),
            Self::Devices(args) => commands::devices::run(args),
        }
    }
}

/// Which checkpoint, and what its shapes cannot tell.
#[derive(Args, Clone)]
pub struct CheckpointArgs {
    /// Checkpoint of the model: timm or Hugging Face safetensors, or a DeiT .pth file.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Architecture by timm's name, where the tensors cannot tell it (deit_tiny_patch16_224, ...).
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// Attention heads, where the tensors cannot tell them: one number, or one for each layer.
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',')]
    pub num_heads: Option<Vec<usize>>,
}

impl CheckpointArgs {
    /// Reads the checkpoint, for another image size or number of classes where asked for.
    pub fn read(
        &self,
        image_size: Option<usize>,
        num_classes: Option<usize>,
    ) -> anyhow::Result<Checkpoint> {
        let options = ReadOptions {
            arch: self.arch.clone(),
            num_heads: self.num_heads.clone(),
            image_size,
            num_classes,
            ..ReadOptions::default()
        };
        read_checkpoint(&self.checkpoint, &options)
    }
}

/// Reads a checkpoint and says what was changed, left out or assumed.
pub fn read_checkpoint(path: &Path, options: &ReadOptions) -> anyhow::Result<Checkpoint> {
    let checkpoint = checkpoint::read(path, options)?;
    for note in &checkpoint.notes {
        tracing::info!("{}: {note}", path.display());
    }
    Ok(checkpoint)
}

/// How images become tensors.
#[derive(Args, Clone)]
pub struct PreprocessArgs {
    /// Side of the square input in pixels; the checkpoint's own by default. Position embeddings
    /// are interpolated where it differs.
    #[arg(long, value_name = "PIXELS", value_parser = image_size)]
    pub image_size: Option<usize>,
    /// Share of the image that the centre crop keeps.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    pub crop_pct: f32,
    /// Mean of each channel on the scale 0 to 1; ImageNet's by default.
    #[arg(long, value_name = "R,G,B", value_parser = channels)]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of each channel on the scale 0 to 1; ImageNet's by default.
    #[arg(long, value_name = "R,G,B", value_parser = channels)]
    pub std: Option<[f32; 3]>,
}

impl PreprocessArgs {
    /// The settings for a model of that input size.
    pub fn check(&self, image_size: usize) -> anyhow::Result<CheckedPreprocess> {
        let image_size = u32::try_from(image_size).unwrap_or(u32::MAX);
        let preprocess = Preprocess::new(image_size);
        let (mean, std) =
            (self.mean.unwrap_or(preprocess.mean), self.std.unwrap_or(preprocess.std));
        Ok(Preprocess { crop_pct: self.crop_pct, mean, std, ..preprocess }.check()?)
    }
}

/// How a checkpoint is written.
#[derive(Args, Clone)]
pub struct WriteArgs {
    /// Names of the checkpoint's tensors.
    #[arg(long, value_enum, default_value_t = DialectArg::Timm)]
    pub names: DialectArg,
    /// Number format of the checkpoint.
    #[arg(long, value_enum, default_value_t = DtypeArg::F32)]
    pub dtype: DtypeArg,
}

/// [`Dialect`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum DialectArg {
    /// timm's names.
    Timm,
    /// Hugging Face's names, with a config.json beside the file.
    Hf,
}

/// [`Dtype`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum DtypeArg {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
}

impl WriteArgs {
    /// Writes a checkpoint, whole or not at all.
    pub fn write(
        &self,
        path: &Path,
        config: &VitConfig,
        parameters: &StateDict,
    ) -> anyhow::Result<()> {
        let dialect = match self.names {
            DialectArg::Timm => Dialect::Timm,
            DialectArg::Hf => Dialect::HuggingFace,
        };
        let dtype = match self.dtype {
            DtypeArg::F32 => Dtype::F32,
            DtypeArg::F16 => Dtype::F16,
        };
        Ok(checkpoint::write(path, config, parameters, dialect, dtype)?)
    }
}

/// Where the model runs.
#[derive(Args, Clone)]
pub struct DeviceArgs {
    /// Device that the model runs on; `learngene devices` lists them.
    #[arg(long, default_value_t)]
    pub device: DeviceChoice,
}

/// A side of images: beyond the limit no machine has the memory for attention.
pub fn image_size(text: &str) -> Result<usize, String> {
    let pixels = text.parse().ok().filter(|pixels| (1..=8192).contains(pixels));
    pixels.ok_or_else(|| format!("wanted a number of pixels from 1 to 8192, got `{text}`"))
}

/// Three numbers separated by commas.
fn channels(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    numbers
        .ok()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| format!("wanted three numbers such as 0.485,0.456,0.406, got `{text}`"))
}

/// Logs go to standard error: warnings and results by default, more with `-v`.
pub fn init_tracing(verbose: u8) {
    let level =
        ["learngene=info,warn", "learngene=debug,info", "debug"][usize::from(verbose).min(2)];
    fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level)),
        )
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_level(verbose > 0)
        .without_time()
        .with_target(false)
        .init();
}
