//! A random part of an image, brought to the input's size.
//!
//! Source: Szegedy et al., "Going deeper with convolutions", 2015, <https://arxiv.org/abs/1409.4842>, in the form of
//! torchvision's `RandomResizedCrop`.

use rand::{Rng, RngExt};

/// Share of the image's area that a part has, and the range of its width over its height.
const AREA: std::ops::RangeInclusive<f64> = 0.08..=1.0;
const ASPECT: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// Draws before the centre is taken.
const TRIES: usize = 10;

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Columns left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

impl Part {
    /// A part of random area and shape at a random place; where none of ten fits, the largest central one of a shape
    /// in range.
    pub(super) fn draw(rng: &mut impl Rng, (width, height): (u32, u32)) -> Self {
        let (low, high) = ASPECT;
        for _ in 0..TRIES {
            let area = f64::from(width) * f64::from(height) * rng.random_range(AREA);
            let aspect = rng.random_range(low.ln()..=high.ln()).exp();
            let part_width = (area * aspect).sqrt().round() as u32;
            let part_height = (area / aspect).sqrt().round() as u32;
            if (1..=width).contains(&part_width) && (1..=height).contains(&part_height) {
                let top = rng.random_range(0..=height - part_height);
                let left = rng.random_range(0..=width - part_width);
                return Self { left, top, width: part_width, height: part_height };
            }
        }
        Self::central((width, height))
    }

    fn central((width, height): (u32, u32)) -> Self {
        let (low, high) = ASPECT;
        let aspect = f64::from(width) / f64::from(height);
        let (part_width, part_height) = if aspect < low {
            (width, (f64::from(width) / low).round() as u32)
        } else if aspect > high {
            ((f64::from(height) * high).round() as u32, height)
        } else {
            (width, height)
        };
        let (part_width, part_height) = (part_width.clamp(1, width), part_height.clamp(1, height));
        let (left, top) = ((width - part_width) / 2, (height - part_height) / 2);
        Self { left, top, width: part_width, height: part_height }
    }
}
