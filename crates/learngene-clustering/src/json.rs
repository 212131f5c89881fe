//! Files of JSON: checked when read, written whole or not at all.

use std::{fs, path::Path};

use learngene_tensors::write_whole;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::ClusteringError;

/// A value with rules that its types alone do not state.
pub(crate) trait JsonFile: Serialize + DeserializeOwned {
    /// What errors call the file.
    const WHAT: &'static str;

    /// The rules.
    fn check(&self) -> Result<(), ClusteringError>;
}

pub(crate) fn from_json<T: JsonFile>(bytes: &[u8]) -> Result<T, ClusteringError> {
    let value: T = serde_json::from_slice(bytes)
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
    let bytes = fs::read(path).map_err(|source| ClusteringError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    from_json(&bytes)
        .map_err(|source| ClusteringError::File { path: path.to_owned(), source: Box::new(source) })
}

pub(crate) fn write<T: JsonFile>(value: &T, path: &Path) -> Result<(), ClusteringError> {
    write_whole(path, [to_json(value)?]).map_err(|source| ClusteringError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
