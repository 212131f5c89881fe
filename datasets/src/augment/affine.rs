//! Affine maps of images, sampled as Pillow's `Image.transform` does: RandAugment's magnitudes were tuned with it.
//!
//! Interpolation is not widened when an image shrinks, and results are cut to bytes, not rounded; both as in Pillow's
//! `Geometry.c`.

use image::{Rgb, RgbImage};

use crate::Interpolation;

/// From a place of the output to one of the input, in pixels: `x = a X + b Y + c`, `y = d X + e Y + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [f64; 6]);

impl Affine {
    /// Each row moves by `factor` pixels for each pixel below the top.
    pub fn shear_x(factor: f64) -> Self {
        Self([1.0, factor, 0.0, 0.0, 1.0, 0.0])
    }

    /// Each column moves by `factor` pixels for each pixel from the left.
    pub fn shear_y(factor: f64) -> Self {
        Self([1.0, 0.0, 0.0, factor, 1.0, 0.0])
    }

    /// What lies `right` and `down` pixels away comes here.
    pub fn translate(right: f64, down: f64) -> Self {
        Self([1.0, 0.0, right, 0.0, 1.0, down])
    }

    /// Counter-clockwise about the centre of an image of that size.
    pub fn rotate(degrees: f64, (width, height): (u32, u32)) -> Self {
        let (sin, cos) = (-degrees.to_radians()).sin_cos();
        let (x, y) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
        Self([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y])
    }

    /// The image under this map; `fill` where nothing comes from.
    pub fn apply(&self, image: &RgbImage, sampling: Interpolation, fill: Rgb<u8>) -> RgbImage {
        let [a, b, c, d, e, f] = self.0;
        let (width, height) = image.dimensions();
        RgbImage::from_fn(width, height, |column, row| {
            let (column, row) = (f64::from(column) + 0.5, f64::from(row) + 0.5);
            let (x, y) = (a * column + b * row + c, d * column + e * row + f);
            if !(0.0..f64::from(width)).contains(&x) || !(0.0..f64::from(height)).contains(&y) {
                return fill;
            }
            match sampling {
                Interpolation::Bilinear => sample(image, x - 0.5, y - 0.5, linear),
                Interpolation::Bicubic => sample(image, x - 0.5, y - 0.5, cubic),
            }
        })
    }
}

/// The value at a fraction of the way between the second and the third of four neighbours.
type Between = fn([f64; 4], f64) -> f64;

fn linear([_, left, right, _]: [f64; 4], way: f64) -> f64 {
    left + (right - left) * way
}

/// Cubic with a = -1.
fn cubic([before, left, right, after]: [f64; 4], way: f64) -> f64 {
    let (first, second) = (right - before, 2.0 * (before - left) + right - after);
    let third = left - before - right + after;
    left + way * (first + way * (second + way * third))
}

/// Beyond its edges an image goes on with its last pixels.
fn sample(image: &RgbImage, x: f64, y: f64, between: Between) -> Rgb<u8> {
    let (column, row) = (x.floor(), y.floor());
    let within = |place: f64, side: u32| place.clamp(0.0, f64::from(side - 1)) as u32;
    let columns = [-1.0, 0.0, 1.0, 2.0].map(|step| within(column + step, image.width()));
    let rows = [-1.0, 0.0, 1.0, 2.0].map(|step| within(row + step, image.height()));
    Rgb([0, 1, 2].map(|channel| {
        let value = |column: u32, row: u32| f64::from(image.get_pixel(column, row).0[channel]);
        let along = rows.map(|row| between(columns.map(|column| value(column, row)), x - column));
        // As a cast of C's after its clipping.
        between(along, y - row).clamp(0.0, 255.0) as u8
    }))
}
