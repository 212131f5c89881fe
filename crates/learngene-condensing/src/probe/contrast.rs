use burn::tensor::Tensor;

use crate::error::ClusteringError;

/// Standard deviation of normalised pixels below which images count as blank.
const LEAST_SPREAD: f64 = 0.1;

/// Spread of the pixels of a stream of images.
#[derive(Default)]
pub(crate) struct Contrast {
    images: u64,
    /// Sum over images of the variance of their pixels.
    variance: f64,
}

impl Contrast {
    /// Takes a batch of at least one normalised image, `[batch, channels, height, width]`.
    pub fn push(&mut self, images: Tensor<4>) {
        let [batch, ..] = images.dims();
        self.images += batch as u64;
        self.variance += batch as f64 * mean_variance(images);
    }

    /// Number of images.
    ///
    /// # Errors
    /// No image; images that are nearly blank, as those of the published probe were (normalised by
    /// statistics on another scale).
    pub fn check(&self) -> Result<u64, ClusteringError> {
        let images = self.images;
        if images == 0 {
            return Err(ClusteringError::NoImages);
        }
        let got = (self.variance / images as f64).sqrt();
        if got < LEAST_SPREAD {
            return Err(ClusteringError::BlankImages { images, got, want: LEAST_SPREAD });
        }
        Ok(images)
    }
}

/// Variance of the pixels inside a channel of an image, averaged over channels and images: offsets
/// between channels, which even blank images have, do not count.
fn mean_variance(images: Tensor<4>) -> f64 {
    let [batch, channels, height, width] = images.dims();
    let channels = images.reshape([batch * channels, height * width]);
    let mean = channels.clone().mean_dim(1);
    let variance: f32 = (channels - mean).powi_scalar(2).mean().into_scalar();
    f64::from(variance)
}
