//! Rectangles of random area and shape, and the crop that is made of one.
//!
//! Source: Szegedy et al., "Going deeper with convolutions", 2015, <https://arxiv.org/abs/1409.4842>, in the form of
//! torchvision's `RandomResizedCrop`.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::settings::{ensure, within};
use crate::DatasetError;

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

/// A random part of an image, brought to the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResizedCrop {
    /// Least and largest share of the image's area.
    pub scale: [f64; 2],
    /// Least and largest width over height.
    pub ratio: [f64; 2],
}

impl Default for ResizedCrop {
    fn default() -> Self {
        Self { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }
    }
}

impl ResizedCrop {
    pub(super) fn check(self) -> Result<(), DatasetError> {
        let Self { scale, ratio } = self;
        let want = "two rising numbers above 0 and at most 1";
        ensure("resized_crop.scale", scale, within(scale, 1.0), want)?;
        let want = "two rising numbers above 0 and at most 100";
        ensure("resized_crop.ratio", ratio, within(ratio, 100.0), want)
    }

    /// A part of random area and shape at a random place; where none of ten fits, the largest central one.
    pub(super) fn draw(self, rng: &mut impl Rng, (width, height): (u32, u32)) -> Region {
        // torchvision leaves sides of 0 to the resizing, which cannot do anything with them.
        let fits = |w: u32, h: u32| (1..=width).contains(&w) && (1..=height).contains(&h);
        Regions { area: self.scale, ratio: self.ratio }
            .draw(rng, (width, height), Self::sides, fits)
            .unwrap_or_else(|| self.central((width, height)))
    }

    /// Width and height.
    pub(super) fn sides(area: f64, ratio: f64) -> (f64, f64) {
        ((area * ratio).sqrt(), (area / ratio).sqrt())
    }

    /// The largest central part of a shape in range.
    pub(super) fn central(self, (width, height): (u32, u32)) -> Region {
        let [low, high] = self.ratio;
        let (image_width, image_height) = (f64::from(width), f64::from(height));
        let ratio = image_width / image_height;
        let sides = if ratio < low {
            (image_width, image_width / low)
        } else if ratio > high {
            (image_height * high, image_height)
        } else {
            (image_width, image_height)
        };
        let sides = rounded(sides);
        let (part_width, part_height) = (sides.0.clamp(1, width), sides.1.clamp(1, height));
        let (left, top) = ((width - part_width) / 2, (height - part_height) / 2);
        Region { left, top, width: part_width, height: part_height }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    proptest! {
        /// A part lies in its image and is never empty.
        #[test]
        fn a_part_is_inside(seed in any::<u64>(), width in 1_u32..600, height in 1_u32..600) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let part = ResizedCrop::default().draw(&mut rng, (width, height));
            assert!(part.width >= 1 && part.left + part.width <= width, "{part:?}");
            assert!(part.height >= 1 && part.top + part.height <= height, "{part:?}");
        }
    }

    fn check_central(size: (u32, u32), [left, top, width, height]: [u32; 4]) {
        let part = ResizedCrop::default().central(size);
        assert_eq!(part, Region { left, top, width, height });
    }

    #[test]
    fn a_shape_out_of_range_loses_its_ends() {
        check_central((400, 100), [133, 0, 133, 100]);
        check_central((100, 400), [0, 133, 100, 133]);
        check_central((100, 100), [0, 0, 100, 100]);
        check_central((1, 900), [0, 449, 1, 1]);
    }

    #[test]
    fn areas_and_ratios_spread_over_their_ranges() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let parts: Vec<_> =
            (0..2_000).map(|_| ResizedCrop::default().draw(&mut rng, (500, 500))).collect();
        let share = |part: &Region| f64::from(part.width * part.height) / 250_000.0;
        let ratio = |part: &Region| f64::from(part.width) / f64::from(part.height);
        let mean = parts.iter().map(share).sum::<f64>() / 2_000.0;
        assert!((0.45..0.58).contains(&mean), "{mean}");
        assert!(parts.iter().all(|part| (0.079..=1.0).contains(&share(part))));
        assert!(parts.iter().all(|part| (0.74..=1.35).contains(&ratio(part))));
        assert!(parts.iter().any(|part| ratio(part) < 0.8));
        assert!(parts.iter().any(|part| ratio(part) > 1.25));
    }
}
