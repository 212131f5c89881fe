//! CUB-200-2011: `images/CLASS/FILE.jpg`, and lists that number images from 1.
//!
//! Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011, <https://www.vision.caltech.edu/datasets/cub_200_2011/>.

use std::path::{Path, PathBuf};

use super::{Wanted, fault, from_one, numbered};
use crate::images::ImageFile;
use crate::{Dataset, DatasetError, ImageFiles, Split};

pub(super) fn open(folder: &Path, wanted: Wanted) -> Result<Box<dyn Dataset>, DatasetError> {
    let classes = numbered(&folder.join("classes.txt"))?;
    let images = numbered(&folder.join("images.txt"))?;
    let labels_path = folder.join("image_class_labels.txt");
    let splits_path = folder.join("train_test_split.txt");
    let (labels, splits) = (numbered(&labels_path)?, numbered(&splits_path)?);
    for (path, found) in [(&labels_path, labels.len()), (&splits_path, splits.len())] {
        if found != images.len() {
            let reason = format!("{found}, but images.txt has {}", images.len());
            return Err(fault(path, "number of lines", reason));
        }
    }
    let mut files = Vec::new();
    for (at, ((image, label), split)) in images.iter().zip(&labels).zip(&splits).enumerate() {
        let line = format!("line {}", at + 1);
        let split = match split.as_str() {
            "1" => Split::Train,
            "0" => Split::Test,
            other => {
                let reason = format!("`{other}`, wanted 1 for training or 0 for testing");
                return Err(fault(&splits_path, line, reason));
            }
        };
        if split != wanted.split {
            continue;
        }
        let label = label.parse().map_err(|_| format!("`{label}`, wanted a class"));
        let label = label.and_then(|label| from_one(label, classes.len()));
        let label = label.map_err(|reason| fault(&labels_path, line, reason))?;
        let path = PathBuf::from("images").join(image);
        files.push(ImageFile { path, label: Some(label) });
    }
    Ok(Box::new(ImageFiles::new(folder, classes, files, wanted.bad_images)?))
}
