//! Rectangles of random area and shape.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Draws before giving up, in torchvision and timm.
const TRIES: usize = 10;

/// A rectangle in an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Columns left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

impl Region {
    /// Whether all of it lies in an image of that size.
    pub fn is_inside(&self, (width, height): (u32, u32)) -> bool {
        let ends = |start: u32, length: u32, side: u32| {
            start.checked_add(length).is_some_and(|end| end <= side)
        };
        ends(self.left, self.width, width) && ends(self.top, self.height, height)
    }
}

/// Which regions of an image: the range of their share of its area, and the range of a ratio of their sides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Regions {
    pub area: [f64; 2],
    pub ratio: [f64; 2],
}

impl Regions {
    /// A region that fits: the first of ten whose sides `accept` takes, at a random place. The area is drawn evenly,
    /// the ratio evenly in its logarithm.
    pub(super) fn draw(
        self,
        rng: &mut impl Rng,
        (width, height): (u32, u32),
        sides: impl Fn(f64, f64) -> (f64, f64),
        accept: impl Fn(u32, u32) -> bool,
    ) -> Option<Region> {
        let ([least, most], [low, high]) = (self.area, self.ratio);
        for _ in 0..TRIES {
            let area = f64::from(width) * f64::from(height) * rng.random_range(least..=most);
            let ratio = rng.random_range(low.ln()..=high.ln()).exp();
            let (region_width, region_height) = rounded(sides(area, ratio));
            if accept(region_width, region_height) {
                let top = rng.random_range(0..=height - region_height);
                let left = rng.random_range(0..=width - region_width);
                return Some(Region { left, top, width: region_width, height: region_height });
            }
        }
        None
    }
}

/// To whole pixels, halves to even as Python does.
pub(super) fn rounded((width, height): (f64, f64)) -> (u32, u32) {
    (width.round_ties_even() as u32, height.round_ties_even() as u32)
}
