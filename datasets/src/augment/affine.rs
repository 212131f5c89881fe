//! Affine maps of images, sampled as Pillow's `Image.transform` does: RandAugment's magnitudes were tuned with it.
//!
//! Interpolation is not widened when an image shrinks, and results are cut to bytes, not rounded; both as in Pillow's
//! `Geometry.c`.

use image::RgbImage;

use crate::Interpolation;

/// From a place of the output to one of the input, in pixels: `x = a X + b Y + c`, `y = d X + e Y + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine([f64; 6]);

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
}

/// Pixels that an image goes on with beyond each edge, so that sixteen neighbours are always there.
const EDGE: usize = 2;

/// The channels of a pixel, the fourth unused: one register of numbers.
type Pixel = [f32; 4];

/// A copy of the image that is mapped, used again for the next.
#[derive(Default)]
pub(super) struct Canvas {
    pixels: Vec<Pixel>,
    stride: usize,
}

impl Canvas {
    /// Maps an image; `fill` comes in where nothing lies.
    pub fn map(
        &mut self,
        image: &mut RgbImage,
        map: Affine,
        sampling: Interpolation,
        fill: [u8; 3],
    ) {
        self.copy(image);
        match sampling {
            Interpolation::Bilinear => self.sample(image, map, linear, fill),
            Interpolation::Bicubic => self.sample(image, map, cubic, fill),
        }
    }

    /// Beyond its edges the image goes on with its last pixels.
    fn copy(&mut self, image: &RgbImage) {
        let (width, height) = (image.width() as usize, image.height() as usize);
        self.stride = width + 2 * EDGE;
        self.pixels.clear();
        self.pixels.reserve(self.stride * (height + 2 * EDGE));
        if width == 0 || height == 0 {
            return;
        }
        let raw = image.as_raw();
        for row in 0..height + 2 * EDGE {
            let row = row.saturating_sub(EDGE).min(height - 1);
            let bytes = &raw[3 * row * width..3 * (row + 1) * width];
            let pixel =
                |bytes: &[u8]| [f32::from(bytes[0]), f32::from(bytes[1]), f32::from(bytes[2]), 0.0];
            let (first, last) = (pixel(&bytes[..3]), pixel(&bytes[bytes.len() - 3..]));
            self.pixels.extend([first; EDGE]);
            self.pixels.extend(bytes.chunks_exact(3).map(pixel));
            self.pixels.extend([last; EDGE]);
        }
    }

    fn sample(
        &self,
        image: &mut RgbImage,
        Affine([a, b, c, d, e, f]): Affine,
        weights: impl Fn(f32) -> [f32; 4],
        fill: [u8; 3],
    ) {
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        let row_bytes = 3 * image.width() as usize;
        if row_bytes == 0 {
            return;
        }
        for (row, bytes) in image.chunks_exact_mut(row_bytes).enumerate() {
            let row = row as f64 + 0.5;
            for (column, pixel) in bytes.chunks_exact_mut(3).enumerate() {
                let column = column as f64 + 0.5;
                let (x, y) = (a * column + b * row + c, d * column + e * row + f);
                if !(0.0..width).contains(&x) || !(0.0..height).contains(&y) {
                    pixel.copy_from_slice(&fill);
                    continue;
                }
                // Half a pixel further, so that what is left of the first centre is not below zero.
                let (x, y) = (x + 0.5, y + 0.5);
                let (left, top) = (x as usize, y as usize);
                let across = weights((x - left as f64) as f32);
                let down = weights((y - top as f64) as f32);
                let value = self.weighted(left, top, across, down);
                pixel.copy_from_slice(&[value[0], value[1], value[2]].map(cut));
            }
        }
    }

    /// The sum over four columns and four rows, from one before the `left`-th of the image, less one.
    fn weighted(&self, left: usize, top: usize, across: [f32; 4], down: [f32; 4]) -> Pixel {
        let mut sum = [0.0; 4];
        for (at, down) in down.into_iter().enumerate() {
            let start = (top + at) * self.stride + left;
            let [one, two, three, four] = self.pixels[start..start + 4] else { return sum };
            for channel in 0..4 {
                let along = one[channel] * across[0]
                    + two[channel] * across[1]
                    + three[channel] * across[2]
                    + four[channel] * across[3];
                sum[channel] += along * down;
            }
        }
        sum
    }
}

/// As a cast of C's after clipping. The small addition undoes what single precision takes from whole numbers.
fn cut(value: f32) -> u8 {
    (value + 1e-3) as u8
}

/// Weights of four neighbours, for a place a fraction of the way between the second and the third.
fn linear(way: f32) -> [f32; 4] {
    [0.0, 1.0 - way, way, 0.0]
}

/// Cubic with a = -1.
fn cubic(way: f32) -> [f32; 4] {
    let (square, cube) = (way * way, way * way * way);
    [-way + 2.0 * square - cube, 1.0 - 2.0 * square + cube, way + square - cube, cube - square]
}
