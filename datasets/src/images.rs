//! Image files, wherever a layout puts them.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use image::RgbImage;
use rayon::prelude::*;

use crate::causes::with_causes;
use crate::decode::decode;
use crate::{Dataset, DatasetError};

/// What to do with files that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadImages {
    /// Reading such an image is an error that names the file.
    #[default]
    Refuse,
    /// Every file is decoded once on opening; those that fail are left out and listed by
    /// [`Dataset::skipped`]. More than `at_most` are an error.
    Skip {
        /// Most files that may be left out.
        at_most: usize,
    },
}

impl fmt::Display for BadImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse => f.write_str("refuse"),
            Self::Skip { at_most: usize::MAX } => f.write_str("skip"),
            Self::Skip { at_most } => write!(f, "skip:{at_most}"),
        }
    }
}

/// The text does not say what to do with bad images.
#[derive(Debug, thiserror::Error)]
#[error("wanted refuse, skip, or skip:N for at most N images, got `{0}`")]
pub struct UnknownBadImages(String);

impl FromStr for BadImages {
    type Err = UnknownBadImages;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at_most = |number: &str| number.parse().map_err(|_| UnknownBadImages(text.to_owned()));
        match text.split_once(':') {
            None if text == "refuse" => Ok(Self::Refuse),
            None if text == "skip" => Ok(Self::Skip { at_most: usize::MAX }),
            Some(("skip", number)) => Ok(Self::Skip { at_most: at_most(number)? }),
            _ => Err(UnknownBadImages(text.to_owned())),
        }
    }
}

/// Image files under one folder, with or without classes.
///
/// What a file holds decides how it is decoded, not its name. All kinds of pixels become RGB of eight bits, turned
/// upright where EXIF says how; transparency is dropped.
#[derive(Debug)]
pub struct ImageFiles {
    root: PathBuf,
    classes: Vec<String>,
    files: Vec<ImageFile>,
    skipped: Vec<String>,
}

/// One file and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageFile {
    /// Relative to the root.
    pub path: PathBuf,
    pub label: Option<usize>,
}

impl ImageFiles {
    /// Files in this order.
    ///
    /// # Errors
    /// When there are none, or more bad ones than may be skipped.
    pub(crate) fn new(
        root: &Path,
        classes: Vec<String>,
        files: Vec<ImageFile>,
        bad_images: BadImages,
    ) -> Result<Self, DatasetError> {
        let mut images = Self { root: root.to_owned(), classes, files, skipped: Vec::new() };
        if let BadImages::Skip { at_most } = bad_images {
            images.skip(at_most)?;
        }
        if images.files.is_empty() {
            return Err(DatasetError::EmptyFolder { path: root.to_owned() });
        }
        Ok(images)
    }

    fn skip(&mut self, at_most: usize) -> Result<(), DatasetError> {
        tracing::info!("decoding {} images, to leave bad ones out", self.files.len());
        let decoded: Vec<_> =
            self.files.par_iter().map(|file| decode(&self.root.join(&file.path)).err()).collect();
        let files = std::mem::take(&mut self.files);
        for (file, error) in files.into_iter().zip(decoded) {
            match error {
                None => self.files.push(file),
                Some(error) if self.skipped.len() < at_most => {
                    tracing::warn!("left out: {}", with_causes(&error));
                    self.skipped.push(portable(&file.path));
                }
                Some(error) => {
                    return Err(DatasetError::BadImages { at_most, next: Box::new(error) });
                }
            }
        }
        Ok(())
    }
}

impl Dataset for ImageFiles {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.files.get(index)?.label
    }

    fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        let len = self.len();
        let file = self.files.get(index).ok_or(DatasetError::IndexOutOfRange { index, len })?;
        decode(&self.root.join(&file.path))
    }

    fn name(&self, index: usize) -> String {
        self.files.get(index).map(|file| portable(&file.path)).unwrap_or_default()
    }

    fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// A relative path with `/` between its parts on every system.
fn portable(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: BadImages) {
        let read: BadImages = text.parse().expect("it says what to do");
        assert_eq!((read, read.to_string().as_str()), (want, text));
    }

    #[test]
    fn what_to_do_with_bad_images_is_read_and_written() {
        check("refuse", BadImages::Refuse);
        check("skip", BadImages::Skip { at_most: usize::MAX });
        check("skip:12", BadImages::Skip { at_most: 12 });
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "Skip", "skip:", "skip:-1", "skip:many", "refuse:3"] {
            let error = text.parse::<BadImages>().expect_err("it is none of them");
            assert!(error.to_string().ends_with(&format!("got `{text}`")), "{error}");
        }
    }
}
