//! The trait that every reader implements.

use std::fmt;
use std::str::FromStr;

use image::RgbImage;
use serde::Serialize;

use crate::DatasetError;

/// A finite, ordered list of RGB images, with labels where there are any.
///
/// An index means the same image every time and on every machine: readers sort what a file system lists.
pub trait Dataset: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// Whether there are no images at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the classes, in the order of the labels. Empty when the images are unlabelled.
    fn classes(&self) -> &[String];

    /// Class of one image, an index into [`classes`](Self::classes). `None` when the images are unlabelled,
    /// or past the end.
    fn label(&self, index: usize) -> Option<usize>;

    /// The image itself, three channels of eight bits.
    ///
    /// # Errors
    /// When `index` is past the end, or the image cannot be read; a file is named by its path.
    fn image(&self, index: usize) -> Result<RgbImage, DatasetError>;

    /// A name of one image that is the same on every machine, such as `cat/0012.png` or `test/00042`. It holds
    /// no absolute path, and uses `/` between its parts.
    fn name(&self, index: usize) -> String;

    /// Names of files that were left out because they cannot be decoded.
    fn skipped(&self) -> &[String] {
        &[]
    }

    /// Which part of a larger dataset was drawn, where one was.
    fn fraction(&self) -> Option<Fraction> {
        None
    }
}

/// A fraction of a dataset, drawn by [`fraction`](crate::fraction()).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fraction {
    /// Above 0 and below 1.
    pub share: f64,
    /// Decides which images.
    pub seed: u64,
}

/// Which part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The images to learn from.
    Train,
    /// The images to measure on.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// The text is not the name of a split.
#[derive(Debug, thiserror::Error)]
#[error("unknown split `{0}`, wanted train or test (a folder's `val` where it has no `test`)")]
pub struct UnknownSplit(String);

impl FromStr for Split {
    type Err = UnknownSplit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "train" => Ok(Self::Train),
            "test" => Ok(Self::Test),
            other => Err(UnknownSplit(other.to_owned())),
        }
    }
}
