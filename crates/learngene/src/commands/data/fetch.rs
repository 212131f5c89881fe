//! `learngene data fetch`

use clap::builder::PossibleValuesParser;
use learngene_datasets::{
    KNOWN_DATASETS, cache_folder,
    fetch::{Origin, Stage, fetch},
};

use crate::progress;

/// Brings a dataset into the cache: $LEARNGENE_DATA, or the user's cache folder.
///
/// Checksums are compared with the published ones. A download that broke off goes on the next time.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene data fetch cifar100")]
pub struct Args {
    /// Its name.
    #[arg(value_parser = PossibleValuesParser::new(fetched_names()))]
    name: String,
}

fn fetched_names() -> Vec<&'static str> {
    KNOWN_DATASETS.iter().filter(|known| known.is_fetched).map(|known| known.name).collect()
}

pub fn run(Args { name }: Args) -> anyhow::Result<()> {
    let cache = cache_folder()?;
    let bar = progress::bar(0, "bytes").with_message(format!("fetching {name}"));
    let fetched = fetch(&name, &cache, &mut |step| {
        bar.set_message(match step.stage {
            Stage::Download => format!("fetching {name}"),
            Stage::Mirror => format!("fetching {name} from its mirror"),
            Stage::Convert => "converting".into(),
        });
        bar.set_length(step.total.unwrap_or_default());
        bar.set_position(step.done);
    })?;
    bar.finish_and_clear();
    let folder = fetched.folder.display();
    super::super::say(match fetched.origin {
        Origin::Cache => format!("{name} is already in {folder}"),
        Origin::Official => format!("{name} is in {folder}"),
        Origin::Mirror => format!("{name} is in {folder}, from a mirror"),
    })
}
