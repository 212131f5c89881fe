//! Images for tests that read only names and labels.

use image::RgbImage;
use learngene_datasets::{Dataset, DatasetError};

/// Names and labels.
pub(crate) type Images = &'static [(&'static str, Option<usize>)];

pub(crate) struct Named(pub(crate) Images);

impl Dataset for Named {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.0[index].1
    }

    fn image(&self, _: usize) -> Result<RgbImage, DatasetError> {
        unreachable!("images are not read")
    }

    fn name(&self, index: usize) -> String {
        self.0[index].0.to_owned()
    }
}
