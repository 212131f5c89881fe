//! Arguments that several subcommands share.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::bail;
use burn::tensor::Device;
use clap::{
    ArgMatches, Args, FromArgMatches,
    builder::{PossibleValuesParser, TypedValueParser, ValueParser},
};
use learngene_checkpoints::{Checkpoint, ReadOptions};
use learngene_datasets::KNOWN_DATASETS;
use learngene_format::Learngene;
use learngene_tensors::Sha256;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    device::{DeviceChoice, memory},
    files,
    hub::Source,
    kind::Kind,
};

/// Which checkpoint, and what its tensors do not say.
#[derive(Args)]
#[command(next_help_heading = "Checkpoint")]
pub struct CheckpointArgs {
    /// Checkpoint of the model: timm or Hugging Face safetensors, the .pth file of DeiT's or Swin's
    /// repository, the folder of a training run, or hf:OWNER/NAME on the Hugging Face hub, downloaded once
    /// (`learngene list models` lists some).
    #[arg(value_name = "MODEL")]
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
        if Learngene::is_one(path) {
            bail!("{source} is a learngene: `learngene expand` makes checkpoints from it");
        }
        let checkpoint = match learngene_checkpoints::read(path, &options) {
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
    #[arg(long, short, value_name = "FILE")]
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
    /// See [`Kind::prepare`].
    pub fn prepare(&self, kind: Kind, inputs: &[&Path]) -> anyhow::Result<()> {
        kind.prepare(&self.out, inputs)
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
    /// Device that the model runs on; `learngene list devices` lists them.
    #[arg(long, default_value_t)]
    pub device: DeviceChoice,
}

/// Where a model trains.
#[derive(Args)]
#[command(next_help_heading = "Device")]
pub struct DevicesArgs {
    /// Devices that share the images of each step, as in cuda:0,cuda:1; the first keeps the model.
    /// `learngene list devices` lists them.
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

/// A count that may be given in thousands, millions or billions: `5M`, `1.5G`.
pub fn count_with_unit(text: &str) -> Result<u64, String> {
    let units = [('K', 1e3), ('M', 1e6), ('G', 1e9)];
    let unit =
        units.into_iter().find(|(unit, _)| text.ends_with([*unit, unit.to_ascii_lowercase()]));
    let (number, factor) =
        unit.map_or((text, 1.0), |(_, factor)| (&text[..text.len() - 1], factor));
    let count = number.parse().ok().map(|number: f64| number * factor);
    let count = count.filter(|count| (1.0..9e15).contains(count));
    let count = count.ok_or_else(|| format!("wanted a number such as 5M or 1.5G, got `{text}`"))?;
    Ok(count as u64)
}

/// A time: `10ms`, `800us`, `1.5s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0)];
    let time = units.into_iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    let time = time.filter(|time| !time.is_zero());
    time.ok_or_else(|| format!("wanted a time such as 10ms or 800us, got `{text}`"))
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
