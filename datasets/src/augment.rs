//! Random changes of a training image, the same for the same seed, epoch and image.

use image::RgbImage;
use image::imageops;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Which random changes a training image goes through, before it is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augment {
    /// Mirror every second image, left to right.
    pub flip: bool,
    /// Surround the image by so many black pixels and cut its size out again at a random place; 0 for none.
    pub crop_padding: u32,
}

impl Augment {
    /// Flip, and crop after padding by 4: the usual for CIFAR-10.
    pub fn flip_and_crop() -> Self {
        Self { flip: true, crop_padding: 4 }
    }

    /// Draws the change for one image. It depends on the arguments alone, not on the order of the calls.
    pub fn draw(&self, seed: u64, epoch: u64, index: usize) -> Change {
        // The three numbers are the key of the generator, so that no two images share a stream.
        let mut key = [0; 32];
        for (part, number) in key.chunks_exact_mut(8).zip([seed, epoch, index as u64]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        let padding = i64::from(self.crop_padding);
        Change {
            flip: rng.random::<bool>() && self.flip,
            right: rng.random_range(-padding..=padding),
            down: rng.random_range(-padding..=padding),
        }
    }
}

/// One drawn change of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whether it is mirrored, left to right.
    pub flip: bool,
    /// Pixels that it is moved to the right; what comes in is black.
    pub right: i64,
    /// Pixels that it is moved down; what comes in is black.
    pub down: i64,
}

impl Change {
    /// Changes an image: mirrors it first, then moves it.
    pub fn apply(&self, image: RgbImage) -> RgbImage {
        let image = if self.flip { imageops::flip_horizontal(&image) } else { image };
        if (self.right, self.down) == (0, 0) {
            return image;
        }
        let mut moved = RgbImage::new(image.width(), image.height());
        imageops::replace(&mut moved, &image, self.right, self.down);
        moved
    }
}
