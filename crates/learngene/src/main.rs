//! The program `learngene`.

mod again;
mod ancestry;
mod args;
mod checkpoint_file;
mod cluster_args;
mod commands;
#[cfg(feature = "dashboard")]
mod dashboard;
mod description;
mod device;
mod environment;
mod error;
mod files;
mod hub;
mod images;
mod memory;
mod progress;
mod recipe_args;
mod text;
mod transform_args;
mod transformations_file;

use std::process::ExitCode;

use clap::Parser;

/// Written into every artefact.
const PRODUCER: &str = concat!("learngene ", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    memory::keep();
    let cli = args::Cli::parse();
    args::init_tracing(cli.verbose);
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            device::end_if_lost();
            eprintln!("error: {}", error::chain(&error));
            ExitCode::FAILURE
        }
    }
}
