//! From a picture of any size to the numbers a model takes.

use fast_image_resize as fir;
use image::RgbImage;
use image::imageops;
use serde::{Deserialize, Serialize};

use crate::{
    DatasetError,
    rgb_pixels::{pixels, pixels_mut},
};

/// Channels of every image.
pub(crate) const CHANNELS: usize = 3;

/// How a picture becomes a model's input: resized, cropped in the centre, scaled to `[0, 1]` and normalised.
///
/// Written unchecked, used checked: see [`check`](Self::check).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Side of the square input, in pixels.
    pub image_size: u32,
    /// Share of the short side that the crop keeps: the short side becomes `floor(image_size / crop_pct)`.
    pub crop_pct: f32,
    /// Mean of each channel, on the scale `[0, 1]`.
    pub mean: [f32; CHANNELS],
    /// Standard deviation of each channel, on the scale `[0, 1]`.
    pub std: [f32; CHANNELS],
    /// How pixels are interpolated.
    pub interpolation: Interpolation,
}

/// A filter for resizing. All are widened when shrinking, so that they do not alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Linear between neighbours.
    Bilinear,
    /// Cubic with a = -0.5.
    Bicubic,
}

impl Preprocess {
    /// Mean of ImageNet's channels.
    pub const IMAGENET_MEAN: [f32; CHANNELS] = [0.485, 0.456, 0.406];
    /// Standard deviation of ImageNet's channels.
    pub const IMAGENET_STD: [f32; CHANNELS] = [0.229, 0.224, 0.225];

    /// The usual evaluation of a ViT: ImageNet's mean and standard deviation, 90 % centre crop, bicubic.
    pub fn new(image_size: u32) -> Self {
        Self {
            image_size,
            crop_pct: 0.9,
            mean: Self::IMAGENET_MEAN,
            std: Self::IMAGENET_STD,
            interpolation: Interpolation::Bicubic,
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// When the size is 0 or above 8,192, the crop is not in (0, 1], or a statistic cannot normalise. A mean or
    /// standard deviation above 1 is refused, too: it was given on the scale of bytes.
    pub fn check(self) -> Result<CheckedPreprocess, DatasetError> {
        let of = "preprocessing";
        let wrong = |field, got: String, want| Err(DatasetError::Setting { of, field, got, want });
        if !(1..=8192).contains(&self.image_size) {
            return wrong("image size", self.image_size.to_string(), "from 1 to 8192 pixels");
        }
        if !(self.crop_pct > 0.01 && self.crop_pct <= 1.0) {
            return wrong("crop_pct", self.crop_pct.to_string(), "above 0.01 and at most 1");
        }
        if !self.mean.iter().all(|mean| (0.0..=1.0).contains(mean)) {
            return wrong("mean", format!("{:?}", self.mean), "from 0 to 1 in every channel");
        }
        if !self.std.iter().all(|std| *std > 0.0 && *std <= 1.0) {
            return wrong(
                "std",
                format!("{:?}", self.std),
                "above 0 and at most 1 in every channel",
            );
        }
        Ok(CheckedPreprocess(self))
    }
}

/// A [`Preprocess`] whose settings were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedPreprocess(Preprocess);

impl CheckedPreprocess {
    /// The settings.
    pub fn settings(&self) -> &Preprocess {
        &self.0
    }

    /// Number of values in one image: channels x height x width.
    pub fn values(&self) -> usize {
        CHANNELS * (self.0.image_size as usize).pow(2)
    }

    /// Resizes so that the short side is `floor(image_size / crop_pct)`, and cuts the centre out.
    ///
    /// An image that has the wanted size already is returned as it is, whatever `crop_pct` says: CIFAR-10 at 32.
    ///
    /// # Errors
    /// When the image has no pixels, or is so narrow that its long side would exceed 65,535 pixels.
    pub fn fit(&self, image: RgbImage) -> Result<RgbImage, DatasetError> {
        let size = self.0.image_size;
        let (width, height) = image.dimensions();
        if (width, height) == (size, size) {
            return Ok(image);
        }
        let short = short_side(size, self.0.crop_pct);
        let (width, height) = scaled_size((width, height), short)?;
        let resized = self.resize(image, width, height)?;
        // The centre of an odd margin is rounded to even, as torchvision's CenterCrop does.
        let offset = |length: u32| (f64::from(length - size) / 2.0).round_ties_even() as u32;
        Ok(imageops::crop_imm(&resized, offset(width), offset(height), size, size).to_image())
    }

    /// Writes an image of the wanted size as normalised numbers.
    ///
    /// # Shapes
    /// - image: `image_size` x `image_size` pixels
    /// - pixels: `[3, image_size, image_size]`
    ///
    /// # Errors
    /// When the image or the buffer has another size.
    pub fn normalize(&self, image: &RgbImage, pixels: &mut [f32]) -> Result<(), DatasetError> {
        let size = self.0.image_size;
        if image.dimensions() != (size, size) {
            return Err(DatasetError::ImageSize {
                place: "normalisation",
                got: image.dimensions(),
                want: format!("{size} x {size}"),
            });
        }
        if pixels.len() != self.values() {
            return Err(DatasetError::PixelBuffer { got: pixels.len(), want: self.values() });
        }
        let tables: [[f32; 256]; CHANNELS] = std::array::from_fn(|channel| {
            let (mean, std) = (self.0.mean[channel], self.0.std[channel]);
            std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std)
        });
        for (plane, (channel, table)) in
            pixels.chunks_exact_mut(self.values() / CHANNELS).zip(tables.iter().enumerate())
        {
            for (pixel, bytes) in plane.iter_mut().zip(image.chunks_exact(CHANNELS)) {
                *pixel = table[usize::from(bytes[channel])];
            }
        }
        Ok(())
    }

    /// The bytes that normalised numbers came from; numbers beyond theirs become 0 or 255.
    ///
    /// # Shapes
    /// - pixels: `[3, image_size, image_size]`
    ///
    /// # Errors
    /// When there are more or fewer numbers.
    pub fn denormalize(&self, pixels: &[f32]) -> Result<RgbImage, DatasetError> {
        if pixels.len() != self.values() {
            return Err(DatasetError::PixelBuffer { got: pixels.len(), want: self.values() });
        }
        let mut image = RgbImage::new(self.0.image_size, self.0.image_size);
        for (channel, plane) in pixels.chunks_exact(self.values() / CHANNELS).enumerate() {
            let (mean, std) = (self.0.mean[channel], self.0.std[channel]);
            for (pixel, bytes) in plane.iter().zip(image.chunks_exact_mut(CHANNELS)) {
                bytes[channel] = ((pixel * std + mean) * 255.0).round() as u8;
            }
        }
        Ok(image)
    }

    /// As the settings' filter resizes.
    pub(crate) fn options(&self) -> fir::ResizeOptions {
        let filter = match self.0.interpolation {
            Interpolation::Bilinear => fir::FilterType::Bilinear,
            Interpolation::Bicubic => fir::FilterType::CatmullRom,
        };
        fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter))
    }

    fn resize(&self, image: RgbImage, width: u32, height: u32) -> Result<RgbImage, DatasetError> {
        if image.dimensions() == (width, height) {
            return Ok(image);
        }
        let mut resized = RgbImage::new(width, height);
        let (from, to) = (pixels(&image), &mut pixels_mut(&mut resized));
        let done = fir::Resizer::new().resize_typed(&from, to, &self.options());
        done.map_err(|error| DatasetError::ImageSize {
            place: "resizing",
            got: image.dimensions(),
            want: format!("a picture that can be resized ({error})"),
        })?;
        Ok(resized)
    }
}

/// `floor(image_size / crop_pct)`, of the share as it is written: the f32 nearest to 0.8 is a little more, which would
/// make 279 pixels of 224 instead of 280.
fn short_side(image_size: u32, crop_pct: f32) -> u32 {
    let crop_pct: f64 = crop_pct.to_string().parse().expect("numbers are written as such");
    (f64::from(image_size) / crop_pct).floor() as u32
}

/// Width and height after the short side became `short`; the long side is rounded down.
fn scaled_size((width, height): (u32, u32), short: u32) -> Result<(u32, u32), DatasetError> {
    let refuse = |want: &str| {
        let got = (width, height);
        Err(DatasetError::ImageSize { place: "resizing", got, want: want.to_owned() })
    };
    if width == 0 || height == 0 {
        return refuse("at least one pixel");
    }
    let long = u64::from(short) * u64::from(width.max(height)) / u64::from(width.min(height));
    match u16::try_from(long) {
        Ok(long) if width <= height => Ok((short, long.into())),
        Ok(long) => Ok((long.into(), short)),
        Err(_) => refuse("a shape less narrow"),
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// A picture of 9 x 7 pixels without symmetry.
    fn picture() -> RgbImage {
        RgbImage::from_fn(9, 7, |x, y| {
            let red = (x * 29 + y * 53) % 256;
            let green = (x * x * 7 + y * 11) % 256;
            let blue = 255 - x * y * 5;
            Rgb([red as u8, green as u8, blue as u8])
        })
    }

    fn uncropped(image_size: u32, interpolation: Interpolation) -> CheckedPreprocess {
        let settings = Preprocess { crop_pct: 1.0, interpolation, ..Preprocess::new(image_size) };
        settings.check().expect("the settings are valid")
    }

    /// Fits the picture and compares its first pixels with what Pillow 12 resizes them to.
    fn check_against_pillow(image_size: u32, interpolation: Interpolation, want: &[u8]) {
        let fitted =
            uncropped(image_size, interpolation).fit(picture()).expect("the picture has pixels");
        for (got, want) in fitted.as_raw().iter().zip(want) {
            assert!(got.abs_diff(*want) <= 1, "{:?} against {want:?}", fitted.as_raw());
        }
    }

    #[test]
    fn shrinking_bicubic_is_pillows() {
        let rows = [
            [34, 6, 254, 83, 37, 251, 147, 124, 247, 179, 146, 243],
            [129, 25, 251, 185, 56, 232, 181, 146, 213, 103, 84, 194],
            [176, 45, 246, 108, 76, 213, 72, 166, 177, 114, 109, 140],
            [51, 64, 243, 94, 95, 194, 157, 185, 143, 190, 133, 92],
        ];
        check_against_pillow(4, Interpolation::Bicubic, &rows.concat());
    }

    #[test]
    fn enlarging_bicubic_is_pillows() {
        let row = [28, 8, 255, 47, 20, 255, 65, 39, 255, 84, 64, 255, 103, 94, 255, 121, 130, 255];
        check_against_pillow(11, Interpolation::Bicubic, &row);
    }

    #[test]
    fn shrinking_bilinear_is_pillows() {
        let row = [45, 11, 253, 90, 41, 249, 144, 121, 245, 169, 142, 240, 127, 28, 249];
        check_against_pillow(4, Interpolation::Bilinear, &row);
    }

    #[test]
    fn an_image_of_the_right_size_is_left_alone() {
        let image = RgbImage::from_fn(32, 32, |x, y| Rgb([x as u8, y as u8, 7]));
        let fitted = Preprocess::new(32).check().and_then(|checked| checked.fit(image.clone()));
        assert_eq!(fitted.expect("the settings are valid"), image);
    }

    #[test]
    fn crop_pct_keeps_the_centre() {
        // The short side, 40, becomes floor(20 / 0.5), so that nothing is resized, only cut.
        let image = RgbImage::from_fn(60, 40, |x, y| Rgb([x as u8, y as u8, 0]));
        let settings = Preprocess { crop_pct: 0.5, ..Preprocess::new(20) };
        let fitted = settings.check().and_then(|checked| checked.fit(image));
        let fitted = fitted.expect("the settings are valid");
        assert_eq!(fitted.get_pixel(0, 0).0, [20, 10, 0]);
        assert_eq!(fitted.get_pixel(19, 19).0, [39, 29, 0]);
    }

    /// As timm computes it, in f64.
    #[test]
    fn the_short_side_is_that_of_the_share_as_written() {
        for (image_size, crop_pct, want) in [
            (224, 0.8, 280),
            (256, 0.8, 320),
            (272, 0.85, 320),
            (240, 0.6, 400),
            (224, 0.9, 248),
            (224, 0.875, 256),
            (518, 1.0, 518),
        ] {
            assert_eq!(short_side(image_size, crop_pct), want, "{image_size} / {crop_pct}");
        }
    }

    fn check_scaled(size: (u32, u32), short: u32, want: (u32, u32)) {
        assert_eq!(scaled_size(size, short).expect("the size is ordinary"), want);
    }

    #[test]
    fn the_short_side_is_scaled_and_the_long_one_follows() {
        check_scaled((500, 375), 256, (341, 256));
        check_scaled((375, 500), 256, (256, 341));
        check_scaled((32, 32), 248, (248, 248));
    }

    #[test]
    fn pixels_are_normalised_by_channel() {
        let image = RgbImage::from_fn(1, 2, |_, y| Rgb([255, 0, 51 * y as u8]));
        let settings =
            Preprocess { mean: [0.5, 0.25, 0.0], std: [0.5, 0.5, 0.1], ..Preprocess::new(1) };
        let checked = settings.check().expect("the settings are valid");
        let mut pixels = [0.0; 3];
        let top = imageops::crop_imm(&image, 0, 1, 1, 1).to_image();
        checked.normalize(&top, &mut pixels).expect("the image has the wanted size");
        assert_eq!(pixels, [1.0, -0.5, 2.0]);
    }

    #[test]
    fn normalised_pixels_come_back() {
        let image = RgbImage::from_fn(16, 16, |x, y| Rgb([(x + 16 * y) as u8, x as u8, y as u8]));
        let checked = uncropped(16, Interpolation::Bicubic);
        let mut pixels = [0.0; 3 * 256];
        checked.normalize(&image, &mut pixels).expect("the image has the wanted size");
        assert_eq!(checked.denormalize(&pixels).ok(), Some(image));
        let error = checked.denormalize(&pixels[1..]).err();
        assert!(matches!(error, Some(DatasetError::PixelBuffer { got: 767, want: 768 })));
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let checked = uncropped(4, Interpolation::Bicubic);
        let error = checked.normalize(&RgbImage::new(4, 5), &mut [0.0; 48]).err();
        assert!(matches!(error, Some(DatasetError::ImageSize { got: (4, 5), .. })));
        let error = checked.normalize(&RgbImage::new(4, 4), &mut [0.0; 47]).err();
        assert!(matches!(error, Some(DatasetError::PixelBuffer { got: 47, want: 48 })));
    }

    #[test]
    fn images_that_cannot_be_resized_are_refused() {
        let checked = uncropped(224, Interpolation::Bicubic);
        for image in [RgbImage::new(0, 0), RgbImage::new(0, 5), RgbImage::new(1, 300)] {
            let size = image.dimensions();
            let error = checked.fit(image).expect_err("it is empty or too narrow");
            assert!(matches!(error, DatasetError::ImageSize { got, .. } if got == size), "{error}");
        }
    }

    fn check_refused(change: impl FnOnce(&mut Preprocess), field: &str) {
        let mut settings = Preprocess::new(32);
        change(&mut settings);
        let error = settings.check().expect_err("the setting makes no sense");
        assert!(
            error.to_string().starts_with(&format!("preprocessing: {field} must be")),
            "{error}"
        );
    }

    #[test]
    fn settings_without_sense_are_refused() {
        check_refused(|settings| settings.image_size = 0, "image size");
        check_refused(|settings| settings.image_size = 10_000, "image size");
        check_refused(|settings| settings.crop_pct = 0.0, "crop_pct");
        check_refused(|settings| settings.crop_pct = f32::NAN, "crop_pct");
        check_refused(|settings| settings.mean[1] = f32::NAN, "mean");
        check_refused(|settings| settings.std[2] = 0.0, "std");
    }

    #[test]
    fn statistics_on_the_scale_of_bytes_are_refused() {
        check_refused(|settings| settings.mean = [123.7, 116.3, 103.5], "mean");
        check_refused(|settings| settings.std = [58.4, 57.1, 57.4], "std");
    }
}
