//! What can go wrong between a name of a dataset and its pixels.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Region, fetch::FetchError};

/// An error of this crate: the place, what was found, and what was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The folder of a dataset does not exist.
    #[error("{path} is not a folder; a dataset was expected there")]
    MissingFolder {
        /// The folder that was asked for.
        path: PathBuf,
    },

    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },

    /// A file of CIFAR's does not consist of whole records.
    #[error("{path} has {got} bytes; a file of {set} is one or more records of {record} bytes")]
    RecordLength {
        /// The file.
        path: PathBuf,
        /// The dataset.
        set: &'static str,
        /// Its length in bytes.
        got: usize,
        /// Bytes in a record.
        record: usize,
    },

    /// A record names a class that does not exist.
    #[error("record {record} of {path} has label {got}, but there are {classes} classes")]
    LabelOutOfRange {
        /// The file with the record.
        path: PathBuf,
        /// Index of the record in the file.
        record: usize,
        /// The label found.
        got: usize,
        /// Number of classes.
        classes: usize,
    },

    /// A file that should hold the class names of CIFAR-10 holds another number of them.
    #[error("{path} names {got} classes, CIFAR-10 has {want}")]
    ClassCount {
        /// The file with the names.
        path: PathBuf,
        /// How many names it has.
        got: usize,
        /// How many were expected.
        want: usize,
    },

    /// A file of an official layout says something impossible.
    #[error("{path}: {place}: {reason}")]
    Layout {
        /// The file.
        path: PathBuf,
        /// A line, a variable, or another part of it.
        place: String,
        /// What was found there, and what was wanted.
        reason: String,
    },

    /// More files than may be skipped cannot be decoded.
    #[error("more than {at_most} image{} cannot be decoded", if *at_most == 1 { "" } else { "s" })]
    BadImages {
        /// How many may be skipped.
        at_most: usize,
        /// The first one beyond.
        #[source]
        next: Box<DatasetError>,
    },

    /// A folder has no images in it.
    #[error("no images in {path}; expected image files, or one folder of images for each class")]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },

    /// A file cannot be decoded as an image.
    #[error("cannot decode the image {path}")]
    BadImage {
        /// The image file.
        path: PathBuf,
        /// What the decoder says.
        source: image::ImageError,
    },

    /// A folder is not divided into training and test images.
    #[error(
        "{path} has no folders `train` and `test` (or `val`), so it has no test images of its own"
    )]
    NotSplit {
        /// The folder.
        path: PathBuf,
    },

    /// The training and the test images have different classes.
    #[error(
        "{spec}: the classes of training and test images differ; only in training: {train}; only in test: {test}"
    )]
    ClassesDiffer {
        /// The dataset, as it was asked for.
        spec: String,
        /// Classes of the training split alone.
        train: String,
        /// Classes of the test split alone.
        test: String,
    },

    /// Classes were needed, but the images have none.
    #[error(
        "the images of {spec} are unlabelled; training needs one folder of images for each class"
    )]
    Unlabelled {
        /// The dataset, as it was asked for.
        spec: String,
    },

    /// A folder holds both images and folders.
    #[error(
        "{path} holds both images and folders; expected unlabelled images, or one folder for each class"
    )]
    MixedFolder {
        /// The folder.
        path: PathBuf,
    },

    /// The name of a file is not Unicode.
    #[error("the name of {path} is not valid Unicode; rename it")]
    FileName {
        /// The file.
        path: PathBuf,
    },

    /// Neither a known name nor a folder.
    #[error("unknown dataset `{name}`; known are {known}, or the path of a folder")]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },

    /// A dataset has to be fetched first.
    #[error("{name} is not in {path}; fetch it first (`learngene data fetch {name}`)")]
    NotFetched {
        /// Name of the dataset.
        name: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },

    /// A dataset that must be got by hand is not where it is looked for.
    #[error(
        "{name} is not in {path}; get it from {origin} and unpack it there ({layout}), or give its own folder"
    )]
    NotPresent {
        /// Name of the dataset.
        name: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// Where to get it.
        origin: &'static str,
        /// What its folder holds.
        layout: &'static str,
    },

    /// A level of the tree of life that is none, or asked of a dataset without one.
    #[error("{spec}: {reason}")]
    Level {
        /// The dataset, as it was asked for.
        spec: String,
        /// What is wrong.
        reason: String,
    },

    /// An index past the end.
    #[error("image {index} was asked for, but the dataset has {len}")]
    IndexOutOfRange {
        /// The index asked for.
        index: usize,
        /// Images in the dataset.
        len: usize,
    },

    /// A share of a dataset is not a share.
    #[error("the share to hold out must be above 0 and below 1, got {got}")]
    Share {
        /// The share asked for.
        got: f64,
    },

    /// A fraction of the training images is none.
    #[error("the fraction of the training images must be above 0 and at most 1, got {got}")]
    Fraction {
        /// The fraction asked for.
        got: f64,
    },

    /// One part of a divided dataset would have no images.
    #[error("holding out a share of {share} of {images} images leaves one part without images")]
    EmptyPart {
        /// The share asked for.
        share: f64,
        /// Images in the dataset.
        images: usize,
    },

    /// A setting makes no sense.
    #[error("{of}: {field} must be {want}, got {got}")]
    Setting {
        /// What it is a setting of.
        of: &'static str,
        /// Which setting.
        field: &'static str,
        /// Its value.
        got: String,
        /// Values that are accepted.
        want: &'static str,
    },

    /// A label that has no place among the targets.
    #[error("an image has class {got}, but there are {classes} classes, from 0")]
    Target {
        /// The label found.
        got: usize,
        /// Number of classes.
        classes: usize,
    },

    /// A part of an image that is not in it.
    #[error(
        "columns {} to {} and rows {} to {} were asked for, but the image has {got:?} pixels (width, height)",
        region.left, region.left.saturating_add(region.width), region.top, region.top.saturating_add(region.height)
    )]
    Region {
        /// The part.
        region: Region,
        /// Width and height of the image.
        got: (u32, u32),
    },

    /// A contact sheet of nothing.
    #[error("a contact sheet needs images and columns, got {images} images and {columns} columns")]
    ContactSheet {
        /// Images asked for.
        images: usize,
        /// Columns asked for.
        columns: usize,
    },

    /// A contact sheet that is too large to be looked at.
    #[error(
        "{images} image{} in {} columns, with {pitch} pixels for each, are more than a contact sheet of at most \
         {limit} pixels a side has room for",
        if *images == 1 { "" } else { "s" },
        columns + 1
    )]
    LargeSheet {
        /// Images asked for, one a row.
        images: usize,
        /// Columns asked for, beside the first.
        columns: usize,
        /// Side of a tile with its gap, in pixels.
        pitch: u32,
        /// Longest side of a sheet, in pixels.
        limit: u32,
    },

    /// The system does not start a thread.
    #[error("cannot start worker {worker} of {workers} for loading images")]
    Worker {
        /// Which one, from 1.
        worker: usize,
        /// How many were wanted.
        workers: usize,
        /// Why not.
        source: io::Error,
    },

    /// An image has a size that a step cannot work with.
    #[error("{place}: the image has {got:?} pixels (width, height), wanted {want}")]
    ImageSize {
        /// The step that refuses it.
        place: &'static str,
        /// Width and height found.
        got: (u32, u32),
        /// What was wanted.
        want: String,
    },

    /// A buffer for pixels has the wrong length.
    #[error("the buffer for pixels holds {got} values, an image needs {want}")]
    PixelBuffer {
        /// Its length.
        got: usize,
        /// The length wanted: channels x height x width.
        want: usize,
    },

    /// The embedded sample does not have the layout it should have.
    #[error("the embedded sample of CIFAR-10 is damaged: {reason}")]
    Sample {
        /// What is wrong.
        reason: String,
    },

    /// The user's cache folder is not known.
    #[error("no cache folder is known on this system; name one in the variable {variable}")]
    NoCacheFolder {
        /// The environment variable that names a folder.
        variable: &'static str,
    },

    /// The cache folder cannot be written to.
    #[error("cannot write to the cache folder {path}; name another one in the variable {variable}")]
    CacheNotWritable {
        /// The folder.
        path: PathBuf,
        /// The environment variable that names a folder.
        variable: &'static str,
        /// Why it failed.
        source: io::Error,
    },

    /// A dataset could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl DatasetError {
    /// Makes the adapter from an error of the file system to one that names the place.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
