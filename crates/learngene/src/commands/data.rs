//! `learngene data`

use clap::Subcommand;
use learngene_datasets::{KNOWN_DATASETS, KnownDataset, cache_folder, fetch};

use crate::{progress, text::thousands};

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
            known.iter().map(describe).collect::<Vec<_>>().join("\n")
        }),
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

/// `cifar10          CIFAR-10: 10 classes, 50,000 training and 10,000 test images; ..`.
fn describe(known: &KnownDataset) -> String {
    let KnownDataset { name, title, classes, train, test, source, licence, layout, .. } = known;
    let (train, test) = (thousands(*train as u64), thousands(*test as u64));
    format!(
        "{name:16} {title}: {classes} classes, {train} training and {test} test images\n{:16} from \
         {source}; {licence}\n{:16} {layout}",
        "", ""
    )
}
