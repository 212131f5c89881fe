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
mod kind;
mod measured;
mod memory;
mod method;
mod preprocess_args;
mod progress;
mod recipe_args;
mod text;
mod transform_args;
mod transformations_file;

use std::process::ExitCode;

use learngene_datasets::with_causes;

/// Written into every artefact.
const PRODUCER: &str = concat!("learngene ", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    memory::keep();
    let cli = args::Cli::read();
    args::init_tracing(cli.verbose);
    let takes_bad_images = cli.command.takes_bad_images();
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            files::remove_made();
            device::end_if_lost();
            let hint = error::hint(&error, takes_bad_images);
            eprintln!("error: {}{hint}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
