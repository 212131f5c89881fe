//! Starting programs.

use std::{
    env,
    ffi::OsStr,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
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

    /// Runs it, its standard error shown behind `indent`, and returns what it wrote to its standard
    /// output.
    ///
    /// # Errors
    /// As [`Self::stdout`]; of a status other than 0, its own `error: ` line is the message.
    pub(crate) fn told(mut self, indent: &str) -> Result<String> {
        let cannot = || format!("cannot start `{}`", self.line);
        let command = self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(cannot)?;
        let stderr = child.stderr.take().context("its standard error is a pipe")?;
        let indent = indent.to_owned();
        // Beside the standard output, or a full pipe would stop the program.
        let told = thread::spawn(move || {
            let mut error = None;
            for line in BufReader::new(stderr).lines().map_while(io::Result::ok) {
                eprintln!("{indent}{line}");
                if let Some(message) = line.strip_prefix("error: ") {
                    error = Some(message.to_owned());
                }
            }
            error
        });
        let output = child.wait_with_output().with_context(cannot)?;
        let error = told.join().ok().flatten();
        if !output.status.success() {
            match error {
                Some(error) => bail!(error),
                None => bail!("`{}` failed: {}", self.line, output.status),
            }
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
    fn the_line_of_an_error_is_the_message() {
        let told = |script: &str| shell(script).told("    ");
        assert_eq!(told("echo out; echo progress >&2").expect("sh runs"), "out\n");
        let error = told("echo progress >&2; echo 'error: no room' >&2; exit 1").expect_err("1");
        assert_eq!(error.to_string(), "no room");
        let error = told("exit 3").expect_err("status 3");
        assert_eq!(error.to_string(), "`sh -c exit 3` failed: exit status: 3");
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
