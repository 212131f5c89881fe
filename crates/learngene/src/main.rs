//! The program `learngene`.

mod ancestry;
mod args;
mod budget_args;
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
mod kind;
mod measured;
mod memory;
mod method;
mod preprocess_args;
mod progress;
mod rates;
mod recipe_args;
mod teacher_args;
mod text;
mod transform_args;
mod transformations_file;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use learngene_datasets::with_causes;
use tracing_subscriber::{EnvFilter, fmt};

/// Written into every artefact.
const PRODUCER: &str = concat!("learngene ", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    memory::keep();
    let cli = commands::Cli::read();
    init_tracing(&cli);
    let takes_bad_images = cli.command.takes_bad_images();
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            files::remove_made();
            device::end_if_lost();
            let hint = error::hint(&error, takes_bad_images);
            eprintln!("error: {}{hint}", with_causes(error.as_ref()));
            ExitCode::from(if error.is::<commands::No>() { 1 } else { 2 })
        }
    }
}

/// Logs go to standard error: warnings and results by default, more with `-v`, less with `-q`.
fn init_tracing(cli: &commands::Cli) {
    if cli.quiet {
        progress::silence();
    }
    let level =
        // Our own error explains a lost server better than burn's client.
        match cli.verbose {
            _ if cli.quiet => "burn_remote::client=error,warn",
            0 => "learngene=info,burn_remote::client=error,warn",
            1 => "learngene=debug,info",
            _ => "debug",
        };
    fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level)),
        )
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_level(cli.verbose > 0)
        .without_time()
        .with_target(false)
        .init();
}
