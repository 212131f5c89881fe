//! Image files, wherever a layout puts them.

use std::path::{Component, Path, PathBuf};

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, RgbImage};
use rayon::prelude::*;

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
        let decoded: Vec<_> =
            self.files.par_iter().map(|file| decode(&self.root.join(&file.path)).err()).collect();
        let files = std::mem::take(&mut self.files);
        for (file, error) in files.into_iter().zip(decoded) {
            match error {
                None => self.files.push(file),
                Some(_) if self.skipped.len() < at_most => self.skipped.push(portable(&file.path)),
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

fn decode(path: &Path) -> Result<RgbImage, DatasetError> {
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(DatasetError::io("read", path))?;
    upright(reader).map_err(|source| DatasetError::BadImage { path: path.to_owned(), source })
}

/// The image as it is to be looked at.
fn upright(reader: ImageReader<std::io::BufReader<std::fs::File>>) -> Result<RgbImage, ImageError> {
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

/// A relative path with `/` between its parts on every system.
fn portable(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}
