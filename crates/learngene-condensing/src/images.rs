//! Images that are looked at once or several times, and whether they show anything.

use std::error::Error as StdError;

use burn::tensor::Tensor;
use learngene_tensors::{Error, Result};

/// Standard deviation of normalised pixels below which images count as blank.
const LEAST_SPREAD: f64 = 0.1;

/// What looks at a batch of images, `[batch, 3, image_size, image_size]`.
pub(crate) type Visit<'v> = dyn FnMut(Tensor<4>) -> Result<()> + 'v;

/// What shows every batch.
type Show<'a> = dyn Fn(&mut Visit<'_>) -> Result<()> + 'a;

/// Batches of normalised images, each `[batch, 3, image_size, image_size]`, that can be gone through
/// several times.
pub struct Images<'a> {
    show: Box<Show<'a>>,
    /// Images of the first pass.
    count: Option<u64>,
}

impl<'a> Images<'a> {
    /// Images from a function that gives the same ones every time.
    pub fn new<I, E>(batches: impl Fn() -> I + 'a) -> Self
    where
        I: IntoIterator<Item = Result<Tensor<4>, E>>,
        E: StdError,
    {
        Self { show: Box::new(move |visit| each_batch(batches(), visit)), count: None }
    }

    /// Shows every batch that has an image.
    ///
    /// # Errors
    /// Those of [`each_batch`]; another number of images than the first time.
    pub(crate) fn each(&mut self, mut visit: impl FnMut(Tensor<4>) -> Result<()>) -> Result<()> {
        let mut found = 0;
        (self.show)(&mut |images| {
            found += images.dims()[0] as u64;
            visit(images)
        })?;
        match *self.count.get_or_insert(found) {
            expected if expected == found => Ok(()),
            expected => {
                let expected = format!("{expected}, the same ones as the first time");
                Err(Error::invalid("number of images", found, expected))
            }
        }
    }

    /// At least `wanted` images, evenly spaced over all of them, or all if there are fewer.
    pub(crate) fn chosen(&mut self, wanted: usize) -> Result<Vec<Tensor<4>>> {
        if self.count.is_none() {
            self.each(|_| Ok(()))?;
        }
        let stride = (self.count() as usize / wanted.max(1)).max(1);
        let (mut seen, mut chosen) = (0, Vec::new());
        self.each(|batch| {
            let [size, ..] = batch.dims();
            let of_batch: Vec<Tensor<4>> = (0..size)
                .filter(|index| (seen + index) % stride == 0)
                .map(|index| batch.clone().slice_dim(0, index..index + 1))
                .collect();
            seen += size;
            if !of_batch.is_empty() {
                chosen.push(Tensor::cat(of_batch, 0));
            }
            Ok(())
        })?;
        Ok(chosen)
    }

    /// Number of images; 0 before they were first gone through.
    pub(crate) fn count(&self) -> u64 {
        self.count.unwrap_or(0)
    }
}

/// Shows every batch that has an image.
///
/// # Errors
/// The images' own error or the visitor's; no image; images that are nearly blank, as those of the
/// published probe were (normalised by statistics on another scale).
pub(crate) fn each_batch<E: StdError>(
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    // Number of images, and the sum over them of the variance of their pixels.
    let (mut count, mut variance) = (0, 0.0);
    for batch in batches {
        let images = batch.map_err(|error| unreadable(&error))?;
        let [batch, ..] = images.dims();
        if batch == 0 {
            continue; // The model takes no empty batch, and a stream may well end with one.
        }
        count += batch;
        variance += batch as f64 * mean_variance(images.clone());
        visit(images)?;
    }
    if count == 0 {
        return Err(Error::invalid("images", "none", "at least one to look at"));
    }
    let spread = (variance / count as f64).sqrt();
    if spread < LEAST_SPREAD {
        let found = format!("{count} of standard deviation {spread:.4}, which is nearly blank");
        let expected = format!(
            "at least {LEAST_SPREAD} after normalisation; check --mean and --std (for pixels from \
             0 to 1)"
        );
        return Err(Error::invalid("images", found, expected));
    }
    Ok(())
}

/// An error with all its causes.
pub(crate) fn unreadable(error: &dyn StdError) -> Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    Error::invalid("images", text, "images that can be read")
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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io};

    use burn::tensor::Device;

    use super::*;

    /// Images of one row of two pixels.
    fn batch(pixels: f32, count: usize) -> Result<Tensor<4>, io::Error> {
        let row = Tensor::<1>::from_floats([-pixels, pixels], &Device::flex());
        Ok(row.reshape([1, 1, 1, 2]).repeat_dim(0, count))
    }

    fn check_refused(batches: impl IntoIterator<Item = io::Result<Tensor<4>>>, message: &str) {
        let refused = each_batch(batches, &mut |_| Ok(())).expect_err(message);
        assert_eq!(refused.to_string(), message);
    }

    #[test]
    fn images_that_show_nothing_are_refused() {
        check_refused([], "images: found none, expected at least one to look at");
        let none = Tensor::zeros([0, 1, 1, 2], &Device::flex());
        check_refused([Ok(none)], "images: found none, expected at least one to look at");
        let torn = io::Error::other("torn");
        let message = "images: found torn, expected images that can be read";
        check_refused([batch(1.0, 2), Err(torn)], message);
        check_refused(
            [batch(0.05, 2), batch(0.05, 1)],
            "images: found 3 of standard deviation 0.0500, which is nearly blank, expected at least \
             0.1 after normalisation; check --mean and --std (for pixels from 0 to 1)",
        );
    }

    #[test]
    fn other_images_the_next_time_are_refused() {
        let calls = Cell::new(0);
        let mut images = Images::new(|| {
            calls.set(calls.get() + 1);
            [batch(1.0, 4 - calls.get())]
        });
        images.each(|_| Ok(())).expect("three images");
        assert_eq!(images.count(), 3);
        let refused = images.each(|_| Ok(())).expect_err("two images").to_string();
        let expected = "number of images: found 2, expected 3, the same ones as the first time";
        assert_eq!(refused, expected);
    }
}
