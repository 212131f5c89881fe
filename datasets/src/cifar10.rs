//! CIFAR-10 in its official binary layout, <https://www.cs.toronto.edu/~kriz/cifar.html>.
//!
//! A split is one or more files of records; a record is one byte of label and 3,072 bytes of pixels, laid out
//! `[3, 32, 32]`: all of red, then green, then blue, each in raster order.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::{Dataset, DatasetError, Split};

/// Width and height of an image.
pub(crate) const SIDE: u32 = 32;
/// Pixels in an image.
pub(crate) const PIXELS: usize = (SIDE * SIDE) as usize;
/// Bytes in a record: the label, then three planes.
pub(crate) const RECORD: usize = 1 + 3 * PIXELS;
/// Images in every official batch file.
pub(crate) const BATCH_IMAGES: usize = 10_000;
/// Names of the classes, by label.
pub(crate) const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// The file with the names of the classes, which may be absent.
pub(crate) const META: &str = "batches.meta.txt";

const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST_FILES: [&str; 1] = ["test_batch.bin"];

/// One split of CIFAR-10, held in memory as the bytes of its files (154 MB for training, 31 MB for testing).
#[derive(Debug)]
pub struct Cifar10 {
    /// What comes before the name of the split in the name of an image.
    prefix: &'static str,
    split: Split,
    classes: Vec<String>,
    /// Records one after the other: `[len, 1 + 3 * 32 * 32]`.
    records: Vec<u8>,
}

impl Cifar10 {
    /// Reads one split from a folder in the official binary layout.
    ///
    /// The batches may hold any number of records, so that a cut-down set in the same layout works as well.
    ///
    /// # Errors
    /// When the folder or a batch is missing, a batch is not a whole number of records, or a label is not below
    /// the number of classes.
    pub fn open(folder: &Path, split: Split) -> Result<Self, DatasetError> {
        if !folder.is_dir() {
            return Err(DatasetError::MissingFolder { path: folder.to_owned() });
        }
        let classes = read_classes(&folder.join(META))?;
        let mut records = Vec::new();
        for file in split_files(split) {
            let path = folder.join(file);
            let batch = fs::read(&path).map_err(DatasetError::io("read", &path))?;
            check_batch(&path, &batch, classes.len())?;
            records.extend_from_slice(&batch);
        }
        Ok(Self { prefix: "", split, classes, records })
    }

    /// Takes records as they are, with the usual classes.
    pub(crate) fn from_records(prefix: &'static str, split: Split, records: Vec<u8>) -> Self {
        Self { prefix, split, classes: class_names(), records }
    }

    /// Whether a folder looks like CIFAR-10 in its binary layout.
    pub(crate) fn is_layout(folder: &Path) -> bool {
        TRAIN_FILES.iter().chain(&TEST_FILES).any(|file| folder.join(file).is_file())
    }

    fn record(&self, index: usize) -> Option<&[u8]> {
        self.records.chunks_exact(RECORD).nth(index)
    }
}

impl Dataset for Cifar10 {
    fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.record(index).map(|record| usize::from(record[0]))
    }

    fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        let record =
            self.record(index).ok_or(DatasetError::IndexOutOfRange { index, len: self.len() })?;
        Ok(planes_to_image(&record[1..]))
    }

    fn name(&self, index: usize) -> String {
        format!("{}{}/{index:05}", self.prefix, self.split)
    }
}

/// Names of the files of one split, in order.
pub(crate) fn split_files(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &TRAIN_FILES,
        Split::Test => &TEST_FILES,
    }
}

/// The class names as owned strings.
fn class_names() -> Vec<String> {
    CLASSES.iter().map(|name| (*name).to_owned()).collect()
}

/// Interleaves three planes of 32 x 32 bytes.
pub(crate) fn planes_to_image(planes: &[u8]) -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let at = (y * SIDE + x) as usize;
        image::Rgb([planes[at], planes[PIXELS + at], planes[2 * PIXELS + at]])
    })
}

/// Makes a record from a label and 32 x 32 interleaved RGB pixels.
pub(crate) fn record_from_rgb(label: u8, rgb: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD);
    record.push(label);
    for channel in 0..3 {
        record.extend(rgb.iter().skip(channel).step_by(3));
    }
    record
}

fn check_batch(path: &Path, batch: &[u8], classes: usize) -> Result<(), DatasetError> {
    if batch.is_empty() || !batch.len().is_multiple_of(RECORD) {
        return Err(DatasetError::RecordLength {
            path: path.to_owned(),
            set: "CIFAR-10",
            got: batch.len(),
            record: RECORD,
        });
    }
    let labels = batch.chunks_exact(RECORD).map(|record| usize::from(record[0]));
    match labels.enumerate().find(|(_, label)| *label >= classes) {
        None => Ok(()),
        Some((record, got)) => {
            Err(DatasetError::LabelOutOfRange { path: path.to_owned(), record, got, classes })
        }
    }
}

fn read_classes(path: &PathBuf) -> Result<Vec<String>, DatasetError> {
    if !path.is_file() {
        return Ok(class_names());
    }
    let text = fs::read_to_string(path).map_err(DatasetError::io("read", path))?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.len() == CLASSES.len() {
        Ok(names)
    } else {
        Err(DatasetError::ClassCount { path: path.clone(), got: names.len(), want: CLASSES.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{TempFolder, records};

    fn open_test(bytes: &[u8], meta: Option<&str>) -> Result<Cifar10, DatasetError> {
        let meta = meta.map(|text| (META, text.as_bytes()));
        let folder = TempFolder::with([("test_batch.bin", bytes)].into_iter().chain(meta));
        Cifar10::open(folder.path(), Split::Test)
    }

    #[test]
    fn planes_become_pixels() {
        let mut bytes = records(&[7, 4]);
        bytes[RECORD + 1 + 32 * 2 + 3] = 99; // Red of the pixel at x = 3, y = 2 of the second image.
        let dataset = open_test(&bytes, None).expect("the batch is whole");
        assert_eq!((dataset.len(), dataset.label(0), dataset.label(1)), (2, Some(7), Some(4)));
        let image = dataset.image(1).expect("there are two");
        assert_eq!(image.get_pixel(3, 2).0, [99, 100, 200]);
        assert_eq!(image.get_pixel(2, 3).0, [1, 100, 200]);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let rgb: Vec<u8> = (0..3 * PIXELS).map(|at| (at % 251) as u8).collect();
        let dataset = open_test(&record_from_rgb(5, &rgb), None).expect("the record is whole");
        assert_eq!(dataset.image(0).expect("there is one").into_raw(), rgb);
    }

    #[test]
    fn a_missing_folder_is_refused() {
        let error = Cifar10::open(Path::new("no/such/folder"), Split::Test).err();
        assert!(matches!(error, Some(DatasetError::MissingFolder { .. })));
    }

    #[test]
    fn a_missing_batch_is_named() {
        let folder = TempFolder::with([("test_batch.bin", records(&[0]).as_slice())]);
        let error = Cifar10::open(folder.path(), Split::Train).expect_err("no training batches");
        assert!(error.to_string().ends_with("data_batch_1.bin"), "{error}");
    }

    #[test]
    fn truncated_and_empty_batches_are_refused() {
        let bytes = records(&[1, 2, 3]);
        for length in [0, 1, RECORD - 1, RECORD + 1, 3 * RECORD - 1] {
            let error = open_test(&bytes[..length], None).expect_err("no whole number of records");
            assert!(
                matches!(error, DatasetError::RecordLength { got, .. } if got == length),
                "{error}"
            );
        }
    }

    #[test]
    fn a_label_out_of_range_is_named_with_its_record() {
        let error = open_test(&records(&[0, 9, 10]), None).expect_err("labels end at 9");
        let text = error.to_string();
        assert!(text.starts_with("record 2 of ") && text.contains("has label 10"), "{text}");
    }

    #[test]
    fn class_names_may_come_with_the_set() {
        let dataset = open_test(&records(&[0]), Some("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"));
        assert_eq!(dataset.expect("there are ten names").classes()[9], "j");
    }

    #[test]
    fn too_few_class_names_are_refused() {
        let error = open_test(&records(&[0]), Some("a\nb\n")).expect_err("two are not ten");
        assert!(matches!(error, DatasetError::ClassCount { got: 2, want: 10, .. }));
    }

    #[test]
    fn an_index_past_the_end_is_refused() {
        let dataset = open_test(&records(&[0]), None).expect("the batch is whole");
        assert!(matches!(
            dataset.image(1),
            Err(DatasetError::IndexOutOfRange { index: 1, len: 1 })
        ));
        assert_eq!(dataset.label(1), None);
    }
}
