//! Rust sources: their opening, their words, their length.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::Finding;
use crate::workspace::Workspace;

/// A longer file is listed: it may tell more than one thing.
const LONG_FILE_LINES: usize = 400;

/// What unfinished code looks like; written in two parts, or this file would be found.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// How the root of a crate may open: with its documentation, or with the crate's README as such.
const OPENINGS: [&str; 2] = ["//!", r#"#![doc = include_str!("../README.md")]"#];

/// A file with its text, named from the root of the workspace.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads the Rust files among `files`.
pub(super) fn read(root: &Path, files: &[PathBuf]) -> Result<Vec<Source>> {
    let rust = files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.map(|path| {
        let text = fs::read_to_string(root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Source { path: path.clone(), text })
    })
    .collect()
}

/// Finds crates whose root does not open with its documentation.
pub(super) fn check_openings(workspace: &Workspace, sources: &[Source]) -> Vec<Finding> {
    let is_crate = |kind: &String| matches!(kind.as_str(), "lib" | "bin" | "proc-macro");
    let roots = workspace
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.iter().any(is_crate))
        .filter_map(|target| target.src_path.strip_prefix(&workspace.root).ok());
    roots
        .filter_map(|root| sources.iter().find(|source| source.path == root))
        .filter(|source| !OPENINGS.iter().any(|opening| source.text.starts_with(opening)))
        .map(|source| {
            let message = "a crate opens with its part of the path, by `//!` or its README";
            Finding::new(source.path.display().to_string(), message)
        })
        .collect()
}

/// Finds words of unfinished code.
pub(super) fn check_words(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(*word)) {
                let place = format!("{}:{}", source.path.display(), index + 1);
                findings.push(Finding::new(place, format!("unfinished: `{word}`")));
            }
        }
    }
    findings
}

/// Lists files of more than [`LONG_FILE_LINES`] lines.
pub(super) fn long_files(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > LONG_FILE_LINES)
        .map(|(source, lines)| {
            let message = format!("{lines} lines, over {LONG_FILE_LINES}");
            Finding::new(source.path.display().to_string(), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::test_packages::package;
    use crate::workspace::Target;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    fn check_opening(text: &str, findings: usize) {
        let mut format = package("learngene-format", vec![]);
        let src_path = PathBuf::from("/work/crates/format/src/lib.rs");
        format.targets.push(Target { kind: vec!["lib".into()], src_path });
        let workspace = Workspace {
            root: "/work".into(),
            target: "/work/target".into(),
            packages: vec![format],
        };
        let found = check_openings(&workspace, &[source("crates/format/src/lib.rs", text)]);
        assert_eq!(found.len(), findings, "{found:?}");
    }

    #[test]
    fn a_crate_opens_with_its_documentation() {
        check_opening("//! The file.\nmod a;\n", 0);
        check_opening("#![doc = include_str!(\"../README.md\")]\nmod a;\n", 0);
        check_opening("#![allow(unused)]\n//! Late.\n", 1);
        check_opening("mod a;\n//! Late.\n", 1);
    }

    #[test]
    fn unfinished_code_is_found_with_its_line() {
        for word in UNFINISHED {
            let found = check_words(&[source("a.rs", &format!("fn a() {{}}\n// {word}\n"))]);
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].place, "a.rs:2");
        }
        assert_eq!(check_words(&[source("a.rs", "// Nothing is left to do.\n")]), []);
    }

    #[test]
    fn a_file_of_more_than_400_lines_is_listed() {
        assert_eq!(long_files(&[source("a.rs", &"\n".repeat(400))]), []);
        let found = long_files(&[source("a.rs", &"\n".repeat(401))]);
        assert_eq!(found, [Finding::new("a.rs", "401 lines, over 400")]);
    }
}
