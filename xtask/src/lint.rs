//! Clippy over all code, that of every backend included.

use anyhow::Result;

use crate::{program::Program, test::features, workspace::Workspace};

/// All that is off by default and compiles here. One pass over the dependencies serves all.
const FEATURES: &[&str] = if cfg!(target_os = "macos") {
    &["metal", "wgpu", "remote", "dashboard"]
} else {
    &["cuda", "vulkan", "wgpu", "remote", "dashboard"]
};

/// The build script of the feature `cuda` downloads LLVM, which a check does without where it
/// believes to make documentation.
const WITHOUT_DOWNLOAD: (&str, &str) = ("DOCS_RS", "1");

/// # Errors
/// When something does not compile, or with a warning.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let (name, value) = WITHOUT_DOWNLOAD;
    Program::cargo(&workspace.root)
        .args(["clippy", "--workspace", "--all-targets"])
        .args(features(FEATURES))
        .args(["--", "-D", "warnings"])
        .env(name, value)
        .run()
}
