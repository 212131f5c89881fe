//! One module a subcommand.

pub mod attention;
pub mod bench;
pub mod cluster;
pub mod condense;
pub mod convert;
pub mod data;
pub mod devices;
pub mod eval;
pub mod expand;
pub mod forward;
pub mod inspect;
pub mod models;
pub mod probe;
pub mod report;
#[cfg(feature = "remote")]
pub mod serve;
pub mod train;
pub mod tune;
pub mod verify;

use std::{
    fmt::Display,
    io::{self, Write},
};

use anyhow::{Context, anyhow};
use serde::Serialize;

/// Arguments of a command that this program was built without, whatever they are.
#[cfg(not(feature = "remote"))]
#[derive(clap::Args)]
pub struct NotBuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<String>,
}

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
