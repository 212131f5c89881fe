//! What the types cannot say: every number within its bounds, every list as long as its fellows,
//! every value the mean of its runs.

mod ancestors;
mod cells;
mod experiments;
mod runs;

use std::fmt::Display;

use thiserror::Error;

use crate::data::Report;

/// A field that holds what it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} is {got}, wanted {wanted}")]
pub struct Invalid {
    /// Where, such as `experiments[3].cells[0].outcome.run.mean`.
    pub field: String,
    /// What is there.
    pub got: String,
    /// What can be there.
    pub wanted: String,
}

type Check = Result<(), Invalid>;

/// Checks a report.
///
/// # Errors
/// The first field that holds what it cannot.
pub fn check(report: &Report) -> Check {
    filled("producer", &report.producer)?;
    filled("command", &report.command)?;
    for (index, ancestor) in report.ancestors.iter().enumerate() {
        let place = format!("ancestors[{index}]");
        ancestors::check(ancestor, &place)?;
        let is_new = report.ancestors[..index].iter().all(|other| other.id != ancestor.id);
        wanted(is_new, format!("{place}.id"), &ancestor.id, "a name that no other ancestor has")?;
    }
    wanted(!report.experiments.is_empty(), "experiments", "empty", "at least one")?;
    for (index, experiment) in report.experiments.iter().enumerate() {
        let place = format!("experiments[{index}]");
        experiments::check(experiment, report, &place)?;
        let is_new = report.experiments[..index].iter().all(|other| other.id != experiment.id);
        let field = format!("{place}.id");
        wanted(is_new, field, &experiment.id, "a name that no other experiment has")?;
    }
    Ok(())
}

fn wanted(
    holds: bool,
    field: impl Into<String>,
    got: impl Display,
    wanted: impl Into<String>,
) -> Check {
    let invalid = || Invalid { field: field.into(), got: got.to_string(), wanted: wanted.into() };
    if holds { Ok(()) } else { Err(invalid()) }
}

fn length(field: &str, got: usize, want: usize, of: &str) -> Check {
    let wants = format!("{want}, one for each of the {of}");
    wanted(got == want, field, format!("a list of {got}"), wants)
}

fn each(field: &str, values: &[f64], check: fn(&str, f64) -> Check) -> Check {
    values.iter().enumerate().try_for_each(|(i, &value)| check(&format!("{field}[{i}]"), value))
}

fn positive(field: &str, value: u64) -> Check {
    wanted(value > 0, field, value, "a positive number")
}

fn percent(field: &str, value: f64) -> Check {
    wanted((0.0..=100.0).contains(&value), field, value, "a percentage from 0 to 100")
}

fn magnitude(field: &str, value: f64) -> Check {
    wanted(value.is_finite() && value >= 0.0, field, value, "a finite number of at least 0")
}

fn filled(field: &str, text: &str) -> Check {
    wanted(!text.trim().is_empty(), field, "empty", "words")
}

/// Names that make anchors on the page and names of files.
fn name(field: &str, text: &str) -> Check {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let holds = !text.is_empty() && text.chars().all(is_plain);
    wanted(holds, field, format!("`{text}`"), "small letters, digits, `_` and `-`")
}

fn sha256(field: &str, text: &str) -> Check {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let holds = text.len() == 64 && text.chars().all(is_hex);
    wanted(holds, field, format!("`{text}`"), "64 hexadecimal digits")
}

/// Whether two numbers are the same but for the rounding of sums and of decimal text.
fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * other.abs().max(1.0)
}

fn close(field: &str, got: f64, want: f64, what: &str) -> Check {
    wanted(is_close(got, want), field, got, format!("{want}, {what}"))
}

#[cfg(test)]
mod tests;
