//! Opening the images of a command, with what becomes of those that cannot be decoded.

use clap::Args;
use learngene_datasets::{BadImages, Dataset, Split, TrainTest, open, open_train_test};

use crate::text::count;

/// What becomes of images that cannot be decoded.
#[derive(Args, Clone, Copy)]
pub struct BadImagesArgs {
    /// Images that cannot be decoded: refuse, skip, or skip:N for at most N of each split. To skip
    /// them, every image is decoded once before the work begins.
    #[arg(long, value_name = "WHAT", default_value_t, help_heading = "Images")]
    pub bad_images: BadImages,
}

impl BadImagesArgs {
    /// One split of a dataset.
    pub fn open(self, data: &str, split: Split) -> anyhow::Result<Box<dyn Dataset>> {
        let images = open(data, split, self.bad_images)?;
        tell_skipped(images.as_ref(), split);
        Ok(images)
    }

    /// Both splits of a dataset.
    pub fn open_train_test(self, data: &str) -> anyhow::Result<TrainTest> {
        let both = open_train_test(data, self.bad_images)?;
        tell_skipped(both.train.as_ref(), Split::Train);
        tell_skipped(both.test.as_ref(), Split::Test);
        Ok(both)
    }
}

fn tell_skipped(images: &dyn Dataset, split: Split) {
    if !images.skipped().is_empty() {
        let skipped = count(images.skipped().len(), "image", "images");
        tracing::warn!("left out {skipped} of the {split} split that cannot be decoded");
    }
}
