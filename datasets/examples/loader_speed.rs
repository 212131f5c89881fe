//! How many images per second the loader makes ready for DeiT's training: decoded, cut, changed, normalised, erased.
//!
//!     cargo run --release -p learngene-datasets --example loader_speed -- FOLDER [WORKERS] [PASSES]
//!
//! FOLDER holds images in one folder for each class; `benches/loader_baseline.py` makes one, runs this in turns with
//! torchvision's loader and prints the ratio. Prints one line of JSON for each pass after the first.

use std::num::NonZeroUsize;
use std::time::Instant;
use std::{env, error::Error, path::Path, sync::Arc};

use learngene_datasets::{
    Augment, BadImages, ImageFiles, Loader, Pipeline, Preprocess, View, Workers, plan_epoch,
};

const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let folder = arguments.first().ok_or("wanted FOLDER [WORKERS] [PASSES]")?;
    let threads = arguments.get(1).map_or(Ok(NonZeroUsize::MIN), |text| text.parse())?;
    let passes: u64 = arguments.get(2).map_or(Ok(3), |text| text.parse())?;

    let dataset = Arc::new(ImageFiles::open(Path::new(folder), BadImages::Refuse)?);
    let views: Vec<View> =
        (0..learngene_datasets::Dataset::len(&*dataset)).map(View::from).collect();
    // As torchvision's loader is asked to: nothing that acts on whole batches.
    let augment = Augment { mixup: 0.0, cutmix: 0.0, repeats: 1, ..Augment::deit() }.check()?;
    let pipeline = Pipeline {
        dataset,
        preprocess: Preprocess::new(224).check()?,
        augment: Some(augment),
        seed: 0,
        label_smoothing: 0.0,
    };
    for pass in 0..=passes {
        let begun = Instant::now();
        let plans: Vec<_> = plan_epoch(pass, &views, BATCH_SIZE).collect();
        let mut loader = Loader::start(pipeline.clone(), plans, Workers::new(threads))?;
        for batch in loader.by_ref() {
            batch?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        if pass > 0 {
            let line = serde_json::json!({
                "loader": "learngene",
                "workers": threads,
                "images": views.len(),
                "images_per_second": views.len() as f64 / seconds,
                "images_per_second_per_core": loader.speed().images_per_second_per_core(),
            });
            println!("{line}");
        }
    }
    Ok(())
}
