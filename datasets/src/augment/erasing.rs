//! Random erasing: noise over a part of the normalised image.
//!
//! Source: Zhong et al., "Random Erasing Data Augmentation", 2020, <https://arxiv.org/abs/1708.04896>; areas, shapes
//! and noise for each pixel as in timm's `RandomErasing` in mode `pixel`.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::Region;
use super::bounds::{ensure, within};
use super::region::Regions;
use crate::DatasetError;

/// Noise over a random part of some images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomErasing {
    /// Chance that an image has such a part.
    pub probability: f64,
    /// Least and largest share of the image's area.
    pub area: [f64; 2],
    /// Least height over width; the largest is its reciprocal.
    pub aspect: f64,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self { probability: 0.25, area: [0.02, 1.0 / 3.0], aspect: 0.3 }
    }
}

/// A drawn part and its noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erase {
    /// Where.
    pub region: Region,
    /// Of the noise: normal numbers, one for each pixel and channel.
    pub seed: u64,
}

impl RandomErasing {
    pub(super) fn check(self) -> Result<(), DatasetError> {
        let Self { probability, area, aspect } = self;
        let fine = (0.0..=1.0).contains(&probability);
        ensure("random_erasing.probability", probability, fine, "from 0 to 1")?;
        let want = "two rising numbers above 0 and at most 1";
        ensure("random_erasing.area", area, within(area, 1.0), want)?;
        let fine = aspect > 0.0 && aspect <= 1.0;
        ensure("random_erasing.aspect", aspect, fine, "above 0 and at most 1")
    }

    /// A part of a square image, if one is to be erased and any of ten fits.
    pub(super) fn draw(self, rng: &mut impl Rng, side: u32) -> Option<Erase> {
        if rng.random::<f64>() >= self.probability {
            return None;
        }
        let regions = Regions { area: self.area, ratio: [self.aspect, 1.0 / self.aspect] };
        let fits = |width, height| Self::fits(width, height, side);
        let region = regions.draw(rng, (side, side), Self::sides, fits)?;
        Some(Erase { region, seed: rng.random() })
    }

    /// Width and height.
    pub(super) fn sides(area: f64, aspect: f64) -> (f64, f64) {
        ((area / aspect).sqrt(), (area * aspect).sqrt())
    }

    /// timm refuses a part as wide or as high as the image.
    pub(super) fn fits(width: u32, height: u32, side: u32) -> bool {
        width < side && height < side
    }
}

impl Erase {
    /// Overwrites the part in each channel.
    ///
    /// # Shapes
    /// - pixels: `[channels, side, side]`
    pub(crate) fn apply(&self, pixels: &mut [f32], side: usize) {
        let [left, top, width, height] =
            [self.region.left, self.region.top, self.region.width, self.region.height]
                .map(|pixels| pixels as usize);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        for channel in pixels.chunks_exact_mut(side * side) {
            for row in channel.chunks_exact_mut(side).skip(top).take(height) {
                row[left..left + width].fill_with(|| rng.sample(StandardNormal));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn noise_fills_the_part_and_nothing_else() {
        let region = Region { left: 3, top: 1, width: 30, height: 40 };
        let mut pixels = vec![9.0; 3 * 50 * 50];
        Erase { region, seed: 7 }.apply(&mut pixels, 50);
        let inside = |at: usize| {
            let (row, column) = (at % 2500 / 50, at % 50);
            (1..41).contains(&row) && (3..33).contains(&column)
        };
        assert!((0..pixels.len()).all(|at| inside(at) == (pixels[at] != 9.0)));
        let noise: Vec<f32> = pixels.into_iter().filter(|value| *value != 9.0).collect();
        let mean = noise.iter().sum::<f32>() / noise.len() as f32;
        let square = noise.iter().map(|value| value * value).sum::<f32>() / noise.len() as f32;
        assert!(mean.abs() < 0.05 && (square - 1.0).abs() < 0.1, "{mean} {square}");
    }

    #[test]
    fn every_fourth_image_is_erased() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let drawn = (0..4_000).filter_map(|_| RandomErasing::default().draw(&mut rng, 224));
        let shares: Vec<f64> = drawn
            .map(|erase| f64::from(erase.region.width * erase.region.height) / 224.0_f64.powi(2))
            .collect();
        assert!((900..1_100).contains(&shares.len()), "{}", shares.len());
        assert!(shares.iter().all(|share| (0.018..0.34).contains(share)));
    }

    proptest! {
        /// A part lies in its image.
        #[test]
        fn a_part_is_inside(seed in any::<u64>(), side in 1_u32..300) {
            let certain = RandomErasing { probability: 1.0, ..RandomErasing::default() };
            if let Some(Erase { region, .. }) = certain.draw(&mut ChaCha8Rng::seed_from_u64(seed), side) {
                assert!(region.left + region.width <= side && region.top + region.height <= side);
            }
        }
    }
}
