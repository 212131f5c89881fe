//! The command line: one module a subcommand.

pub mod baseline;
pub mod bench;
pub mod cluster;
pub mod completions;
pub mod condense;
pub mod data;
pub mod eval;
pub mod expand;
pub mod export;
pub mod fit;
pub mod forward;
pub mod inspect;
pub mod list;
pub mod predict;
pub mod probe;
pub mod report;
#[cfg(feature = "remote")]
pub mod serve;
mod short_help;
pub mod sizes;
pub mod train;

use std::{
    error::Error,
    fmt::{self, Display},
    io::{self, Write},
};

use anyhow::{Context, anyhow};
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

/// Condenses a pretrained vision transformer into a learngene and makes descendants from it.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Says more on standard error; twice for everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Says nothing on standard error but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line; ends the program where it asks for help or for nothing that there is.
    pub fn read() -> Self {
        let mut command = short_help::shorten(negative_numbers(Self::command()));
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

/// From a checkpoint to a trained descendant, in one command or step by step.
#[derive(Subcommand)]
pub enum Command {
    Fit(fit::Args),
    Condense(condense::Args),
    Sizes(sizes::Args),
    Expand(expand::Args),
    Train(train::Args),
    Eval(eval::Args),
    Predict(predict::Args),
    Inspect(inspect::Args),
    Export(export::Args),
    Bench(bench::Args),
    List(list::Args),
    Data(data::Args),
    #[command(hide = true)]
    Probe(probe::Args),
    #[command(hide = true)]
    Cluster(cluster::Args),
    #[command(hide = true)]
    Forward(forward::Args),
    #[command(hide = true)]
    Baseline(baseline::Args),
    #[command(hide = true)]
    Report(report::Args),
    #[command(hide = true)]
    Completions(completions::Args),
    #[cfg(feature = "remote")]
    #[command(hide = true)]
    Serve(serve::Args),
    #[cfg(not(feature = "remote"))]
    #[command(hide = true, disable_help_flag = true)]
    Serve(NotBuilt),
}

impl Command {
    /// Whether it takes `--bad-images`.
    pub fn takes_bad_images(&self) -> bool {
        use Command::{Baseline, Condense, Eval, Fit, Predict, Probe, Train};
        matches!(
            self,
            Fit(_) | Probe(_) | Condense(_) | Baseline(_) | Train(_) | Eval(_) | Predict(_)
        )
    }

    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Fit(args) => fit::run(args),
            Self::Probe(args) => probe::run(args),
            Self::Cluster(args) => cluster::run(args),
            Self::Condense(args) => condense::run(args),
            Self::Sizes(args) => sizes::run(args),
            Self::Inspect(args) => inspect::run(args),
            Self::List(args) => list::run(args),
            Self::Export(args) => export::run(args),
            Self::Completions(args) => completions::run(args),
            Self::Expand(args) => expand::run(args),
            Self::Baseline(args) => baseline::run(args),
            Self::Forward(args) => forward::run(args),
            Self::Train(args) => train::run(args),
            Self::Eval(args) => eval::run(args),
            Self::Predict(args) => predict::run(args),
            Self::Data(args) => data::run(args),
            Self::Report(args) => report::run(args),
            #[cfg(feature = "remote")]
            Self::Serve(args) => serve::run(args),
            #[cfg(not(feature = "remote"))]
            Self::Serve(_) => Err(not_built("serve", "remote")),
            Self::Bench(args) => bench::run(args),
        }
    }
}

/// Arguments of a command that this program was built without, whatever they are.
#[cfg(not(feature = "remote"))]
#[derive(clap::Args)]
pub struct NotBuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<String>,
}

/// The answer of a command that asks: no. The program then ends with 1, of errors with 2.
#[derive(Debug)]
pub struct No(String);

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for No {}

/// Something that this program was built without.
pub fn not_built(what: &str, feature: &str) -> anyhow::Error {
    anyhow!(
        "{what} is not in this program; `cargo install --path crates/learngene --features {feature}` \
         builds one with it"
    )
}

/// Prints a line; a reader that has seen enough and closed the pipe is no error.
fn say(line: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints a value as JSON for a program, or as text for a person.
fn print<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    if json { say(serde_json::to_string_pretty(value)?) } else { say(text(value)) }
}
