//! Every test of the workspace, and word of those that this machine cannot run.

use std::{
    env,
    path::{Path, PathBuf, absolute},
};

use anyhow::{Result, bail};
use clap::Args;

use crate::{program::Program, workspace::Workspace};

/// Environment variable with the path of the real ViT-S.
const VITS14_VARIABLE: &str = "LEARNGENE_VITS14";
/// Where the real ViT-S lies when the variable is not set, from the root of the workspace.
const VITS14_DEFAULT: &str = "../shared/data/dinov2_vits14_224.f16.safetensors";
/// Tests of the real ViT-S have this in their names and are marked `#[ignore]`, so that a runner
/// counts them as skipped, never as passed, where the file is absent.
const VITS14_TESTS: &str = "vits14";

/// How tests are built.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Features of the program beside its default ones.
    #[arg(long, value_name = "FEATURE[,FEATURE..]", value_delimiter = ',')]
    features: Vec<String>,
}

/// Runs the tests with cargo-nextest where it is installed, else with `cargo test`, then the examples
/// in the documentation, then the tests of the real ViT-S where its file is found.
///
/// # Errors
/// When a test fails, does not compile, or the variable names a file that does not exist.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let root = &workspace.root;
    let features = features(&options.features);
    let cargo = |args: &[&str]| Program::cargo(root).args(args).args(&features);
    let vits14 = find_vits14(root, env::var_os(VITS14_VARIABLE).map(PathBuf::from))?;
    let nextest = has_nextest(root);

    if nextest {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]).run()?;
    } else {
        cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"]).run()?;
    }
    // Nextest does not run the examples in the documentation, nor does `--all-targets`.
    cargo(&["test", "--workspace", "--doc"]).run()?;
    if let Some(path) = &vits14 {
        let vits14_tests = if nextest {
            let filter = format!("test({VITS14_TESTS})");
            cargo(&["nextest", "run", "--workspace", "--run-ignored", "only", "--no-tests", "pass"])
                .args(["--filterset", &filter])
        } else {
            cargo(&["test", "--workspace", "--all-targets"]).args([VITS14_TESTS, "--", "--ignored"])
        };
        vits14_tests.env(VITS14_VARIABLE, path).run()?;
    }

    if vits14.is_none() {
        eprintln!("skipped: tests of the real ViT-S ({VITS14_VARIABLE} is not set)");
    }
    eprintln!(
        "skipped: tests of the crate kmeans, which needs a nightly compiler (`cargo xtask nightly`)"
    );
    Ok(())
}

pub(crate) fn has_nextest(root: &Path) -> bool {
    Program::cargo(root).args(["nextest", "--version"]).succeeds()
}

/// Features of the program as cargo takes those of a member of the workspace; nothing where there
/// are none.
pub(crate) fn features<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    let named = names.iter().map(|name| format!("learngene/{}", name.as_ref()));
    match names {
        [] => Vec::new(),
        _ => vec!["--features".into(), named.collect::<Vec<_>>().join(",")],
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
    fn features_are_those_of_the_program() {
        assert_eq!(features(&["cuda", "wgpu"]), ["--features", "learngene/cuda,learngene/wgpu"]);
        assert!(features::<&str>(&[]).is_empty());
    }

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
