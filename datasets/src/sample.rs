//! A small part of CIFAR-10 that is compiled into the program: 2,000 training and 1,000 test images.
//!
//! A split is one PNG of tiles, 50 in a row. The classes take turns, so the label of tile `i` is `i % 10` and
//! any first `10 n` images are balanced. `sample/README.md` tells where they come from.

use std::io::Cursor;

use crate::cifar10::{CLASSES, Cifar10, RECORD, SIDE, record_from_rgb};
use crate::{DatasetError, Split};

/// Tiles in a row of a sheet.
const COLUMNS: usize = 50;
const TRAIN: &[u8] = include_bytes!("../sample/train.png");
const TEST: &[u8] = include_bytes!("../sample/test.png");

impl Cifar10 {
    /// Opens the embedded sample of CIFAR-10: 2,000 training or 1,000 test images, each class equally often,
    /// in turns. They are the first ones of each class in the official files.
    ///
    /// # Errors
    /// When the embedded picture is damaged.
    pub fn sample(split: Split) -> Result<Self, DatasetError> {
        let (png, images) = match split {
            Split::Train => (TRAIN, 2_000),
            Split::Test => (TEST, 1_000),
        };
        Ok(Self::from_records("cifar10-sample/", split, decode(png, images)?))
    }
}

/// Turns a sheet of tiles into `[images, 1 + 3 * 32 * 32]` bytes of records.
fn decode(png: &[u8], images: usize) -> Result<Vec<u8>, DatasetError> {
    let damaged = |reason: String| DatasetError::Sample { reason };
    let mut reader =
        png::Decoder::new(Cursor::new(png)).read_info().map_err(|e| damaged(e.to_string()))?;
    let side = SIDE as usize;
    let (width, height) = (COLUMNS * side, images.div_ceil(COLUMNS) * side);
    let mut sheet = vec![0; 3 * width * height];
    let info = reader.info();
    let found = (info.width as usize, info.height as usize, info.color_type, info.bit_depth);
    if found != (width, height, png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(damaged(format!("the picture is {found:?}, wanted {width} x {height} RGB")));
    }
    reader.next_frame(&mut sheet).map_err(|error| damaged(error.to_string()))?;
    let mut records = Vec::with_capacity(images * RECORD);
    for index in 0..images {
        let (left, top) = (index % COLUMNS * side, index / COLUMNS * side);
        let row = |y: usize| {
            let start = 3 * ((top + y) * width + left);
            &sheet[start..start + 3 * side]
        };
        let tile: Vec<u8> = (0..side).flat_map(row).copied().collect();
        records.extend(record_from_rgb((index % CLASSES.len()) as u8, &tile));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, images_sha256};

    fn check_balanced(split: Split, images: usize) {
        let sample = Cifar10::sample(split).expect("the embedded sample is whole");
        assert_eq!(sample.len(), images);
        for index in 0..images {
            assert_eq!(sample.label(index), Some(index % 10));
        }
    }

    #[test]
    fn training_images_are_balanced() {
        check_balanced(Split::Train, 2_000);
    }

    #[test]
    fn test_images_are_balanced() {
        check_balanced(Split::Test, 1_000);
    }

    #[test]
    fn no_image_is_there_twice() {
        let mut images = Vec::new();
        for split in [Split::Train, Split::Test] {
            let sample = Cifar10::sample(split).expect("the embedded sample is whole");
            let all = (0..sample.len()).map(|index| sample.image(index));
            images.extend(all.map(|image| image.expect("the index is below len").into_raw()));
        }
        images.sort();
        images.dedup();
        assert_eq!(images.len(), 3_000);
    }

    fn check_contents(split: Split, want: &str) {
        let sample = Cifar10::sample(split).expect("the embedded sample is whole");
        assert_eq!(images_sha256(&sample).expect("the images are in memory"), want);
    }

    #[test]
    fn the_images_are_those_that_the_readme_names() {
        let train = "7d1b873ccf572169e2ce02043c451c79bb780f0cde8f386ed4ff18e290841d31";
        let test = "f2d77763f6bdc816f454c5b4933e96bb2c6410a90ff336d984cbab6807574448";
        check_contents(Split::Train, train);
        check_contents(Split::Test, test);
    }

    #[test]
    fn a_cut_off_sheet_is_refused() {
        let error = decode(&TEST[..TEST.len() / 2], 1_000).expect_err("half of the file is gone");
        assert!(matches!(error, DatasetError::Sample { .. }));
    }

    #[test]
    fn a_sheet_of_another_size_is_refused() {
        let error = decode(TEST, 2_000).expect_err("the sheet holds 1,000 tiles");
        assert!(error.to_string().contains("wanted 1600 x 1280"), "{error}");
    }
}
