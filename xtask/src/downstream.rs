//! The crates under `tests/downstream`, each a user of one component alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{program::Program, workspace::Workspace};

/// Folder of the downstream crates, from the root of the workspace.
const FOLDER: &str = "tests/downstream";

/// Type-checks every downstream crate.
///
/// # Errors
/// When one of them does not compile.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for folder in folders(&workspace.root)? {
        // They are workspaces of their own: with our versions and our target folder they compile
        // nothing that the workspace has compiled before.
        fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))
            .with_context(|| format!("cannot copy Cargo.lock to {}", folder.display()))?;
        Program::cargo(&folder)
            .args(["check", "--quiet", "--manifest-path"])
            .args([folder.join("Cargo.toml")])
            .env("CARGO_TARGET_DIR", &workspace.target)
            .run()?;
    }
    Ok(())
}

fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let folder = root.join(FOLDER);
    let context = || format!("cannot list {}", folder.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(&folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.join("Cargo.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}
