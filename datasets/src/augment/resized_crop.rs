//! A random part of an image, resized.
//!
//! Source: Szegedy et al., "Going deeper with convolutions", 2015, <https://arxiv.org/abs/1409.4842>, in the form of
//! torchvision's `RandomResizedCrop`.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Region;
use super::bounds::{ensure, within};
use super::region::{Regions, rounded};
use crate::DatasetError;

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
