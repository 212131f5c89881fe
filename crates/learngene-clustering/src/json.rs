//! Files of JSON: checked when read, written whole or not at all.

use std::fs;
use std::path::Path;
use std::process;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ClusteringError;

/// A value with rules that its types alone do not state.
pub(crate) trait JsonFile: Serialize + DeserializeOwned {
    /// What errors call the file.
    const WHAT: &'static str;

    /// The rules.
    fn check(&self) -> Result<(), ClusteringError>;
}

pub(crate) fn from_json<T: JsonFile>(text: &str) -> Result<T, ClusteringError> {
    let value: T = serde_json::from_str(text)
        .map_err(|source| ClusteringError::Json { what: T::WHAT, source })?;
    value.check()?;
    Ok(value)
}

pub(crate) fn to_json<T: JsonFile>(value: &T) -> Result<String, ClusteringError> {
    value.check()?;
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|source| ClusteringError::Json { what: T::WHAT, source })?;
    text.push('\n');
    Ok(text)
}

pub(crate) fn read<T: JsonFile>(path: &Path) -> Result<T, ClusteringError> {
    let text = fs::read_to_string(path).map_err(|source| ClusteringError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    from_json(&text)
        .map_err(|source| ClusteringError::File { path: path.to_owned(), source: Box::new(source) })
}

/// Writes to a temporary file in the same folder, then renames, so that no reader and no full
/// disk ever leaves half a file under `path`.
pub(crate) fn write<T: JsonFile>(value: &T, path: &Path) -> Result<(), ClusteringError> {
    let text = to_json(value)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", process::id()));
    let temporary = path.with_file_name(name);
    fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path)).map_err(|source| {
        // The write already failed: what is left of the temporary file is of no use, and
        // whether it can be removed changes nothing about the error to report.
        let _ = fs::remove_file(&temporary);
        ClusteringError::Io { action: "write", path: path.to_owned(), source }
    })
}
