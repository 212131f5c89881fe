//! A part of an image, brought to the input's size.

use fast_image_resize::{
    self as fir,
    images::{TypedCroppedImage, TypedImage},
    pixels::U8x3,
};
use image::RgbImage;

use crate::preprocess::CHANNELS;
use crate::rgb_pixels::{pixels, pixels_mut};
use crate::{CheckedPreprocess, DatasetError, Region};

/// Memory for resizing that is used again for the next image.
#[derive(Default)]
pub(crate) struct Resizer {
    resizer: fir::Resizer,
    narrowed: Vec<u8>,
}

impl CheckedPreprocess {
    /// Brings a part of an image to the wanted size; what lies around it has no influence.
    ///
    /// First to its width, then to its height, as Pillow does: bytes are cut off in between, so that the other order
    /// differs by some levels where there are sharp edges.
    ///
    /// # Errors
    /// When the part is empty or not in the image.
    pub(crate) fn resize_region(
        &self,
        image: &RgbImage,
        region: Region,
        Resizer { resizer, narrowed }: &mut Resizer,
    ) -> Result<RgbImage, DatasetError> {
        let size = self.settings().image_size;
        let Region { left, top, width, height } = region;
        let wrong = || DatasetError::Region { region, got: image.dimensions() };
        if width == 0 || height == 0 || !region.is_inside(image.dimensions()) {
            return Err(wrong());
        }
        let part = TypedCroppedImage::new(pixels(image), left, top, width, height);
        let part = part.map_err(|_| wrong())?;
        narrowed.resize(CHANNELS * size as usize * height as usize, 0);
        let mut narrowed =
            TypedImage::<U8x3>::from_buffer(size, height, narrowed).map_err(|_| wrong())?;
        let options = self.options();
        resizer.resize_typed(&part, &mut narrowed, &options).map_err(|_| wrong())?;
        let mut resized = RgbImage::new(size, size);
        let whole = &mut pixels_mut(&mut resized);
        resizer.resize_typed(&narrowed, whole, &options).map_err(|_| wrong())?;
        Ok(resized)
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, imageops};

    use super::*;
    use crate::Preprocess;

    fn preprocess() -> CheckedPreprocess {
        Preprocess::new(8).check().expect("the settings are valid")
    }

    /// A picture of 9 x 7 pixels without symmetry.
    fn picture() -> RgbImage {
        RgbImage::from_fn(9, 7, |x, y| {
            Rgb([(x * 29 + y * 53) as u8, (x * x * 7) as u8, (x * y * 5) as u8])
        })
    }

    #[test]
    fn what_lies_around_a_part_has_no_influence() {
        let region = Region { left: 2, top: 1, width: 5, height: 4 };
        let resize = |image: &RgbImage, region| {
            preprocess()
                .resize_region(image, region, &mut Resizer::default())
                .expect("the part is in the image")
        };
        let part = imageops::crop_imm(&picture(), 2, 1, 5, 4).to_image();
        let whole = Region { left: 0, top: 0, ..region };
        assert_eq!(resize(&picture(), region), resize(&part, whole));
    }

    #[test]
    fn an_empty_part_is_refused() {
        let region = Region { left: 2, top: 1, width: 5, height: 0 };
        let error = preprocess()
            .resize_region(&picture(), region, &mut Resizer::default())
            .expect_err("it has no rows");
        assert!(error.to_string().contains("rows 1 to 1"), "{error}");
    }
}
