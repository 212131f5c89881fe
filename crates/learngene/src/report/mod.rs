//! The report page: one HTML file, with its figures, from the numbers of `report.json`.
//!
//! ```text
//! report.json ── data, check ──▶ Report ── series ──▶ means, spreads ── page ──▶ report.html
//! ```
//! The page needs no network and no other file, shows only what `report.json` holds or what is
//! computed from it, and can be read on a phone, in the dark, on paper, and without the figures.

mod ablations;
mod check;
mod data;
mod figure;
mod origin;
mod page;
mod series;
mod summary;
mod tables;
mod text;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

pub use data::{Method, Projection, Report};
pub use page::render;
pub use series::{Series, compare_with, group};

/// Version of `report.json` that this program reads.
const VERSION: u32 = 1;

/// Why `report.json` cannot be shown.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not JSON, or not in the shape of a report.
    #[error("{}: {field}: {source}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where in the file, such as `rows[3].top1[0]`; `.` for the whole.
        field: String,
        /// What the reader said, with line and column.
        source: serde_json::Error,
    },
    /// Written by a program newer than this one, or older than any.
    #[error("{}: version is {got}, wanted {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it names.
        got: u32,
    },
    /// A value that cannot be.
    #[error("{}: {field} is {got}, wanted {wanted}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        field: String,
        /// What is there.
        got: String,
        /// What can be there.
        wanted: String,
    },
}

/// Reads `report.json` and checks every value.
///
/// # Errors
/// [`ReportError`], naming the file and the field.
pub fn read(path: &Path) -> Result<Report, ReportError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ReportError::Read { path: path.into(), source })?;
    parse(&text, path)
}

/// Reads the text of `report.json`; `path` only names it in errors.
fn parse(text: &str, path: &Path) -> Result<Report, ReportError> {
    // Asked first: the fields of a newer version are not known here.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = from_json(text, path)?;
    if version != VERSION {
        return Err(ReportError::Version { path: path.into(), got: version });
    }
    let report: Report = from_json(text, path)?;
    check::check(&report).map_err(|check::Invalid { field, got, wanted }| ReportError::Value {
        path: path.into(),
        field,
        got,
        wanted,
    })?;
    Ok(report)
}

fn from_json<'a, T: Deserialize<'a>>(text: &'a str, path: &Path) -> Result<T, ReportError> {
    let shape = |field, source| ReportError::Shape { path: path.into(), field, source };
    let reader = &mut serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut *reader)
        .map_err(|error| shape(error.path().to_string(), error.into_inner()))?;
    reader.end().map_err(|source| shape(".".into(), source))?;
    Ok(value)
}
