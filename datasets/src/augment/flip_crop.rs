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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use image::Rgb;
    use proptest::prelude::{any, proptest};

    use super::*;

    /// A row of three pixels whose red is given.
    fn row(reds: [u8; 3]) -> RgbImage {
        RgbImage::from_fn(3, 1, |x, _| Rgb([reds[x as usize], 0, 0]))
    }

    fn check(change: Change, want: [u8; 3]) {
        assert_eq!(change.apply(row([1, 2, 3])), row(want));
    }

    #[test]
    fn no_change_changes_nothing() {
        check(Change { flip: false, right: 0, down: 0 }, [1, 2, 3]);
    }

    #[test]
    fn a_flip_mirrors_left_to_right() {
        check(Change { flip: true, right: 0, down: 0 }, [3, 2, 1]);
    }

    #[test]
    fn what_moves_in_is_black() {
        check(Change { flip: false, right: 1, down: 0 }, [0, 1, 2]);
        check(Change { flip: false, right: -2, down: 0 }, [3, 0, 0]);
        check(Change { flip: false, right: 0, down: 1 }, [0, 0, 0]);
    }

    #[test]
    fn the_flip_comes_before_the_move() {
        check(Change { flip: true, right: 1, down: 0 }, [0, 3, 2]);
    }

    #[test]
    fn every_change_is_drawn() {
        let augment = Augment::flip_and_crop();
        let drawn: HashSet<_> = (0..5_000)
            .map(|index| augment.draw(1, 2, index))
            .map(|change| (change.flip, change.right, change.down))
            .collect();
        assert_eq!(drawn.len(), 2 * 9 * 9);
    }

    #[test]
    fn nothing_is_drawn_when_nothing_is_asked_for() {
        let augment = Augment { flip: false, crop_padding: 0 };
        for index in 0..100 {
            let change = augment.draw(1, 2, index);
            assert_eq!(change, Change { flip: false, right: 0, down: 0 });
        }
    }

    proptest! {
        /// A draw depends on seed, epoch and index, and on nothing else.
        #[test]
        fn a_draw_is_a_function(seed in any::<u64>(), epoch in any::<u64>(), index in any::<usize>()) {
            let augment = Augment::flip_and_crop();
            assert_eq!(augment.draw(seed, epoch, index), augment.draw(seed, epoch, index));
        }
    }

    #[test]
    fn seed_epoch_and_index_all_matter() {
        let augment = Augment::flip_and_crop();
        let draws = |seed, epoch, first| -> Vec<Change> {
            (first..first + 20).map(|index| augment.draw(seed, epoch, index)).collect()
        };
        let base = draws(1, 2, 3);
        for other in [draws(2, 2, 3), draws(1, 3, 3), draws(2, 1, 3), draws(1, 2, 40)] {
            assert_ne!(base, other);
        }
    }
}
