//! What the compiler does not check: arrows between crates, reserved dependencies, imports, documents,
//! links, sizes. Every check takes plain data and returns what it found.

mod arrows;
mod backends;
mod cycles;
mod links;
mod outsiders;
mod repository;
mod sources;

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Something that is not as it should be.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// A crate, or a file relative to the root with or without a line number.
    place: String,
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Prints every finding, and the long files, which are only listed.
///
/// # Errors
/// When there are findings, or the files cannot be read.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let files = workspace.files()?;
    let sources = sources::read(&workspace.root, &files)?;

    let mut findings = Vec::new();
    findings.extend(arrows::check(&workspace.packages));
    findings.extend(outsiders::check(&workspace.packages));
    findings.extend(backends::check(&workspace.packages));
    findings.extend(repository::check(&workspace.root, &files)?);
    findings.extend(sources::check_openings(workspace, &sources));
    findings.extend(cycles::check(&sources));
    findings.extend(sources::check_words(&sources));
    findings.extend(links::check(&workspace.root, &files)?);

    for long in sources::long_files(&sources) {
        eprintln!("note: {long}");
    }
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    if !findings.is_empty() {
        bail!("tidy has {} findings", findings.len());
    }
    eprintln!("tidy: {} crates, {} files, no findings", workspace.packages.len(), files.len());
    Ok(())
}

#[cfg(test)]
mod test_packages {
    use std::collections::BTreeMap;

    use crate::workspace::{Dependency, Package};

    pub(super) fn package(name: &str, dependencies: Vec<Dependency>) -> Package {
        Package { name: name.into(), dependencies, features: BTreeMap::new(), targets: vec![] }
    }

    pub(super) fn dependency(name: &str, kind: Option<&str>, features: &[&str]) -> Dependency {
        let features = features.iter().map(|feature| (*feature).to_owned()).collect();
        Dependency { name: name.into(), kind: kind.map(Into::into), features }
    }
}
