//! The operations of RandAugment, with the strengths of timm's "increasing" set.
//!
//! Source: Cubuk et al., "RandAugment", 2020, <https://arxiv.org/abs/1909.13719>; operations and magnitudes as in
//! timm's `auto_augment.py`, whose configuration for DeiT is `rand-m9-mstd0.5-inc1`.

use image::RgbImage;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::affine::{Affine, Canvas};
use super::colour;
use crate::Interpolation;

/// Largest magnitude.
pub(super) const MAX_MAGNITUDE: f64 = 10.0;

/// A change of an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Stretches each channel to the whole range.
    AutoContrast,
    /// Makes all values of each channel about equally frequent.
    Equalize,
    /// Turns each value round.
    Invert,
    /// Degrees, counter-clockwise.
    Rotate(f64),
    /// Upper bits that are kept, at most 8.
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
pub(super) const KINDS: u32 = 15;

impl Operation {
    /// One of all, of a magnitude from 0 to 10; those with two directions take either.
    pub(super) fn draw(rng: &mut impl Rng, magnitude: f64) -> Self {
        Self::of_kind(rng.random_range(0..KINDS), magnitude, rng.random::<bool>())
    }

    /// The `kind`-th operation in timm's list.
    pub(super) fn of_kind(kind: u32, magnitude: f64, negative: bool) -> Self {
        let share = magnitude / MAX_MAGNITUDE;
        let sign = if negative { -1.0 } else { 1.0 };
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

    /// Changes the image; `fill` comes in where an affine map finds nothing.
    pub(super) fn apply(
        self,
        image: &mut RgbImage,
        sampling: Interpolation,
        fill: [u8; 3],
        canvas: &mut Canvas,
    ) {
        let (width, height) = image.dimensions();
        let mut map = |map: Affine| canvas.map(image, map, sampling, fill);
        match self {
            Self::Rotate(degrees) => map(Affine::rotate(degrees, (width, height))),
            Self::ShearX(factor) => map(Affine::shear_x(factor)),
            Self::ShearY(factor) => map(Affine::shear_y(factor)),
            Self::TranslateX(share) => map(Affine::translate(share * f64::from(width), 0.0)),
            Self::TranslateY(share) => map(Affine::translate(0.0, share * f64::from(height))),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x * y % 251) as u8]))
    }

    fn check_identity(operation: Operation) {
        for sampling in [Interpolation::Bilinear, Interpolation::Bicubic] {
            let mut image = picture();
            operation.apply(&mut image, sampling, [9; 3], &mut Canvas::default());
            assert_eq!(image, picture(), "{operation:?}");
        }
    }

    /// Those that do something at magnitude 0 do so in timm: they have no strength, or keep 4 bits.
    #[test]
    fn the_weakest_change_nothing() {
        for kind in (0..KINDS).filter(|kind| ![0, 1, 2, 4].contains(kind)) {
            check_identity(Operation::of_kind(kind, 0.0, false));
            check_identity(Operation::of_kind(kind, 0.0, true));
        }
        check_identity(Operation::Posterize(8));
    }

    #[test]
    fn every_kind_changes_something_at_magnitude_9() {
        for kind in (0..KINDS).filter(|kind| *kind != 0) {
            let mut image = picture();
            let operation = Operation::of_kind(kind, 9.0, false);
            operation.apply(&mut image, Interpolation::Bicubic, [9; 3], &mut Canvas::default());
            assert_ne!(image, picture(), "{operation:?}");
        }
    }

    #[test]
    fn magnitudes_that_keep_nothing_are_possible() {
        let mut image = picture();
        let nothing_kept = Operation::of_kind(4, 10.0, false);
        nothing_kept.apply(&mut image, Interpolation::Bicubic, [9; 3], &mut Canvas::default());
        assert!(image.as_raw().iter().all(|byte| *byte == 0));
    }
}
