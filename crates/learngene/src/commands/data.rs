//! `learngene data`

use clap::Subcommand;
use learngene_datasets::{KNOWN_DATASETS, cache_folder, fetch};
use serde::Serialize;

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

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    description: &'static str,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::List { json } => {
            let known = KNOWN_DATASETS.map(|(name, description)| Listed { name, description });
            super::print(json, &known, |known| {
                let lines: Vec<String> = known
                    .iter()
                    .map(|Listed { name, description }| format!("{name:16} {description}"))
                    .collect();
                lines.join("\n")
            })
        }
        Action::Fetch { name } => {
            let cache = cache_folder()?;
            let bar = progress::bar(0, "bytes").with_message(format!("fetching {name}"));
            let fetched = fetch::fetch_cifar10(&cache, &mut |progress| {
                bar.set_length(progress.total.unwrap_or(progress.done));
                bar.set_position(progress.done);
            })?;
            bar.finish_and_clear();
            super::say(format_args!("{name}: {}", fetched.folder.display()))
        }
    }
}
