//! The program `learngene`, built once and started many times.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{program::Program, workspace::Workspace};

pub(crate) struct Learngene {
    binary: PathBuf,
    root: PathBuf,
}

impl Learngene {
    /// Builds the program, optimised.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        Self::build_for(workspace, &[])
    }

    /// Builds the program, optimised, with the backends of these devices.
    pub(crate) fn build_for(workspace: &Workspace, devices: &[String]) -> Result<Self> {
        Program::cargo(&workspace.root)
            .args(["build", "--release", "--package", "learngene"])
            .args(features(devices))
            .run()?;
        let name = format!("learngene{}", std::env::consts::EXE_SUFFIX);
        Ok(Self {
            binary: workspace.target.join("release").join(name),
            root: workspace.root.clone(),
        })
    }

    /// Runs a command in the root of the workspace and returns what it printed; its progress is shown.
    pub(crate) fn run(&self, command: &Line) -> Result<String> {
        Program::new(&self.binary.to_string_lossy(), &self.root).args(&command.args).stdout()
    }

    /// As [`Self::run`], but what is shown is set in, and an error is the program's own.
    pub(crate) fn told(&self, command: &Line) -> Result<String> {
        Program::new(&self.binary.to_string_lossy(), &self.root)
            .args(&command.args)
            .told("        ")
    }

    /// As [`Self::told`], of a command that prints JSON.
    pub(crate) fn told_json(&self, command: &Line) -> Result<Value> {
        let text = self.told(command)?;
        serde_json::from_str(&text).with_context(|| format!("`{command}` printed no JSON"))
    }

    /// Runs a command that prints JSON.
    pub(crate) fn json(&self, command: &Line) -> Result<Value> {
        let text = self.run(command)?;
        serde_json::from_str(&text).with_context(|| format!("`{command}` printed no JSON"))
    }
}

/// What tells cargo which backends devices need beside the default one.
fn features(devices: &[String]) -> Vec<String> {
    let backends = devices.iter().filter_map(|device| device.split(':').next());
    let mut backends: Vec<&str> = backends.filter(|name| !name.starts_with("flex")).collect();
    backends.sort_unstable();
    backends.dedup();
    if backends.is_empty() { Vec::new() } else { vec!["--features".into(), backends.join(",")] }
}

/// The arguments of one command, and how a person would type it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    args: Vec<String>,
}

impl Line {
    pub(crate) fn new(command: &str) -> Self {
        Self { args: vec![command.to_owned()] }
    }

    pub(crate) fn arg(mut self, value: impl ToString) -> Self {
        self.args.push(value.to_string());
        self
    }

    pub(crate) fn flag(self, name: &str, value: impl ToString) -> Self {
        self.arg(format!("--{name}")).arg(value)
    }

    pub(crate) fn path(self, name: &str, path: &Path) -> Self {
        self.flag(name, path.display())
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "learngene {}", self.args.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_features_but_for_the_default_one() {
        let of = |devices: &[&str]| {
            features(&devices.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(of(&["flex", "flex-plain"]).is_empty());
        assert_eq!(of(&["vulkan:0", "flex", "cuda:1", "cuda:0"]), ["--features", "cuda,vulkan"]);
    }
}
