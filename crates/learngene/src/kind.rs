//! Kinds of files that commands write: how their names end, and what each may replace. Each command
//! gives its own to `--out`, for the name, and prepares what lies there.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::builder::{PathBufValueParser, TypedValueParser, ValueParser};
use learngene_checkpoints::is_checkpoint;
use learngene_format::{Clusters, Distances, Learngene};
use learngene_report::data::AttentionMap;
use learngene_tensors::Safetensors;

use crate::{
    description::Description,
    files::{folder_of, prepare_folder, read},
};

/// What a command writes into one file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Learngene,
    Checkpoint,
    /// What `expand` leaves beside a checkpoint.
    Description,
    Distances,
    Clusters,
    AttentionMaps,
    /// What `forward` and `predict` compute.
    Outputs,
    Picture,
    Drawing,
    Page,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Learngene,
        Self::Checkpoint,
        Self::Description,
        Self::Distances,
        Self::Clusters,
        Self::AttentionMaps,
        Self::Outputs,
        Self::Picture,
        Self::Drawing,
        Self::Page,
    ];

    /// The name of a file to be written: one that ends as this kind does, or not at all.
    pub fn name(self) -> ValueParser {
        let check = move |path: PathBuf| match path.extension() {
            Some(ending) if !ending.eq_ignore_ascii_case(self.ending()) => Err(format!(
                "wanted a name that ends in .{} for {}, got `{}`",
                self.ending(),
                self.words(),
                path.display()
            )),
            _ => Ok(path),
        };
        PathBufValueParser::new().try_map(check).into()
    }

    /// Refuses a file that cannot be written, or would replace one of another kind, before the work
    /// for it begins, and makes the folders that it lies in.
    pub fn prepare(self, out: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
        let is_out = |input: &&&Path| match (input.canonicalize(), out.canonicalize()) {
            (Ok(input), Ok(out)) => input == out,
            // What does not exist is not overwritten.
            _ => false,
        };
        if let Some(input) = inputs.iter().find(is_out) {
            bail!("{} is read, so choose another --out", input.display());
        }
        ensure!(!out.is_dir(), "cannot write {}: it is a folder", out.display());
        self.check_replaced(out)?;
        prepare_folder(folder_of(out)).with_context(|| format!("cannot write {}", out.display()))
    }

    /// Refuses to write over a file of another kind, or a damaged one.
    fn check_replaced(self, out: &Path) -> anyhow::Result<()> {
        if !out.exists() || self.is_of(out) {
            return Ok(());
        }
        let found = Self::ALL.into_iter().find(|kind| kind.is_of(out));
        bail!(
            "{} is {}, not {}, and would be lost: choose another name, or remove it",
            out.display(),
            found.map_or("something else", Self::words),
            self.words()
        )
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Learngene => "learngene",
            Self::Checkpoint | Self::Outputs => "safetensors",
            Self::Picture => "png",
            Self::Drawing => "svg",
            Self::Page => "html",
            Self::Description | Self::Distances | Self::Clusters | Self::AttentionMaps => "json",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Learngene => "a learngene",
            Self::Checkpoint => "a checkpoint",
            Self::Description => "the description of a descendant",
            Self::Distances => "a file of distances",
            Self::Clusters => "a file of clusters",
            Self::AttentionMaps => "a file of attention maps",
            Self::Outputs => "a file of a model's outputs",
            Self::Picture => "a PNG picture",
            Self::Drawing => "an SVG drawing",
            Self::Page => "a page",
        }
    }

    /// Whether a file can be read as one of this kind.
    fn is_of(self, path: &Path) -> bool {
        let begins_with = |start: &[u8]| read(path).is_ok_and(|bytes| bytes.starts_with(start));
        match self {
            Self::Learngene => Learngene::read_manifest(path).is_ok(),
            // A learngene has the names of a checkpoint too.
            Self::Checkpoint => is_checkpoint(path) && !Learngene::is_one(path),
            Self::Description => Description::read(path).is_ok(),
            Self::Distances => Distances::read(path).is_ok(),
            Self::Clusters => Clusters::read(path).is_ok(),
            Self::AttentionMaps => read(path)
                .is_ok_and(|json| serde_json::from_slice::<Vec<AttentionMap>>(&json).is_ok()),
            Self::Outputs => {
                let is_output = |name: &str| name == "logits" || name == "features";
                Safetensors::open(path)
                    .is_ok_and(|file| file.tensors.keys().any(|name| is_output(name)))
            }
            Self::Picture => begins_with(b"\x89PNG"),
            Self::Drawing => begins_with(b"<svg"),
            Self::Page => begins_with(b"<!doctype html>"),
        }
    }
}
