//! CIFAR-100 in its official binary layout, <https://www.cs.toronto.edu/~kriz/cifar.html>.
//!
//! As CIFAR-10, but one file for each split, and two bytes of label: the coarse one, then the fine one, which counts.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::cifar10::{PIXELS, planes_to_image};
use crate::layout::fault;
use crate::{Dataset, DatasetError, Split};

/// Bytes in a record: two labels, then three planes.
pub(crate) const RECORD: usize = 2 + 3 * PIXELS;
const CLASSES: usize = 100;
const COARSE_CLASSES: usize = 20;
/// The file with the names of the classes, which may be absent.
pub(crate) const NAMES: &str = "fine_label_names.txt";

/// One split of CIFAR-100, held in memory as the bytes of its file.
#[derive(Debug)]
pub struct Cifar100 {
    split: Split,
    classes: Vec<String>,
    records: Vec<u8>,
}

impl Cifar100 {
    /// Reads one split; the file may hold any number of records.
    ///
    /// # Errors
    /// When the file is missing, is not a whole number of records, or a label is not below 100, its coarse one not
    /// below 20.
    pub fn open(folder: &Path, split: Split) -> Result<Self, DatasetError> {
        let path = file(folder, split);
        let records = fs::read(&path).map_err(DatasetError::io("read", &path))?;
        if records.is_empty() || !records.len().is_multiple_of(RECORD) {
            let got = records.len();
            return Err(DatasetError::RecordLength { path, set: "CIFAR-100", got, record: RECORD });
        }
        for (at, classes) in [(0, COARSE_CLASSES), (1, CLASSES)] {
            let labels = records.chunks_exact(RECORD).map(|record| usize::from(record[at]));
            if let Some((record, got)) = labels.enumerate().find(|(_, label)| *label >= classes) {
                return Err(DatasetError::LabelOutOfRange { path, record, got, classes });
            }
        }
        Ok(Self { split, classes: classes(&folder.join(NAMES))?, records })
    }

    /// Whether a folder looks like CIFAR-100 in its binary layout.
    pub(crate) fn is_layout(folder: &Path) -> bool {
        folder.join(NAMES).is_file()
            || (file(folder, Split::Train).is_file() && file(folder, Split::Test).is_file())
    }

    fn record(&self, index: usize) -> Option<&[u8]> {
        self.records.chunks_exact(RECORD).nth(index)
    }
}

impl Dataset for Cifar100 {
    fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.record(index).map(|record| usize::from(record[1]))
    }

    fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        let record =
            self.record(index).ok_or(DatasetError::IndexOutOfRange { index, len: self.len() })?;
        Ok(planes_to_image(&record[2..]))
    }

    fn name(&self, index: usize) -> String {
        format!("{}/{index:05}", self.split)
    }
}

fn file(folder: &Path, split: Split) -> PathBuf {
    folder.join(format!("{split}.bin"))
}

/// Names of the classes, or their numbers.
fn classes(path: &Path) -> Result<Vec<String>, DatasetError> {
    if !path.is_file() {
        return Ok((0..CLASSES).map(|class| class.to_string()).collect());
    }
    let text = fs::read_to_string(path).map_err(DatasetError::io("read", path))?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match names.len() {
        CLASSES => Ok(names),
        got => Err(fault(path, "names of classes", format!("{got}, wanted {CLASSES}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::TempFolder;

    /// A record with these labels, of one colour.
    fn record(coarse: u8, fine: u8, colour: [u8; 3]) -> Vec<u8> {
        let mut bytes = vec![coarse, fine];
        colour.iter().for_each(|value| bytes.extend([*value; PIXELS]));
        bytes
    }

    fn open(test: &[u8]) -> Result<Cifar100, DatasetError> {
        let train = record(0, 1, [0; 3]);
        let folder = TempFolder::with([("test.bin", test), ("train.bin", &train)]);
        assert!(Cifar100::is_layout(folder.path()));
        Cifar100::open(folder.path(), Split::Test)
    }

    #[test]
    fn the_fine_label_counts() {
        let records = [record(3, 42, [1, 2, 3]), record(19, 99, [4, 5, 6])].concat();
        let dataset = open(&records).expect("two whole records");
        assert_eq!((dataset.len(), dataset.label(0), dataset.label(1)), (2, Some(42), Some(99)));
        assert_eq!(dataset.image(1).expect("there are two").get_pixel(31, 31).0, [4, 5, 6]);
        assert_eq!(dataset.classes().len(), 100);
    }

    #[test]
    fn damaged_files_are_refused() {
        let whole = record(0, 1, [0; 3]);
        let message = open(&whole[..3000]).expect_err("a part of a record").to_string();
        assert!(message.contains("3000 bytes; a file of CIFAR-100 is one or more records of 3074"));
        let message = open(&record(0, 100, [0; 3])).expect_err("labels end at 99").to_string();
        assert!(message.contains("has label 100, but there are 100 classes"), "{message}");
        let message = open(&record(20, 0, [0; 3])).expect_err("coarse ones end at 19").to_string();
        assert!(message.contains("has label 20, but there are 20 classes"), "{message}");
    }

    #[test]
    fn names_may_come_with_the_set() {
        let record = record(0, 2, [0; 3]);
        let names = |count: usize| (0..count).map(|at| format!("class {at}\n")).collect::<String>();
        let open = |names: &str| {
            let files = [("test.bin", record.as_slice()), (NAMES, names.as_bytes())];
            let folder = TempFolder::with(files);
            Cifar100::open(folder.path(), Split::Test)
        };
        assert_eq!(open(&names(100)).expect("a hundred names").classes()[2], "class 2");
        let message = open(&names(99)).expect_err("one is missing").to_string();
        assert!(message.contains("names of classes: 99, wanted 100"), "{message}");
    }
}
