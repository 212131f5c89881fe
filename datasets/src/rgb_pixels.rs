//! Images as what resizes them takes them. Of known pixels: its functions for images of any pixels
//! compile the code of all their kinds.

use fast_image_resize::{
    images::{TypedImage, TypedImageRef},
    pixels::U8x3,
};
use image::RgbImage;

/// The pixels of an image, to be read.
pub(crate) fn pixels(image: &RgbImage) -> TypedImageRef<'_, U8x3> {
    let (width, height) = image.dimensions();
    TypedImageRef::from_buffer(width, height, image.as_raw()).expect("three bytes a pixel")
}

/// The pixels of an image, to be written.
pub(crate) fn pixels_mut(image: &mut RgbImage) -> TypedImage<'_, U8x3> {
    let (width, height) = image.dimensions();
    TypedImage::from_buffer(width, height, image).expect("three bytes a pixel")
}
