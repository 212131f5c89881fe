//! `learngene data fetch`

use anyhow::ensure;
use clap::builder::{PossibleValue, PossibleValuesParser};
use learngene_datasets::{
    KNOWN_DATASETS, KnownDataset, cache_folder,
    fetch::{Origin, Stage, fetch},
    is_in_cache,
};

use crate::progress;

/// Brings a dataset into the cache: $LEARNGENE_DATA, or the user's cache folder.
///
/// Checksums are compared with the published ones. A download that broke off goes on the next time.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene data fetch cifar100")]
pub struct Args {
    /// Its name.
    #[arg(value_parser = PossibleValuesParser::new(names()))]
    name: String,
}

/// All that are known; those got by hand are not offered, but `run` says how to get them.
fn names() -> [PossibleValue; KNOWN_DATASETS.len()] {
    KNOWN_DATASETS.map(|known| PossibleValue::new(known.name).hide(!known.is_fetched))
}

pub fn run(Args { name }: Args) -> anyhow::Result<()> {
    let cache = cache_folder()?;
    let by_hand = KNOWN_DATASETS.iter().find(|known| known.name == name && !known.is_fetched);
    if let Some(known) = by_hand {
        let KnownDataset { source, licence, layout, .. } = known;
        ensure!(
            is_in_cache(known)?,
            "{name} is not fetched, but got by hand ({licence}): get it from {source} and unpack it in {} \
             as {layout}, or give any folder of that layout where {name} would stand",
            cache.join(&name).display()
        );
        return super::super::say(format!("{name} is here already"));
    }
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
