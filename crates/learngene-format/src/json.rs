//! Sections of the manifest that are also files of their own.

use std::{fs, path::Path};

use learngene_tensors::{Error, Result, write_whole};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// A file of JSON with rules that its types alone do not state.
pub(crate) trait JsonFile: Serialize + DeserializeOwned {
    /// What a file that is read should be.
    const EXPECTED: &'static str;

    /// A field that no other file of this project has.
    const FIELD: &'static str;

    /// The rules.
    fn check(&self) -> Result<()>;
}

pub(crate) fn read<T: JsonFile>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(Error::read(path))?;
    let value: T = serde_json::from_slice(&bytes).map_err(|error| {
        let fields = serde_json::from_slice::<Map<String, Value>>(&bytes);
        let is_another = fields.is_ok_and(|fields| !fields.contains_key(T::FIELD));
        let found = match is_another {
            true => "JSON of another kind".into(),
            false => format!("JSON that does not fit ({error})"),
        };
        Error::invalid("", found, T::EXPECTED).in_file(path)
    })?;
    value.check().map_err(|error| error.in_file(path))?;
    Ok(value)
}

/// Writes a file, whole or not at all.
pub(crate) fn write<T: JsonFile>(value: &T, path: &Path) -> Result<()> {
    value.check().map_err(|error| error.in_file(path))?;
    let text = serde_json::to_string_pretty(value).expect("all maps have strings as keys") + "\n";
    write_whole(path, [text]).map_err(Error::write(path))
}

/// A list as it stands in the file, for messages.
pub(crate) fn text(list: &impl Serialize) -> String {
    serde_json::to_string(list).expect("lists of numbers are JSON")
}
