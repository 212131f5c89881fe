//! Every test of the workspace, and word of those that this machine cannot run.

use std::{
    env,
    path::{Path, PathBuf, absolute},
};

use anyhow::{Result, bail};

use crate::{program::Program, workspace::Workspace};

/// Environment variable with the path of the real ViT-S.
const VITS14_VARIABLE: &str = "LEARNGENE_VITS14";
/// Where the real ViT-S lies when the variable is not set, from the root of the workspace.
const VITS14_DEFAULT: &str = "../shared/data/dinov2_vits14_224.f16.safetensors";
/// Tests of the real ViT-S have this in their names and are marked `#[ignore]`, so that a runner
/// counts them as skipped, never as passed, where the file is absent.
const VITS14_TESTS: &str = "vits14";

/// Runs the tests with cargo-nextest where it is installed, else with `cargo test`, then the examples
/// in the documentation, then the tests of the real ViT-S where its file is found.
///
/// # Errors
/// When a test fails, does not compile, or the variable names a file that does not exist.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let root = &workspace.root;
    let vits14 = find_vits14(root, env::var_os(VITS14_VARIABLE).map(PathBuf::from))?;
    let nextest = Program::cargo(root).args(["nextest", "--version"]).succeeds();

    if nextest {
        Program::cargo(root).args(["nextest", "run", "--workspace", "--no-fail-fast"]).run()?;
    } else {
        Program::cargo(root)
            .args(["test", "--workspace", "--all-targets", "--no-fail-fast"])
            .run()?;
    }
    // Nextest does not run the examples in the documentation, nor does `--all-targets`.
    Program::cargo(root).args(["test", "--workspace", "--doc"]).run()?;
    if let Some(path) = &vits14 {
        let program = Program::cargo(root).env(VITS14_VARIABLE, path);
        vits14_tests(program, nextest).run()?;
    }

    if vits14.is_none() {
        eprintln!("skipped: tests of the real ViT-S ({VITS14_VARIABLE} is not set)");
    }
    eprintln!(
        "skipped: tests of the crate kmeans, which needs a nightly compiler (`cargo xtask nightly`)"
    );
    Ok(())
}

fn vits14_tests(program: Program, nextest: bool) -> Program {
    if nextest {
        let filter = format!("test({VITS14_TESTS})");
        let args = ["nextest", "run", "--workspace", "--run-ignored", "only", "--no-tests", "pass"];
        program.args(args).args(["--filterset", &filter])
    } else {
        program.args(["test", "--workspace", "--all-targets", VITS14_TESTS, "--", "--ignored"])
    }
}

fn find_vits14(root: &Path, named: Option<PathBuf>) -> Result<Option<PathBuf>> {
    match named {
        // Tests run in the folders of their crates, where a relative path would name another file.
        Some(path) if path.is_file() => Ok(Some(absolute(path)?)),
        Some(path) => bail!("{VITS14_VARIABLE} names {}, which is not a file", path.display()),
        None => Ok(Some(root.join(VITS14_DEFAULT)).filter(|path| path.is_file())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_wins() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let found = find_vits14(Path::new("/nowhere"), Some(here.clone())).expect("it exists");
        assert_eq!(found, Some(here));
    }

    #[test]
    fn a_relative_name_becomes_absolute() {
        let found = find_vits14(Path::new("/nowhere"), Some("Cargo.toml".into()));
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(found.expect("tests run in the folder of their crate"), Some(here));
    }

    #[test]
    fn a_named_file_that_is_absent_is_an_error() {
        let error = find_vits14(Path::new("/nowhere"), Some("/nowhere/vits14".into()));
        let message = error.expect_err("it does not exist").to_string();
        assert_eq!(message, "LEARNGENE_VITS14 names /nowhere/vits14, which is not a file");
    }

    #[test]
    fn an_absent_default_is_none() {
        assert_eq!(find_vits14(Path::new("/nowhere"), None).expect("no error"), None);
    }
}
