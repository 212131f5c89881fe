//! What augmentation makes of images, to look at.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::{BatchPlan, DatasetError, Pipeline, View};

/// White pixels between two tiles.
const GAP: u32 = 2;
/// Smaller tiles are enlarged to this side at least.
const LEAST_SIDE: u32 = 96;

/// Longest side of a sheet, in pixels: longer ones are neither shown by browsers nor held by most graphics memory.
const LONGEST_SIDE: u32 = 16_384;
/// The most rows or columns of a contact sheet, if its tiles are the smallest there are.
pub const MOST_TILES: usize = ((LONGEST_SIDE - GAP) / (LEAST_SIDE + GAP)) as usize;

/// Tiles of images as a model sees them: one image in a row, first as in an evaluation, then once for each of
/// `columns` epochs. A column is one batch, so that mixed images show what they are mixed with.
///
/// # Errors
/// When there is nothing to show, or too much for one picture, or an image cannot be read.
pub fn contact_sheet(
    pipeline: &Pipeline,
    indices: &[usize],
    columns: usize,
) -> Result<RgbImage, DatasetError> {
    if indices.is_empty() || columns == 0 {
        return Err(DatasetError::ContactSheet { images: indices.len(), columns });
    }
    let side = pipeline.preprocess.settings().image_size;
    let scale = LEAST_SIDE.div_ceil(side).max(1);
    let pitch = side * scale + GAP;
    let most = ((LONGEST_SIDE - GAP) / pitch) as usize;
    if indices.len() > most || columns >= most {
        let (images, limit) = (indices.len(), LONGEST_SIDE);
        return Err(DatasetError::LargeSheet { images, columns, pitch, limit });
    }
    let extent = |tiles: usize| tiles as u32 * pitch + GAP;
    let size = (extent(columns + 1), extent(indices.len()));
    let mut sheet = RgbImage::from_pixel(size.0, size.1, Rgb([255; 3]));
    let plain = Pipeline { augment: None, ..pipeline.clone() };
    for column in 0..=columns {
        let views = indices.iter().copied().map(View::from).collect();
        let (pipeline, epoch) = match column.checked_sub(1) {
            None => (&plain, 0),
            Some(epoch) => (pipeline, epoch as u64),
        };
        let batch = pipeline.load(&BatchPlan { epoch, step: 0, views })?;
        let tiles = batch.pixels.chunks_exact(pipeline.preprocess.values());
        for (row, pixels) in tiles.enumerate() {
            let tile = pipeline.preprocess.denormalize(pixels)?;
            let tile = imageops::resize(&tile, side * scale, side * scale, FilterType::Nearest);
            let place = |at: usize| i64::from(at as u32 * pitch + GAP);
            imageops::replace(&mut sheet, &tile, place(column), place(row));
        }
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Augment;
    use crate::pipeline::tests::pipeline;

    /// The tile of 96 x 96 pixels there, shrunk to what it was.
    fn tile(sheet: &RgbImage, column: u32, row: u32) -> RgbImage {
        let tile = imageops::crop_imm(sheet, 2 + column * 98, 2 + row * 98, 96, 96).to_image();
        imageops::resize(&tile, 32, 32, FilterType::Nearest)
    }

    #[test]
    fn the_first_column_is_the_image_itself() {
        let pipeline = pipeline(Augment::deit());
        let sheet = contact_sheet(&pipeline, &[3, 8], 2).expect("the images are in memory");
        assert_eq!(sheet.dimensions(), (3 * 98 + 2, 2 * 98 + 2));
        for (row, index) in [(0, 3), (1, 8)] {
            let image = pipeline.dataset.image(index).expect("the images are in memory");
            assert_eq!(tile(&sheet, 0, row), image);
            assert_ne!(tile(&sheet, 1, row), image);
            assert_ne!(tile(&sheet, 1, row), tile(&sheet, 2, row));
        }
    }

    #[test]
    fn without_changes_all_columns_are_the_same() {
        let sheet = contact_sheet(&pipeline(Augment::none()), &[3], 1).expect("it is in memory");
        assert_eq!(tile(&sheet, 0, 0), tile(&sheet, 1, 0));
    }

    #[test]
    fn tiles_stand_on_white() {
        let sheet = contact_sheet(&pipeline(Augment::none()), &[3], 1).expect("it is in memory");
        for place in [(0, 0), (98, 50), (99, 0), (197, 99)] {
            assert_eq!(sheet.get_pixel(place.0, place.1).0, [255; 3], "{place:?}");
        }
    }

    #[test]
    fn a_sheet_that_nothing_can_show_is_refused_before_images_are_read() {
        let refused = |images: usize, columns, message: &str| {
            // No image of such an index is there, so one that were read would be another error.
            let indices: Vec<usize> = (0..images).map(|row| usize::MAX - row).collect();
            let error = contact_sheet(&pipeline(Augment::none()), &indices, columns);
            let error = error.expect_err("it is too large").to_string();
            assert!(error.starts_with(message), "{error}");
        };
        let message = "168 images in 2 columns, with 98 pixels for each, are more than a contact \
                       sheet of at most 16384 pixels a side has room for";
        refused(MOST_TILES + 1, 1, message);
        refused(1, MOST_TILES, "1 image in 168 columns, with 98 pixels");
        refused(MOST_TILES, MOST_TILES - 1, "image ");
    }

    #[test]
    fn a_sheet_of_nothing_is_refused() {
        for (indices, columns) in [(&[][..], 3), (&[1], 0)] {
            let error = contact_sheet(&pipeline(Augment::none()), indices, columns).err();
            assert!(matches!(error, Some(DatasetError::ContactSheet { .. })), "{error:?}");
        }
    }
}
