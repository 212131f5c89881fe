//! `learngene data`

mod check;
mod fetch;
mod list;
mod show;

use clap::Subcommand;

/// Lists, checks, fetches and shows datasets.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  learngene data list\n  learngene data fetch cifar100\n  \
    learngene data check /data/imagenet --as imagenet")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(list::Args),
    Check(check::Args),
    Fetch(fetch::Args),
    Show(show::Args),
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::List(args) => list::run(args),
        Action::Check(args) => check::run(args),
        Action::Fetch(args) => fetch::run(args),
        Action::Show(args) => show::run(args),
    }
}
