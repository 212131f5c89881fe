//! Oxford Flowers-102: `jpg/image_00001.jpg`, labels and splits as MATLAB variables.
//!
//! Nilsback and Zisserman, "Automated Flower Classification over a Large Number of Classes", 2008,
//! <https://www.robots.ox.ac.uk/~vgg/data/flowers/102/>. The classes have numbers only. As the paper's fine-tuning
//! does, training takes the official training and validation images together.

use std::path::{Path, PathBuf};

use super::{Wanted, fault, from_one};
use crate::images::ImageFile;
use crate::mat::{MatFile, Value};
use crate::{Dataset, DatasetError, ImageFiles, Split};

const CLASSES: usize = 102;

pub(super) fn open(folder: &Path, wanted: Wanted) -> Result<Box<dyn Dataset>, DatasetError> {
    let (labels_path, splits_path) = (folder.join("imagelabels.mat"), folder.join("setid.mat"));
    let labels = MatFile::read(&labels_path)?.get("labels", Value::indices)?;
    let splits = MatFile::read(&splits_path)?;
    let variables: &[&str] = match wanted.split {
        Split::Train => &["trnid", "valid"],
        Split::Test => &["tstid"],
    };
    let mut files = Vec::new();
    for variable in variables {
        for image in splits.get(variable, Value::indices)? {
            let label = image.checked_sub(1).and_then(|at| labels.get(at)).ok_or_else(|| {
                let reason =
                    format!("image {image}, but there are labels of 1 to {}", labels.len());
                fault(&splits_path, variable, reason)
            })?;
            let label = from_one(*label, CLASSES);
            let label = label.map_err(|reason| fault(&labels_path, "labels", reason))?;
            let path = PathBuf::from(format!("jpg/image_{image:05}.jpg"));
            files.push(ImageFile { path, label: Some(label) });
        }
    }
    let classes = (1..=CLASSES).map(|class| class.to_string()).collect();
    Ok(Box::new(ImageFiles::new(folder, classes, files, wanted.bad_images)?))
}
