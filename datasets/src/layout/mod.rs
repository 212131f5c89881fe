//! Datasets as their authors give them out: which files hold images, splits, labels and names of classes.

mod cub200;
mod flowers102;
mod food101;
mod inat2019;
mod stanford_cars;
mod tiny_imagenet;

use std::fs;
use std::path::Path;

use crate::{BadImages, Dataset, DatasetError, Split};

pub use inat2019::Level;

/// What a layout needs to know beside its folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub split: Split,
    pub bad_images: BadImages,
    /// Which names of iNaturalist's are classes.
    pub level: Level,
}

/// Opens what is wanted of a folder.
type Open = fn(&Path, Wanted) -> Result<Box<dyn Dataset>, DatasetError>;

/// A reader of one layout.
pub(crate) struct Layout {
    /// The name of the dataset.
    pub name: &'static str,
    /// Files by which the layout is known, relative to the folder.
    markers: &'static [&'static str],
    open: Open,
}

/// Readers of layouts that are more than folders of images.
const LAYOUTS: [Layout; 6] = [
    Layout { name: "food101", markers: &["meta/train.txt", "meta/test.txt"], open: food101::open },
    Layout {
        name: "flowers102",
        markers: &["imagelabels.mat", "setid.mat"],
        open: flowers102::open,
    },
    Layout { name: "stanford_cars", markers: &["devkit/cars_meta.mat"], open: stanford_cars::open },
    Layout { name: "cub200", markers: &["train_test_split.txt", "images.txt"], open: cub200::open },
    Layout { name: "inat2019", markers: &["train2019.json"], open: inat2019::open },
    Layout { name: "tiny_imagenet", markers: &["wnids.txt"], open: tiny_imagenet::open },
];

/// The layout of a folder, if it is one of these.
pub(crate) fn layout_of(folder: &Path) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.markers.iter().any(|file| folder.join(file).is_file()))
}

impl Layout {
    /// # Errors
    /// When a file of the layout is missing or says something impossible.
    pub fn open(&self, folder: &Path, wanted: Wanted) -> Result<Box<dyn Dataset>, DatasetError> {
        (self.open)(folder, wanted)
    }
}

/// A fault of a file of a layout.
pub(crate) fn fault(path: &Path, place: impl ToString, reason: impl ToString) -> DatasetError {
    DatasetError::Layout {
        path: path.to_owned(),
        place: place.to_string(),
        reason: reason.to_string(),
    }
}

/// Lines of a file with their numbers, blank ones left out.
fn lines(path: &Path) -> Result<Vec<(usize, String)>, DatasetError> {
    let text = fs::read_to_string(path).map_err(DatasetError::io("read", path))?;
    let numbered = (1..).zip(text.lines().map(str::trim));
    Ok(numbered
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| (number, line.to_owned()))
        .collect())
}

/// Lines of a number from 1 on, in order, and something else.
fn numbered(path: &Path) -> Result<Vec<String>, DatasetError> {
    let lines = lines(path)?.into_iter().zip(1..);
    let entry = |((line, text), wanted): ((usize, String), usize)| {
        let found = text.split_once(' ');
        match found.and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest.trim()))) {
            Some((number, rest)) if number == wanted => Ok(rest.to_owned()),
            _ => {
                Err(fault(path, format!("line {line}"), format!("`{text}`, wanted `{wanted} ..`")))
            }
        }
    };
    lines.map(entry).collect()
}

/// A class number that counts from 1, as an index.
fn from_one(number: usize, classes: usize) -> Result<usize, String> {
    match number {
        1.. if number <= classes => Ok(number - 1),
        _ => Err(format!("class {number}, but there are 1 to {classes}")),
    }
}

#[cfg(test)]
mod tests;
