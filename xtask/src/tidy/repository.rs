//! Files that must be there, and files that must not be large.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::Finding;

const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "STYLE.md",
];

/// Largest file of the repository, in bytes: a clone stays small.
const MAX_BYTES: u64 = 8 << 20;

/// Finds missing documents and large files.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = check_documents(files);
    for file in files {
        let metadata = fs::metadata(root.join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        findings.extend(check_size(file, metadata.len()));
    }
    Ok(findings)
}

fn check_documents(files: &[PathBuf]) -> Vec<Finding> {
    let is_missing = |document: &&&str| !files.iter().any(|file| file == Path::new(document));
    DOCUMENTS
        .iter()
        .filter(is_missing)
        .map(|document| Finding::new(*document, "missing, every repository of ours has it"))
        .collect()
}

fn check_size(file: &Path, bytes: u64) -> Option<Finding> {
    let message = format!("{bytes} bytes, at most {MAX_BYTES} may be in the repository");
    (bytes > MAX_BYTES).then(|| Finding::new(file.display().to_string(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_document_is_found() {
        let mut files: Vec<PathBuf> = DOCUMENTS.iter().map(PathBuf::from).collect();
        assert_eq!(check_documents(&files), []);
        files.retain(|file| file != Path::new("STYLE.md"));
        files.push("docs/STYLE.md".into());
        let found = check_documents(&files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "STYLE.md");
    }

    #[test]
    fn a_file_may_have_the_largest_size_but_no_byte_more() {
        let file = Path::new("datasets/sample.bin");
        assert_eq!(check_size(file, MAX_BYTES), None);
        assert!(check_size(file, MAX_BYTES + 1).is_some());
    }
}
