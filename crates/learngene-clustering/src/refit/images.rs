use std::error::Error as StdError;

use burn::tensor::Tensor;

use crate::{error::ClusteringError, probe::Contrast};

/// Batches of normalised images, each `[batch, 3, image_size, image_size]`, as often as they are
/// asked for.
pub(super) struct Images<F> {
    batches: F,
    /// Images of the first pass.
    count: Option<u64>,
}

impl<F, I, E> Images<F>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError + Send + Sync + 'static,
{
    pub fn new(batches: F) -> Self {
        Self { batches, count: None }
    }

    /// Shows every batch that has an image.
    ///
    /// # Errors
    /// The images' own error or the visitor's; no image; images that are nearly blank; another
    /// number of images than the first time.
    pub fn each(
        &mut self,
        mut visit: impl FnMut(Tensor<4>) -> Result<(), ClusteringError>,
    ) -> Result<(), ClusteringError> {
        let mut contrast = Contrast::default();
        for batch in (self.batches)() {
            let images =
                batch.map_err(|source| ClusteringError::Images { source: source.into() })?;
            if images.dims()[0] == 0 {
                continue; // The model takes no empty batch, and a stream may well end with one.
            }
            contrast.push(images.clone());
            visit(images)?;
        }
        let got = contrast.check()?;
        match *self.count.get_or_insert(got) {
            want if want == got => Ok(()),
            want => Err(ClusteringError::ImagesChanged { got, want }),
        }
    }

    /// Number of images; 0 before they were first gone through.
    pub fn count(&self) -> u64 {
        self.count.unwrap_or(0)
    }
}
