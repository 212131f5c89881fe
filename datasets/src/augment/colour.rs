//! Changes of colour, as Pillow's `ImageOps` and `ImageEnhance` make them.

use image::RgbImage;

/// What each value of a channel becomes.
type Table = [u8; 256];

/// Applies a table to each channel.
fn map(image: &mut RgbImage, [red, green, blue]: &[Table; 3]) {
    for pixel in image.chunks_exact_mut(3) {
        pixel[0] = red[usize::from(pixel[0])];
        pixel[1] = green[usize::from(pixel[1])];
        pixel[2] = blue[usize::from(pixel[2])];
    }
}

/// The same for all channels.
fn map_all(image: &mut RgbImage, value: impl Fn(u8) -> u8) {
    let table: Table = std::array::from_fn(|byte| value(byte as u8));
    map(image, &[table; 3]);
}

/// How often each value occurs in each channel.
fn histograms(image: &RgbImage) -> [[u32; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for pixel in image.chunks_exact(3) {
        for (counts, value) in counts.iter_mut().zip(pixel) {
            counts[usize::from(*value)] += 1;
        }
    }
    counts
}

/// Stretches each channel to the whole range.
pub(super) fn auto_contrast(image: &mut RgbImage) {
    let tables = histograms(image).map(|counts| {
        let present = |count: &u32| *count > 0;
        let low = counts.iter().position(present).unwrap_or(0);
        let high = counts.iter().rposition(present).unwrap_or(0);
        std::array::from_fn(|byte| match high > low {
            true => {
                let scale = 255.0 / (high - low) as f64;
                (byte as f64 * scale - low as f64 * scale) as u8
            }
            false => byte as u8,
        })
    });
    map(image, &tables);
}

/// Makes all values of each channel about equally frequent.
pub(super) fn equalize(image: &mut RgbImage) {
    let tables = histograms(image).map(|counts| {
        let last = counts.iter().rfind(|count| **count > 0).copied().unwrap_or(0);
        let step = (counts.iter().sum::<u32>() - last) / 255;
        let mut before = step / 2;
        std::array::from_fn(|byte| {
            let value = before.checked_div(step).map_or(byte as u32, |value| value.min(255));
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
    let mask = !(0xff_u16 >> bits.min(8)) as u8;
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
fn luma(pixel: &[u8]) -> u8 {
    let sum =
        u32::from(pixel[0]) * 19_595 + u32::from(pixel[1]) * 38_470 + u32::from(pixel[2]) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// From `from` (0) by way of `to` (1) and beyond, cut to bytes.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    (from + factor * (to - from)) as u8
}

/// Away from grey (0); 1 is the image itself.
pub(super) fn colour(image: &mut RgbImage, factor: f64) {
    for pixel in image.chunks_exact_mut(3) {
        let grey = luma(pixel);
        for value in pixel {
            *value = blend(grey, *value, factor as f32);
        }
    }
}

/// Away from the mean grey of the whole (0); 1 is the image itself.
pub(super) fn contrast(image: &mut RgbImage, factor: f64) {
    let sum: u64 = image.chunks_exact(3).map(|pixel| u64::from(luma(pixel))).sum();
    let pixels = image.pixels().len().max(1) as f64;
    let mean = (sum as f64 / pixels + 0.5) as u8;
    map_all(image, |value| blend(mean, value, factor as f32));
}

/// Away from black (0); 1 is the image itself.
pub(super) fn brightness(image: &mut RgbImage, factor: f64) {
    map_all(image, |value| blend(0, value, factor as f32));
}

/// Away from a smoothed image (0); 1 is the image itself. The outermost pixels are not smoothed.
pub(super) fn sharpness(image: &mut RgbImage, factor: f64) {
    let (width, height) = (3 * image.width() as usize, image.height() as usize);
    if width < 9 || height < 3 {
        return;
    }
    let before = image.as_raw().clone();
    for row in 1..height - 1 {
        let line = |row: usize| &before[row * width..(row + 1) * width];
        let (above, here, below) = (line(row - 1), line(row), line(row + 1));
        let changed =
            &mut image.as_flat_samples_mut().samples[row * width + 3..(row + 1) * width - 3];
        for (at, value) in changed.iter_mut().enumerate() {
            // Neighbours of the same channel are three bytes apart; the centre counts five times.
            let column = |line: &[u8]| {
                u16::from(line[at]) + u16::from(line[at + 3]) + u16::from(line[at + 6])
            };
            let centre = here[at + 3];
            let sum = column(above) + column(here) + column(below) + 4 * u16::from(centre);
            *value = blend(((2 * sum + 13) / 26) as u8, centre, factor as f32);
        }
    }
}
