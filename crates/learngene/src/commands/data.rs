//! `learngene data`

use clap::Subcommand;
use learngene_datasets::{KNOWN_DATASETS, cache_folder, fetch};

use crate::progress;

/// Lists and fetches datasets.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene data fetch cifar10")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Lists the datasets known by name.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fetches a dataset into the cache (LEARNGENE_DATA, or the user's cache folder).
    Fetch {
        /// Name of the dataset.
        #[arg(value_parser = ["cifar10"])]
        name: String,
    },
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::List { json } => super::print(json, &KNOWN_DATASETS, |known| {
            let lines: Vec<String> =
                known.iter().map(|(name, what)| format!("{name:16} {what}")).collect();
            lines.join("\n")
        }),
        Action::Fetch { name } => {
            let cache = cache_folder()?;
            let bar = progress::bar(0, "bytes").with_message(format!("fetching {name}"));
            let fetched = fetch::fetch_cifar10(&cache, &mut |progress| {
                bar.set_length(progress.total.unwrap_or(progress.done));
                bar.set_position(progress.done);
            })?;
            bar.finish_and_clear();
            println!("{}: {}", name, fetched.folder.display());
            Ok(())
        }
    }
}
