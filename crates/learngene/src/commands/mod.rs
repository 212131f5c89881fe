//! One module a subcommand.

pub mod cluster;
pub mod condense;
pub mod convert;
pub mod data;
pub mod devices;
pub mod eval;
pub mod expand;
pub mod forward;
pub mod inspect;
pub mod probe;
pub mod report;
pub mod train;

use serde::Serialize;

/// Prints a value as JSON for a program, or as text for a person.
fn print<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        println!("{}", text(value));
    }
    Ok(())
}
