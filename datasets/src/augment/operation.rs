//! The operations of RandAugment, with the strengths of timm's "increasing" set.
//!
//! Source: Cubuk et al., "RandAugment", 2020, <https://arxiv.org/abs/1909.13719>; operations and magnitudes as in
//! timm's `auto_augment.py`, whose configuration for DeiT is `rand-m9-mstd0.5-inc1`.

use image::{Rgb, RgbImage};
use rand::{Rng, RngExt};

use super::{affine::Affine, colour};
use crate::Interpolation;

/// Largest magnitude.
const MAX: f64 = 10.0;

/// A change of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Stretches each channel to the whole range.
    AutoContrast,
    /// Makes all values of each channel about equally frequent.
    Equalize,
    /// Turns each value round.
    Invert,
    /// Degrees, counter-clockwise.
    Rotate(f64),
    /// Upper bits that are kept.
    Posterize(u32),
    /// Values from this one on are turned round.
    Solarize(u16),
    /// Added to values below 128.
    SolarizeAdd(u8),
    /// Away from grey (0) to the image (1) and beyond, as the next three.
    Color(f64),
    /// Away from the mean grey.
    Contrast(f64),
    /// Away from black.
    Brightness(f64),
    /// Away from a smoothed image.
    Sharpness(f64),
    /// Pixels to the side for each pixel down.
    ShearX(f64),
    /// Pixels down for each pixel to the side.
    ShearY(f64),
    /// Share of the width.
    TranslateX(f64),
    /// Share of the height.
    TranslateY(f64),
}

/// Kinds of operations, drawn with equal chances.
const KINDS: usize = 15;

impl Operation {
    /// One of all, of a magnitude from 0 to 10; those with two directions take either.
    pub(super) fn draw(rng: &mut impl Rng, magnitude: f64) -> Self {
        let share = magnitude / MAX;
        let kind = rng.random_range(0..KINDS);
        let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
        let enhanced = (1.0 + sign * 0.9 * share).max(0.1);
        match kind {
            0 => Self::AutoContrast,
            1 => Self::Equalize,
            2 => Self::Invert,
            3 => Self::Rotate(sign * 30.0 * share),
            4 => Self::Posterize(4 - (4.0 * share) as u32),
            5 => Self::Solarize(256 - ((256.0 * share) as u16).min(256)),
            6 => Self::SolarizeAdd(((110.0 * share) as u8).min(128)),
            7 => Self::Color(enhanced),
            8 => Self::Contrast(enhanced),
            9 => Self::Brightness(enhanced),
            10 => Self::Sharpness(enhanced),
            11 => Self::ShearX(sign * 0.3 * share),
            12 => Self::ShearY(sign * 0.3 * share),
            13 => Self::TranslateX(sign * 0.45 * share),
            _ => Self::TranslateY(sign * 0.45 * share),
        }
    }

    /// The changed image; `fill` where nothing comes from.
    pub fn apply(self, mut image: RgbImage, sampling: Interpolation, fill: Rgb<u8>) -> RgbImage {
        let (width, height) = image.dimensions();
        let map = match self {
            Self::Rotate(degrees) => Affine::rotate(degrees, (width, height)),
            Self::ShearX(factor) => Affine::shear_x(factor),
            Self::ShearY(factor) => Affine::shear_y(factor),
            Self::TranslateX(share) => Affine::translate(share * f64::from(width), 0.0),
            Self::TranslateY(share) => Affine::translate(0.0, share * f64::from(height)),
            _ => {
                self.recolour(&mut image);
                return image;
            }
        };
        map.apply(&image, sampling, fill)
    }

    fn recolour(self, image: &mut RgbImage) {
        match self {
            Self::AutoContrast => colour::auto_contrast(image),
            Self::Equalize => colour::equalize(image),
            Self::Invert => colour::invert(image),
            Self::Posterize(bits) => colour::posterize(image, bits),
            Self::Solarize(threshold) => colour::solarize(image, threshold),
            Self::SolarizeAdd(add) => colour::solarize_add(image, add),
            Self::Color(factor) => colour::colour(image, factor),
            Self::Contrast(factor) => colour::contrast(image, factor),
            Self::Brightness(factor) => colour::brightness(image, factor),
            Self::Sharpness(factor) => colour::sharpness(image, factor),
            Self::Rotate(_)
            | Self::ShearX(_)
            | Self::ShearY(_)
            | Self::TranslateX(_)
            | Self::TranslateY(_) => unreachable!("an affine map moves pixels"),
        }
    }
}
