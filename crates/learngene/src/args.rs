//! The command line, and what several subcommands share.

use std::{
    io::{self, IsTerminal},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::bail;
use burn::tensor::Device;
use clap::{
    Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser, ValueParser},
};
use learngene_checkpoints::{Checkpoint, ReadOptions};
use learngene_datasets::KNOWN_DATASETS;
use learngene_format::Learngene;
use learngene_tensors::Sha256;
use serde::{Serialize, de::DeserializeOwned};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    commands,
    device::{DeviceChoice, memory},
    files,
    hub::Source,
};

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

impl Cli {
    /// Reads the command line; ends the program where it asks for help or for nothing that there is.
    pub fn read() -> Self {
        let mut command = negative_numbers(Self::command());
        let cli = Self::from_arg_matches(&command.get_matches_mut());
        cli.unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

/// Has every option take a number below zero for its value, so that what refuses it says what it wants;
/// clap takes it for an unknown flag otherwise.
fn negative_numbers(command: clap::Command) -> clap::Command {
    let allow = |arg: Arg| {
        let takes_values = arg.get_action().takes_values();
        if takes_values { arg.allow_negative_numbers(true) } else { arg }
    };
    command.mut_args(allow).mut_subcommands(negative_numbers)
}

/// One step of the path from a checkpoint to a trained descendant.
#[derive(Subcommand)]
pub enum Command {
    Probe(commands::probe::Args),
    Attention(commands::attention::Args),
    Cluster(commands::cluster::Args),
    Condense(commands::condense::Args),
    Tune(commands::tune::Args),
    Inspect(commands::inspect::Args),
    Verify(commands::verify::Args),
    Expand(commands::expand::Args),
    Convert(commands::convert::Args),
    Forward(commands::forward::Args),
    Train(commands::train::Args),
    Eval(commands::eval::Args),
    Data(commands::data::Args),
    Models(commands::models::Args),
    Report(commands::report::Args),
    Devices(commands::devices::Args),
    #[cfg(feature = "remote")]
    Serve(commands::serve::Args),
    #[cfg(not(feature = "remote"))]
    #[command(hide = true, disable_help_flag = true)]
    Serve(commands::NotBuilt),
    Bench(commands::bench::Args),
}

impl Command {
    /// Whether it takes `--bad-images`.
    pub fn takes_bad_images(&self) -> bool {
        use Command::{Condense, Eval, Probe, Train, Tune};
        matches!(self, Probe(_) | Condense(_) | Tune(_) | Train(_) | Eval(_))
    }

    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Probe(args) => commands::probe::run(args),
            Self::Attention(args) => commands::attention::run(args),
            Self::Cluster(args) => commands::cluster::run(args),
            Self::Condense(args) => commands::condense::run(args),
            Self::Tune(args) => commands::tune::run(args),
            Self::Inspect(args) => commands::inspect::run(args),
            Self::Verify(args) => commands::verify::run(args),
            Self::Expand(args) => commands::expand::run(args),
            Self::Convert(args) => commands::convert::run(args),
            Self::Forward(args) => commands::forward::run(args),
            Self::Train(args) => commands::train::run(args),
            Self::Eval(args) => commands::eval::run(args),
            Self::Data(args) => commands::data::run(args),
            Self::Models(args) => commands::models::run(args),
            Self::Report(args) => commands::report::run(args),
            Self::Devices(args) => commands::devices::run(args),
            #[cfg(feature = "remote")]
            Self::Serve(args) => commands::serve::run(args),
            #[cfg(not(feature = "remote"))]
            Self::Serve(_) => Err(commands::not_built("serve", "remote")),
            Self::Bench(args) => commands::bench::run(args),
        }
    }
}

/// Which checkpoint, and what its tensors do not say.
#[derive(Args)]
#[command(next_help_heading = "Checkpoint")]
pub struct CheckpointArgs {
    /// Checkpoint of the model: timm or Hugging Face safetensors, the .pth file of DeiT's or Swin's
    /// repository, or a name on the Hugging Face hub, downloaded once (`learngene models` lists some).
    #[arg(long, value_name = "FILE|hf:OWNER/NAME")]
    pub checkpoint: Source,
    /// Architecture by timm's name (deit_tiny_patch16_224, ...), if the tensors do not determine it.
    #[arg(long, value_name = "NAME", requires = "checkpoint")]
    pub arch: Option<String>,
    /// Attention heads, if the checkpoint does not say how many (a Swin's tensors do): one number, or
    /// one for each layer.
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',', requires = "checkpoint",
        value_parser = whole_number::<usize>, allow_hyphen_values = true)]
    pub num_heads: Option<Vec<usize>>,
}

impl CheckpointArgs {
    /// Reads the checkpoint, for another image size or number of classes where asked for, and logs
    /// what was changed, left out or assumed.
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
        let source = &self.checkpoint;
        let path = source.path()?;
        let checkpoint = match learngene_checkpoints::read(path, &options) {
            Err(_) if Learngene::read_manifest(path).is_ok() => {
                bail!("{source} is a learngene: `learngene expand` makes checkpoints from it")
            }
            Err(error) => {
                // A damaged download is reported as one.
                if let Ok(found) = Sha256::of_file(path) {
                    source.check(found)?;
                }
                return Err(error.into());
            }
            Ok(checkpoint) => checkpoint,
        };
        source.check(checkpoint.sha256)?;
        for note in &checkpoint.notes {
            tracing::info!("{source}: {note}");
        }
        Ok(checkpoint)
    }
}

/// Where the result of a command goes.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct OutArgs {
    /// File to write; folders that are missing are made.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// A file that a command wrote.
#[derive(Serialize)]
pub struct Written {
    pub file: PathBuf,
    pub bytes: u64,
}

impl OutArgs {
    /// See [`files::prepare`].
    pub fn prepare(&self, kind: files::Kind, inputs: &[&Path]) -> anyhow::Result<()> {
        files::prepare(&self.out, kind, inputs)
    }

    /// What was written.
    pub fn written(self) -> anyhow::Result<Written> {
        Ok(Written { bytes: files::len(&self.out)?, file: self.out })
    }
}

/// Where the model runs.
#[derive(Args)]
#[command(next_help_heading = "Device")]
pub struct DeviceArgs {
    /// Device that the model runs on; `learngene devices` lists them.
    #[arg(long, default_value_t)]
    pub device: DeviceChoice,
}

/// Where a model trains.
#[derive(Args)]
#[command(next_help_heading = "Device")]
pub struct DevicesArgs {
    /// Devices that share the images of each step, as in cuda:0,cuda:1; the first keeps the model.
    /// `learngene devices` lists them.
    #[arg(
        long,
        visible_alias = "device",
        value_name = "DEVICE[,DEVICE..]",
        value_delimiter = ',',
        num_args = 1,
        default_values_t = [DeviceChoice::default()]
    )]
    pub devices: Vec<DeviceChoice>,
}

impl DevicesArgs {
    /// Bytes that each of these opened devices may fill, if their drivers say: those of the smallest, and
    /// its part of a memory that may be the same for all.
    pub fn memory(&self, opened: &[Device]) -> Option<u64> {
        let known = self.devices.iter().zip(opened).map(|(choice, opened)| memory(choice, opened));
        let smallest = known.flatten().min()?;
        Some(smallest / opened.len() as u64)
    }
}

/// A number of at least 1.
pub fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("wanted a number of at least 1, got `{text}`"))
}

/// A whole number, as a count or a seed.
pub fn whole_number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("wanted a whole number of 0 or more, got `{text}`"))
}

/// Any number; which ones can be is checked where they are used.
pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("wanted a number, got `{text}`"))
}

/// A side of images: beyond the limit no machine has the memory for attention.
pub fn image_size(text: &str) -> Result<usize, String> {
    let pixels = text.parse().ok().filter(|pixels| (1..=8192).contains(pixels));
    pixels.ok_or_else(|| format!("wanted a number of pixels from 1 to 8192, got `{text}`"))
}

/// A dataset's name, or a folder that is there.
pub fn dataset(text: &str) -> Result<String, String> {
    let known = KNOWN_DATASETS.map(|known| known.name);
    // `inat2019:genus`: classes at a level of the tree of life.
    let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
    match known.contains(&name) || Path::new(text).is_dir() || Path::new(name).is_dir() {
        true => Ok(text.into()),
        false => Err(format!("wanted a folder that exists, or one of {}", known.join(", "))),
    }
}

/// One of these words, as files spell the type.
pub fn choice<T>(words: impl Into<PossibleValuesParser>) -> ValueParser
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    ValueParser::new(words.into().try_map(|word| serde_json::from_value::<T>(word.into())))
}

/// The arguments of one of two structs; those of `A`, which has no defaults, where any is given.
///
/// That one of them is given, and none of the other, is clap's to check, by groups and conflicts.
pub enum Either<A, B> {
    Left(A),
    Right(B),
}

/// No arguments: what is given in place of those that may be left out.
#[derive(Args)]
pub struct Nothing {}

impl<A, B> Either<A, B> {
    pub fn left(&self) -> Option<&A> {
        match self {
            Self::Left(left) => Some(left),
            Self::Right(_) => None,
        }
    }
}

impl<A: Args, B: Args> FromArgMatches for Either<A, B> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match A::group_id().is_some_and(|group| matches.contains_id(group.as_str())) {
            true => A::from_arg_matches(matches).map(Self::Left),
            false => B::from_arg_matches(matches).map(Self::Right),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<A: Args, B: Args> Args for Either<A, B> {
    // An update asks for nothing, so the flags of neither are required.
    fn augment_args(command: clap::Command) -> clap::Command {
        B::augment_args_for_update(A::augment_args_for_update(command))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Logs go to standard error: warnings and results by default, more with `-v`.
pub fn init_tracing(verbose: u8) {
    let level =
        // Our own error explains a lost server better than burn's client.
        ["learngene=info,burn_remote::client=error,warn", "learngene=debug,info", "debug"]
            [usize::from(verbose).min(2)];
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
