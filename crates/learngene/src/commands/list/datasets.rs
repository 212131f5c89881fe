//! `learngene list datasets`

use learngene_datasets::{KNOWN_DATASETS, KnownDataset, is_in_cache};
use serde::Serialize;

use crate::text::{table, thousands};

/// Lists the datasets that are known by name: classes, images, terms, and where to get them.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene list datasets --json")]
pub struct Args {
    /// Prints JSON, with the layout of each folder and published checksums.
    #[arg(long)]
    json: bool,
}

/// A dataset, and whether it can be used by its name here.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    known: KnownDataset,
    is_in_cache: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let listed = KNOWN_DATASETS.into_iter().map(|known| {
        let is_in_cache = is_in_cache(&known)?;
        Ok(Listed { known, is_in_cache })
    });
    let listed: Vec<Listed> = listed.collect::<anyhow::Result<_>>()?;
    super::super::print(args.json, &listed, |listed| {
        let head = ["name", "classes", "train", "test", "got by", "licence", "source"];
        let rows = listed.iter().map(row);
        let rows: Vec<_> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
        let unused = "Folders of images of your own (train/CLASS/.., test/CLASS/..) need no name.";
        format!("{}\n\n{unused}", table(&rows, 1..4))
    })
}

fn row(Listed { known, is_in_cache }: &Listed) -> [String; 7] {
    let got_by = match (is_in_cache, known.is_fetched) {
        (true, _) => "is here",
        (false, true) => "data fetch",
        (false, false) => "hand",
    };
    [
        known.name.into(),
        thousands(known.classes as u64),
        thousands(known.train as u64),
        thousands(known.test as u64),
        got_by.into(),
        known.licence.into(),
        known.source.into(),
    ]
}
