//! `learngene list`

mod datasets;
mod devices;
mod models;

use clap::Subcommand;

/// Lists models that can be downloaded, datasets known by name, or devices of this machine.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  learngene list models\n  learngene list devices --json")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Models(models::Args),
    Datasets(datasets::Args),
    Devices(devices::Args),
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Models(args) => models::run(args),
        What::Datasets(args) => datasets::run(args),
        What::Devices(args) => devices::run(args),
    }
}
