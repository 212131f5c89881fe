//! Tests that need a nightly compiler: the crate `kmeans` behind a feature of learngene-clustering.

use anyhow::{Result, bail};

use crate::{program::Program, workspace::Workspace};

/// # Errors
/// When no nightly toolchain is installed or a test fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    if !is_installed(workspace) {
        bail!("no nightly toolchain is installed: `rustup toolchain install nightly` gets one");
    }
    // A folder of its own: the compilers do not share what they build, and one would evict the other.
    Program::cargo(&workspace.root)
        .args(["+nightly", "test", "--package", "learngene-clustering", "--features", "kmeans"])
        .env("CARGO_TARGET_DIR", workspace.target.join("nightly"))
        .run()
}

fn is_installed(workspace: &Workspace) -> bool {
    Program::cargo(&workspace.root).args(["+nightly", "--version"]).succeeds()
}
