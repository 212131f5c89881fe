//! Tiny-ImageNet: `train/WNID/images/`, and validation images in one folder with a list of their classes.
//!
//! Stanford's CS231n, 2015. `words.txt`, where it is there, gives the names of WordNet's numbers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Wanted, fault, lines};
use crate::folder::list_images;
use crate::images::ImageFile;
use crate::{Dataset, DatasetError, ImageFiles, Split};

pub(super) fn open(folder: &Path, wanted: Wanted) -> Result<Box<dyn Dataset>, DatasetError> {
    let wnids = lines(&folder.join("wnids.txt"))?;
    let mut wnids: Vec<String> = wnids.into_iter().map(|(_, wnid)| wnid).collect();
    wnids.sort();
    let files = match wanted.split {
        Split::Train => training_files(folder, &wnids)?,
        Split::Test => validation_files(folder, &wnids)?,
    };
    Ok(Box::new(ImageFiles::new(folder, names(folder, wnids)?, files, wanted.bad_images)?))
}

fn training_files(folder: &Path, wnids: &[String]) -> Result<Vec<ImageFile>, DatasetError> {
    let mut files = Vec::new();
    for (label, wnid) in wnids.iter().enumerate() {
        let images = PathBuf::from("train").join(wnid).join("images");
        let found = list_images(folder, &images, Some(label))?;
        if found.is_empty() {
            return Err(DatasetError::EmptyFolder { path: folder.join(images) });
        }
        files.extend(found);
    }
    Ok(files)
}

fn validation_files(folder: &Path, wnids: &[String]) -> Result<Vec<ImageFile>, DatasetError> {
    let list = folder.join("val/val_annotations.txt");
    let file = |(line, entry): (usize, String)| {
        let mut fields = entry.split_whitespace();
        let (image, wnid) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let label = wnids.iter().position(|known| known == wnid).ok_or_else(|| {
            let reason = format!("class `{wnid}`, wanted one of wnids.txt");
            fault(&list, format!("line {line}"), reason)
        })?;
        let path = PathBuf::from("val/images").join(image);
        Ok(ImageFile { path, label: Some(label) })
    };
    lines(&list)?.into_iter().map(file).collect()
}

/// The words of WordNet's numbers, which are names themselves where the list is missing.
fn names(folder: &Path, wnids: Vec<String>) -> Result<Vec<String>, DatasetError> {
    let list = folder.join("words.txt");
    if !list.is_file() {
        return Ok(wnids);
    }
    let words = lines(&list)?;
    let words: HashMap<&str, &str> =
        words.iter().filter_map(|(_, line)| line.split_once('\t')).collect();
    let name =
        |wnid: String| words.get(wnid.as_str()).map_or(wnid.clone(), |words| (*words).to_owned());
    Ok(wnids.into_iter().map(name).collect())
}
