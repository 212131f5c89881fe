//! Fetches CIFAR-10 into the cache and counts its images: `cargo run -p learngene-datasets --example fetch_cifar10`.

use std::error::Error;

use learngene_datasets::fetch::fetch;
use learngene_datasets::{Cifar10, Dataset, Split, cache_folder};

fn main() -> Result<(), Box<dyn Error>> {
    let mut last = None;
    let fetched = fetch("cifar10", &cache_folder()?, &mut |progress| {
        let megabytes = progress.done / 10_000_000 * 10;
        if last != Some((progress.stage, megabytes)) {
            last = Some((progress.stage, megabytes));
            eprintln!("{:?}: {megabytes} MB", progress.stage);
        }
    })?;
    println!("{} ({:?})", fetched.folder.display(), fetched.origin);
    for split in [Split::Train, Split::Test] {
        let dataset = Cifar10::open(&fetched.folder, split)?;
        let mut counts = vec![0; dataset.classes().len()];
        for label in (0..dataset.len()).filter_map(|index| dataset.label(index)) {
            counts[label] += 1;
        }
        println!("{split}: {} images, per class {counts:?}", dataset.len());
    }
    Ok(())
}
