//! All that a change must pass, the cheap first.

use anyhow::Result;

use crate::{downstream, lint, program::Program, test, tidy, workspace::Workspace};

/// # Errors
/// At the first step that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let cargo = || Program::cargo(&workspace.root);
    cargo().args(["fmt", "--all", "--check"]).run()?;
    tidy::run(workspace)?;
    lint::run(workspace)?;
    test::run(workspace, &test::Options::default())?;
    downstream::check(workspace)?;
    cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run()
}
