//! `learngene data`

mod check;
mod fetch;
mod show;

use clap::Subcommand;

/// Fetches, checks and shows datasets.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  learngene data fetch cifar100\n  \
    learngene data check /data/imagenet --as imagenet")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Check(check::Args),
    Fetch(fetch::Args),
    Show(show::Args),
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::Check(args) => check::run(args),
        Action::Fetch(args) => fetch::run(args),
        Action::Show(args) => show::run(args),
    }
}
