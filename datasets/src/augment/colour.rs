//! Changes of colour, as Pillow's `ImageOps` and `ImageEnhance` make them.

use image::{Rgb, RgbImage};

/// Applies a table of 256 values to each channel.
fn map(image: &mut RgbImage, tables: &[[u8; 256]; 3]) {
    for pixel in image.pixels_mut() {
        for (value, table) in pixel.0.iter_mut().zip(tables) {
            *value = table[usize::from(*value)];
        }
    }
}

/// The same table for all channels.
fn map_all(image: &mut RgbImage, value: impl Fn(u8) -> u8) {
    let table = std::array::from_fn(|byte| value(byte as u8));
    map(image, &[table; 3]);
}

/// How often each value occurs in each channel.
fn histograms(image: &RgbImage) -> [[u64; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for pixel in image.pixels() {
        for (value, counts) in pixel.0.iter().zip(&mut counts) {
            counts[usize::from(*value)] += 1;
        }
    }
    counts
}

/// Stretches each channel to the whole range.
pub(super) fn auto_contrast(image: &mut RgbImage) {
    let tables = histograms(image).map(|counts| {
        let present = |count: &u64| *count > 0;
        let low = counts.iter().position(present).unwrap_or(0);
        let high = counts.iter().rposition(present).unwrap_or(0);
        let scale = 255.0 / (high.max(low + 1) - low) as f64;
        std::array::from_fn(|byte| match high > low {
            true => (byte as f64 * scale - low as f64 * scale).clamp(0.0, 255.0) as u8,
            false => byte as u8,
        })
    });
    map(image, &tables);
}

/// Makes all values of each channel about equally frequent.
pub(super) fn equalize(image: &mut RgbImage) {
    let tables = histograms(image).map(|counts| {
        let last = counts.iter().rposition(|count| *count > 0).map_or(0, |last| counts[last]);
        let step = (counts.iter().sum::<u64>() - last) / 255;
        let mut before = step / 2;
        std::array::from_fn(|byte| {
            let value = before.checked_div(step).map_or(byte as u64, |value| value.min(255));
            before += counts[byte];
            value as u8
        })
    });
    map(image, &tables);
}

/// Turns each value round.
pub(super) fn invert(image: &mut RgbImage) {
    map_all(image, |value| 255 - value);
}

/// Keeps the upper bits, 0 to 8 of them.
pub(super) fn posterize(image: &mut RgbImage, bits: u32) {
    let mask = !(0xff_u16 >> bits) as u8;
    map_all(image, |value| value & mask);
}

/// Turns round the values from a threshold on.
pub(super) fn solarize(image: &mut RgbImage, threshold: u16) {
    map_all(image, |value| if u16::from(value) < threshold { value } else { 255 - value });
}

/// Adds to the values below 128.
pub(super) fn solarize_add(image: &mut RgbImage, add: u8) {
    map_all(image, |value| if value < 128 { value.saturating_add(add) } else { value });
}

/// Brightness as ITU-R 601 weighs it, in Pillow's integers.
fn luma(Rgb([red, green, blue]): &Rgb<u8>) -> u8 {
    let sum = u32::from(*red) * 19_595 + u32::from(*green) * 38_470 + u32::from(*blue) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// From `from` (0) by way of `to` (1) and beyond, cut to bytes.
fn blend(from: u8, to: u8, factor: f64) -> u8 {
    let (from, to) = (f64::from(from), f64::from(to));
    (from + factor * (to - from)).clamp(0.0, 255.0) as u8
}

/// Away from grey (0); 1 is the image itself.
pub(super) fn colour(image: &mut RgbImage, factor: f64) {
    for pixel in image.pixels_mut() {
        let grey = luma(pixel);
        pixel.0 = pixel.0.map(|value| blend(grey, value, factor));
    }
}

/// Away from the mean grey of the whole (0); 1 is the image itself.
pub(super) fn contrast(image: &mut RgbImage, factor: f64) {
    let sum: u64 = image.pixels().map(|pixel| u64::from(luma(pixel))).sum();
    let pixels = image.pixels().len().max(1) as f64;
    let mean = (sum as f64 / pixels + 0.5) as u8;
    map_all(image, |value| blend(mean, value, factor));
}

/// Away from black (0); 1 is the image itself.
pub(super) fn brightness(image: &mut RgbImage, factor: f64) {
    map_all(image, |value| blend(0, value, factor));
}

/// Away from a smoothed image (0); 1 is the image itself. The outermost pixels are not smoothed.
pub(super) fn sharpness(image: &mut RgbImage, factor: f64) {
    let (width, height) = image.dimensions();
    let before = image.clone();
    for row in 1..height.saturating_sub(1) {
        for column in 1..width.saturating_sub(1) {
            let centre = before.get_pixel(column, row).0;
            let mut sums = centre.map(|value| 4 * u32::from(value));
            for near_row in row - 1..=row + 1 {
                for near_column in column - 1..=column + 1 {
                    let near = before.get_pixel(near_column, near_row).0;
                    sums.iter_mut().zip(near).for_each(|(sum, value)| *sum += u32::from(value));
                }
            }
            let smooth = sums.map(|sum| (f64::from(sum) / 13.0 + 0.5) as u8);
            let pixel = image.get_pixel_mut(column, row);
            pixel.0 = std::array::from_fn(|channel| blend(smooth[channel], centre[channel], factor));
        }
    }
}
