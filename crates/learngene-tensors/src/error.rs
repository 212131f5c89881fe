//! What can be wrong, in this crate and in those built on it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Input that cannot be used, or a file that cannot be reached.
///
/// Every message names the place, what was found and what was expected.
#[derive(Debug, Error)]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A value that is not what its place requires.
    #[error("{}found {found}, expected {expected}", place(what))]
    Invalid {
        /// The place: a file, a field, an argument.
        what: String,
        /// What is there.
        found: String,
        /// What may be there.
        expected: String,
    },
    /// Parameters that are not those of a model.
    #[error(
        "{}the parameters do not fit the model{}",
        place(what),
        list(missing, unused, mismatched)
    )]
    Parameters {
        /// Where they come from.
        what: String,
        /// Parameters that the model has and the source lacks.
        missing: Vec<String>,
        /// Parameters of the source that the model does not have.
        unused: Vec<String>,
        /// Parameters of another shape, as `NAME is [..], expected [..]`.
        mismatched: Vec<String>,
    },
}

impl Error {
    /// A value that is not what its place requires.
    pub fn invalid(
        what: impl Into<String>,
        found: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        let (found, expected) = (found.to_string(), expected.to_string());
        Self::Invalid { what: what.into(), found, expected }
    }

    /// A failure to read a file; for `map_err`.
    pub fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io("read", path)
    }

    /// A failure to write a file; for `map_err`.
    pub fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io("write", path)
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The same error with the file that it was found in before its place.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        if let Self::Invalid { what, .. } | Self::Parameters { what, .. } = &mut self {
            let place = path.display();
            *what = if what.is_empty() { place.to_string() } else { format!("{place}: {what}") };
        }
        self
    }
}

/// A place before what was found there; an error may have none until its file is known.
fn place(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!("{what}: ") }
}

/// Names of one kind that a message lists; of more it gives the number.
const MOST_NAMES: usize = 12;

fn list(missing: &[String], unused: &[String], mismatched: &[String]) -> String {
    let part = |(kind, names): (&str, &[String])| {
        let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
        let rest = match names.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        format!("; {kind}: {shown}{rest}")
    };
    [("missing", missing), ("unused", unused), ("wrong shape", mismatched)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(part)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_file_first() {
        let error = Error::invalid("eps", -1, "a positive number").in_file(Path::new("a.json"));
        assert_eq!(error.to_string(), "a.json: eps: found -1, expected a positive number");
        let error = Error::invalid("", "3 bytes", "8");
        assert_eq!(error.to_string(), "found 3 bytes, expected 8");
        let error = error.in_file(Path::new("a.json"));
        assert_eq!(error.to_string(), "a.json: found 3 bytes, expected 8");
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let error = Error::Parameters {
            what: "x.safetensors".into(),
            missing: (0..14).map(|layer| format!("blocks.{layer}.norm1.bias")).collect(),
            unused: vec!["extra".into()],
            mismatched: vec![],
        };
        let text = error.to_string();
        assert!(text.ends_with("blocks.11.norm1.bias and 2 more; unused: extra"), "{text}");
    }
}
