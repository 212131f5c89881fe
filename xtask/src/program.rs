//! Starting programs.

use std::{
    env,
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// A program with its arguments, to be started in one folder.
pub(crate) struct Program {
    command: Command,
    /// What a person would type.
    line: String,
}

impl Program {
    pub(crate) fn new(program: &str, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder);
        // Cargo describes xtask itself in these, and build scripts of other packages that watch them
        // would run again.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name.as_ref());
            }
        }
        Self { command, line: program.to_owned() }
    }

    pub(crate) fn cargo(folder: &Path) -> Self {
        Self::new("cargo", folder)
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.line.push(' ');
            self.line.push_str(&arg.as_ref().to_string_lossy());
            self.command.arg(arg);
        }
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.line = format!("{name}={} {}", value.as_ref().to_string_lossy(), self.line);
        self.command.env(name, value);
        self
    }

    /// Prints the command and runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started or exits with another status than 0.
    pub(crate) fn run(mut self) -> Result<()> {
        eprintln!("$ {}", self.line);
        let status =
            self.command.status().with_context(|| format!("cannot start `{}`", self.line))?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.line);
        }
        Ok(())
    }

    /// Runs it silently and returns what it wrote to its standard output.
    ///
    /// # Errors
    /// As [`Self::run`], and when the output is not UTF-8; what it wrote to its standard error is
    /// part of the message.
    pub(crate) fn output(mut self) -> Result<String> {
        let output =
            self.command.output().with_context(|| format!("cannot start `{}`", self.line))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed: {}\n{}", self.line, output.status, stderr.trim_end());
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("the output of `{}` is not UTF-8", self.line))
    }

    /// Runs it, its standard error shown, and returns what it wrote to its standard output.
    ///
    /// # Errors
    /// As [`Self::run`], and when the output is not UTF-8.
    pub(crate) fn stdout(mut self) -> Result<String> {
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", self.line))?;
        if !output.status.success() {
            bail!("`{}` failed: {}", self.line, output.status);
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("the output of `{}` is not UTF-8", self.line))
    }

    /// Whether it starts and exits with status 0; its output is dropped.
    pub(crate) fn succeeds(mut self) -> bool {
        let status = self.command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh", Path::new(".")).args(["-c", script])
    }

    #[test]
    fn the_output_is_returned() {
        assert_eq!(shell("echo out; echo err >&2").output().expect("sh runs"), "out\n");
    }

    #[test]
    fn a_failure_tells_the_command_and_its_standard_error() {
        let error = shell("echo reason >&2; exit 3").output().expect_err("status 3");
        assert_eq!(
            error.to_string(),
            "`sh -c echo reason >&2; exit 3` failed: exit status: 3\nreason"
        );
    }

    #[test]
    fn a_status_other_than_zero_is_an_error() {
        assert!(shell("exit 1").run().is_err());
        assert!(!shell("exit 1").succeeds());
        assert!(shell("exit 0").succeeds());
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let error = Program::new("no-such-program", Path::new(".")).run().expect_err("missing");
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }
}
