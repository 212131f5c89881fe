use std::error::Error as StdError;

use burn::tensor::Tensor;

use crate::{error::ClusteringError, probe::Contrast};

/// What looks at a batch of images, `[batch, 3, image_size, image_size]`.
type Visit<'v> = dyn FnMut(Tensor<4>) -> Result<(), ClusteringError> + 'v;

/// What shows every batch.
type Show<'a> = dyn Fn(&mut Visit<'_>) -> Result<(), ClusteringError> + 'a;

/// Batches of normalised images, as often as they are asked for.
pub(crate) struct Images<'a> {
    show: Box<Show<'a>>,
    /// Images of the first pass.
    count: Option<u64>,
}

impl<'a> Images<'a> {
    /// Images of a function that gives the same ones every time.
    pub fn new<I, E>(batches: impl Fn() -> I + 'a) -> Self
    where
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let show = move |visit: &mut Visit<'_>| {
            batches().into_iter().try_for_each(|batch| {
                visit(batch.map_err(|source| ClusteringError::Images { source: source.into() })?)
            })
        };
        Self { show: Box::new(show), count: None }
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
        (self.show)(&mut |images| {
            if images.dims()[0] == 0 {
                return Ok(()); // The model takes no empty batch, and a stream may well end with one.
            }
            contrast.push(images.clone());
            visit(images)
        })?;
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
