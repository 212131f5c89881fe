//! From a picture of any size to the numbers a model takes.

use fast_image_resize as fir;
use image::RgbImage;
use image::imageops;
use serde::{Deserialize, Serialize};

use crate::DatasetError;

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
        let wrong = |field, got: String, want| Err(DatasetError::Preprocess { field, got, want });
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
        let short = (f64::from(size) / f64::from(self.0.crop_pct)).floor() as u32;
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
        let planes = pixels.chunks_exact_mut(image.as_raw().len() / CHANNELS);
        for (channel, plane) in planes.enumerate() {
            let (mean, std) = (self.0.mean[channel], self.0.std[channel]);
            let bytes = image.as_raw().iter().skip(channel).step_by(CHANNELS);
            for (pixel, byte) in plane.iter_mut().zip(bytes) {
                *pixel = (f32::from(*byte) / 255.0 - mean) / std;
            }
        }
        Ok(())
    }

    fn resize(&self, image: RgbImage, width: u32, height: u32) -> Result<RgbImage, DatasetError> {
        if image.dimensions() == (width, height) {
            return Ok(image);
        }
        let filter = match self.0.interpolation {
            Interpolation::Bilinear => fir::FilterType::Bilinear,
            Interpolation::Bicubic => fir::FilterType::CatmullRom,
        };
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));
        let mut resized = RgbImage::new(width, height);
        fir::Resizer::new().resize(&image, &mut resized, &options).map_err(|error| {
            DatasetError::ImageSize {
                place: "resizing",
                got: image.dimensions(),
                want: format!("a picture that can be resized ({error})"),
            }
        })?;
        Ok(resized)
    }
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
