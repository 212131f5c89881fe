//! Checks, tests and experiments of this workspace, started as `cargo xtask <command>`.
//!
//! A task starts programs and reads files; it never links the crates it is about, so it builds in
//! seconds and can say what is wrong with a workspace that does not compile.

mod backends;
mod bench;
mod check;
mod downstream;
mod learngene;
mod lint;
mod nightly;
mod program;
mod reproduce;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks, tests and experiments of this workspace.")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test and every example in the documentation.
    Test(test::Options),
    /// Run all that a change must pass: format, tidy, clippy, tests, downstream crates, documentation.
    Check,
    /// Run clippy over all code, that of every backend included.
    Lint,
    /// Check what the compiler does not: arrows between crates, documents, links, sizes.
    Tidy,
    /// Run the tables and figures of the paper, at the scale of a desk or its own, and draw the report.
    Reproduce(reproduce::Options),
    /// Choose the learning rate of each method on held-out training images.
    Tune(reproduce::tune::Options),
    /// Write the JSON schema of the report's numbers.
    Schema,
    /// Check that remote devices work, and that a device, if only in software, computes as the CPU.
    Backends,
    /// Time the program alone, against PyTorch, over devices or over sizes.
    Bench(bench::Options),
    /// Run the tests of the k-means crate that needs a nightly compiler.
    Nightly,
}

fn main() -> ExitCode {
    match run(&Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<()> {
    let workspace = Workspace::read()?;
    match task {
        Task::Test(options) => test::run(&workspace, options),
        Task::Check => check::run(&workspace),
        Task::Lint => lint::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
        Task::Reproduce(options) => reproduce::run(&workspace, options),
        Task::Tune(options) => reproduce::tune::run(&workspace, options),
        Task::Schema => reproduce::schema::run(&workspace),
        Task::Backends => backends::run(&workspace),
        Task::Bench(options) => bench::run(&workspace, options),
        Task::Nightly => nightly::run(&workspace),
    }
}
