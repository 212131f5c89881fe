//! The workspace as `cargo metadata` and git tell it.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::program::Program;

#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) features: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

impl Dependency {
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

impl Workspace {
    /// Reads the manifests of the members, without resolving their dependencies.
    ///
    /// # Errors
    /// When cargo cannot read a manifest, or answers in a form that we do not know.
    pub(crate) fn read() -> Result<Self> {
        // Cargo says where it runs xtask from; what was compiled may come from another clone that
        // shares the target folder.
        let xtask = env::var_os("CARGO_MANIFEST_DIR");
        let xtask = xtask.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let json = Program::cargo(&Path::new(&xtask).join(".."))
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()?;
        serde_json::from_str(&json).context("cannot read the answer of `cargo metadata`")
    }

    /// Files that git tracks or would track, relative to the root, in order of their names.
    ///
    /// # Errors
    /// When git is missing or the workspace is not a git repository.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let listing = Program::new("git", &self.root)
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()?;
        let mut files: Vec<PathBuf> = listing
            .split_terminator('\0')
            .map(PathBuf::from)
            .filter(|path| self.root.join(path).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_read() {
        let workspace = Workspace::read().expect("the workspace has readable manifests");
        let xtask = workspace.packages.iter().find(|package| package.name == "xtask");
        assert!(xtask.expect("a member").dependencies.iter().any(|d| d.name == "clap"));
        assert!(workspace.root.join("Cargo.lock").is_file());
    }
}
