//! From an image file to upright RGB.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::error::{DecodingError, ImageFormatHint};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use crate::DatasetError;

/// Decodes a file by what it holds. Grey, palette, CMYK and 16-bit pixels become RGB of eight bits, transparency is
/// dropped, and the image is turned as EXIF says.
///
/// # Errors
/// When the file cannot be read, is no image, is truncated, or would take more memory than any photograph; the path is
/// in the message.
pub(crate) fn decode(path: &Path) -> Result<RgbImage, DatasetError> {
    let bytes = fs::read(path).map_err(DatasetError::io("read", path))?;
    upright(&bytes).map_err(|source| DatasetError::BadImage { path: path.to_owned(), source })
}

fn upright(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_has_end(bytes) {
        let format = ImageFormatHint::Exact(ImageFormat::Jpeg);
        let error = DecodingError::new(format, "the file is truncated");
        return Err(ImageError::Decoding(error));
    }
    let mut decoder = reader.into_decoder()?;
    Limits::default().reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

/// Whether the marker of a JPEG's end comes after its pixels. The decoder fills up with grey what is missing.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const END: [u8; 2] = [0xff, 0xd9];
    const SCAN: u8 = 0xda;
    // Segments before the pixels are skipped by their lengths: one of them may hold a thumbnail with an end of its own.
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        match rest {
            [0xff, 0xff, ..] => rest = &rest[1..],
            [0xff, SCAN, pixels @ ..] => {
                return pixels.windows(2).rposition(|pair| pair == END).is_some();
            }
            [0xff, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(2 + length.max(2)..).unwrap_or_default();
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::TempFolder;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../fixtures/images/", $name)).as_slice()
        };
    }

    fn decoded(bytes: &[u8]) -> Result<RgbImage, DatasetError> {
        // The name says nothing of what the file holds.
        let folder = TempFolder::with([("image", bytes)]);
        decode(&folder.path().join("image"))
    }

    /// The corners, in reading order, are of these colours within what JPEG changes.
    fn check(bytes: &[u8], size: (u32, u32), corners: [[u8; 3]; 4]) {
        let image = decoded(bytes).expect("the image is good");
        assert_eq!(image.dimensions(), size);
        let (right, bottom) = (size.0 - 1, size.1 - 1);
        for ((x, y), want) in
            [(0, 0), (right, 0), (0, bottom), (right, bottom)].into_iter().zip(corners)
        {
            let found = image.get_pixel(x, y).0;
            let far = found.iter().zip(want).any(|(found, want)| found.abs_diff(want) > 6);
            assert!(!far, "at {x}, {y}: {found:?}, wanted {want:?}");
        }
    }

    const RED: [u8; 3] = [255, 0, 0];
    const GREEN: [u8; 3] = [0, 255, 0];
    const BLUE: [u8; 3] = [0, 0, 255];
    const WHITE: [u8; 3] = [255; 3];

    #[test]
    fn cmyk_becomes_rgb() {
        check(fixture!("cmyk.jpg"), (48, 32), [RED, GREEN, BLUE, WHITE]);
        check(fixture!("cmyk.tif"), (48, 32), [RED, GREEN, BLUE, WHITE]);
    }

    #[test]
    fn grey_becomes_rgb() {
        let corners = [[0; 3], [80; 3], [160; 3], [255; 3]];
        check(fixture!("grey.jpg"), (48, 32), corners);
        check(fixture!("grey.png"), (48, 32), corners);
        check(fixture!("grey16.png"), (48, 32), corners);
        check(fixture!("black_and_white.png"), (48, 32), [[0; 3], WHITE, WHITE, [0; 3]]);
    }

    #[test]
    fn a_palette_becomes_rgb() {
        check(fixture!("palette.png"), (48, 32), [RED, GREEN, BLUE, WHITE]);
        check(fixture!("palette.gif"), (48, 32), [RED, GREEN, BLUE, WHITE]);
    }

    #[test]
    fn transparency_is_dropped() {
        check(fixture!("rgba.png"), (48, 32), [RED, GREEN, BLUE, WHITE]);
        check(fixture!("grey_alpha.png"), (48, 32), [[0; 3], [80; 3], [160; 3], [255; 3]]);
    }

    #[test]
    fn every_orientation_of_exif_is_turned_upright() {
        for bytes in [
            fixture!("orientation_1.jpg"),
            fixture!("orientation_2.jpg"),
            fixture!("orientation_3.jpg"),
            fixture!("orientation_4.jpg"),
            fixture!("orientation_5.jpg"),
            fixture!("orientation_6.jpg"),
            fixture!("orientation_7.jpg"),
            fixture!("orientation_8.jpg"),
            fixture!("orientation_6.png"),
            fixture!("orientation_6.webp"),
        ] {
            check(bytes, (48, 32), [RED, GREEN, BLUE, WHITE]);
        }
    }

    #[test]
    fn a_progressive_jpeg_with_a_thumbnail_is_read() {
        check(fixture!("thumbnail.jpg"), (48, 32), [RED, GREEN, BLUE, WHITE]);
    }

    fn refused(bytes: &[u8]) {
        let error = decoded(bytes).expect_err("the file is damaged");
        assert!(matches!(&error, DatasetError::BadImage { .. }), "{error}");
        assert!(error.to_string().ends_with("image"), "{error}");
    }

    #[test]
    fn truncated_files_are_refused() {
        for whole in [
            fixture!("cmyk.jpg"),
            fixture!("thumbnail.jpg"),
            fixture!("palette.png"),
            fixture!("palette.gif"),
            fixture!("cmyk.tif"),
            fixture!("orientation_6.webp"),
        ] {
            for length in [0, 1, 20, whole.len() / 2, whole.len() * 3 / 4] {
                refused(&whole[..length]);
            }
        }
        let jpeg = fixture!("orientation_1.jpg");
        refused(&jpeg[..jpeg.len() - 2]);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        refused(b"");
        refused(b"text");
        refused(&[0xff, 0xd8, 0xff, 0xff, 0xff]);
    }

    /// A header of 60,000 x 60,000 pixels asks for 10 GB.
    #[test]
    fn images_beyond_all_memory_are_refused() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 60_000, 60_000);
        encoder.set_color(png::ColorType::Rgb);
        drop(encoder.write_header().expect("memory can be written to"));
        refused(&bytes);
    }
}
