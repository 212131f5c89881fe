//! Random erasing: a box of noise over a part of the normalised image.
//!
//! Source: Zhong et al., "Random Erasing Data Augmentation", 2020, <https://arxiv.org/abs/1708.04896>; areas, shapes
//! and noise for each pixel as in timm's `RandomErasing` in mode `pixel`.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

const AREA: std::ops::RangeInclusive<f64> = 0.02..=1.0 / 3.0;
const ASPECT: (f64, f64) = (0.3, 1.0 / 0.3);
const TRIES: usize = 10;

/// A box, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Rows above it.
    pub top: usize,
    /// Columns left of it.
    pub left: usize,
    /// Its height.
    pub height: usize,
    /// Its width.
    pub width: usize,
}

impl Erased {
    /// A box in a square image; none where none of ten fits.
    pub(super) fn draw(rng: &mut impl Rng, side: usize) -> Option<Self> {
        let (low, high) = ASPECT;
        for _ in 0..TRIES {
            let area = (side * side) as f64 * rng.random_range(AREA);
            let aspect = rng.random_range(low.ln()..=high.ln()).exp();
            let height = (area * aspect).sqrt().round() as usize;
            let width = (area / aspect).sqrt().round() as usize;
            if height < side && width < side {
                let top = rng.random_range(0..=side - height);
                let left = rng.random_range(0..=side - width);
                return Some(Self { top, left, height, width });
            }
        }
        None
    }

    /// Overwrites the box in each channel.
    ///
    /// # Shapes
    /// - pixels: `[channels, side, side]`
    pub(super) fn fill(&self, pixels: &mut [f32], side: usize, rng: &mut impl Rng) {
        let Self { top, left, height, width } = *self;
        for channel in pixels.chunks_exact_mut(side * side) {
            for row in channel.chunks_exact_mut(side).skip(top).take(height) {
                row[left..left + width].fill_with(|| rng.sample(StandardNormal));
            }
        }
    }
}
