//! A folder of image files, with or without classes.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::images::ImageFile;
use crate::{BadImages, DatasetError, ImageFiles};

/// Names of image files that are taken for images without looking into them.
const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

impl ImageFiles {
    /// Lists image files in a folder: one sub-folder for each class, or all in one folder and unlabelled.
    ///
    /// Classes and files are sorted by name; hidden files are passed over, and so are files that are images neither by
    /// name nor by content.
    ///
    /// # Errors
    /// When the folder or one of its class folders is missing, unreadable, or without images, or when it holds both
    /// images and sub-folders.
    pub fn open(folder: &Path, bad_images: BadImages) -> Result<Self, DatasetError> {
        let classes = sub_folders(folder)?;
        let mut files = list_images(folder, Path::new(""), None)?;
        if !classes.is_empty() && !files.is_empty() {
            return Err(DatasetError::MixedFolder { path: folder.to_owned() });
        }
        for (label, class) in classes.iter().enumerate() {
            let found = list_tree(folder, Path::new(class), label)?;
            if found.is_empty() {
                return Err(DatasetError::EmptyFolder { path: folder.join(class) });
            }
            files.extend(found);
        }
        Self::new(folder, classes, files, bad_images)
    }

    /// One image file, unlabelled.
    ///
    /// # Errors
    /// When it is no file.
    pub fn one(file: &Path) -> Result<Self, DatasetError> {
        fs::metadata(file).map_err(DatasetError::io("read", file))?;
        let (folder, name) = (file.parent(), file.file_name());
        let image = ImageFile { path: name.unwrap_or_default().into(), label: None };
        let folder = folder.unwrap_or(Path::new(""));
        Self::new(folder, Vec::new(), vec![image], BadImages::Refuse)
    }
}

/// Names of the visible sub-folders, sorted.
pub(crate) fn sub_folders(folder: &Path) -> Result<Vec<String>, DatasetError> {
    let names = visible_entries(folder)?.into_iter().filter(|name| folder.join(name).is_dir());
    Ok(names.collect())
}

/// Images under `root/relative` and its sub-folders.
fn list_tree(root: &Path, relative: &Path, label: usize) -> Result<Vec<ImageFile>, DatasetError> {
    let mut files = list_images(root, relative, Some(label))?;
    for folder in sub_folders(&root.join(relative))? {
        files.extend(list_tree(root, &relative.join(folder), label)?);
    }
    Ok(files)
}

/// Images directly in `root/relative`.
pub(crate) fn list_images(
    root: &Path,
    relative: &Path,
    label: Option<usize>,
) -> Result<Vec<ImageFile>, DatasetError> {
    let mut files = Vec::new();
    for name in visible_entries(&root.join(relative))? {
        let path = relative.join(name);
        if is_image(&root.join(&path))? {
            files.push(ImageFile { path, label });
        }
    }
    Ok(files)
}

/// Names of everything in a folder that is not hidden, sorted.
fn visible_entries(folder: &Path) -> Result<Vec<String>, DatasetError> {
    if !folder.is_dir() {
        return Err(DatasetError::MissingFolder { path: folder.to_owned() });
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(DatasetError::io("list", folder))? {
        let name = entry.map_err(DatasetError::io("list", folder))?.file_name();
        match name.into_string() {
            Ok(name) if name.starts_with('.') => {}
            Ok(name) => names.push(name),
            Err(name) => return Err(DatasetError::FileName { path: folder.join(name) }),
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a file is an image by its name or by its first bytes.
fn is_image(path: &Path) -> Result<bool, DatasetError> {
    if !path.is_file() {
        return Ok(false);
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    if extension.is_some_and(|found| EXTENSIONS.iter().any(|e| found.eq_ignore_ascii_case(e))) {
        return Ok(true);
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(DatasetError::io("read", path))?;
    file.take(16).read_to_end(&mut start).map_err(DatasetError::io("read", path))?;
    Ok(image::guess_format(&start).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;
    use crate::fixtures::{TempFolder, png_bytes};

    fn open(folder: &TempFolder) -> Result<ImageFiles, DatasetError> {
        ImageFiles::open(folder.path(), BadImages::Refuse)
    }

    fn names(dataset: &ImageFiles) -> Vec<String> {
        (0..dataset.len()).map(|index| dataset.name(index)).collect()
    }

    #[test]
    fn classes_and_files_are_sorted() {
        let png = png_bytes([1, 2, 3]);
        let files = ["dog/b.png", "dog/a.png", "cat/deep/z.png", "cat/y.png"];
        let folder = TempFolder::with(files.map(|name| (name, png.as_slice())));
        let dataset = open(&folder).expect("the folder is good");
        assert_eq!(dataset.classes(), ["cat", "dog"]);
        assert_eq!(names(&dataset), ["cat/y.png", "cat/deep/z.png", "dog/a.png", "dog/b.png"]);
        assert_eq!((dataset.label(1), dataset.label(2)), (Some(0), Some(1)));
    }

    #[test]
    fn a_flat_folder_is_unlabelled() {
        let png = png_bytes([1, 2, 3]);
        let folder = TempFolder::with([("b.png", png.as_slice()), ("a.png", &png)]);
        let dataset = open(&folder).expect("the folder is good");
        assert_eq!(names(&dataset), ["a.png", "b.png"]);
        assert!(dataset.classes().is_empty());
        assert_eq!(dataset.label(0), None);
    }

    #[test]
    fn the_content_decides_not_the_name() {
        let png = png_bytes([9, 8, 7]);
        let notes: &[u8] = b"not an image";
        let folder =
            TempFolder::with([("a.jpg", png.as_slice()), ("no-name", &png), ("notes.txt", notes)]);
        let dataset = open(&folder).expect("the folder is good");
        assert_eq!(names(&dataset), ["a.jpg", "no-name"]);
        for index in 0..2 {
            let image = dataset.image(index).expect("it is a PNG whatever its name");
            assert_eq!(image.get_pixel(0, 0).0, [9, 8, 7]);
        }
    }

    #[test]
    fn a_bad_image_among_good_ones_is_named() {
        let png = png_bytes([1, 2, 3]);
        let folder = TempFolder::with([("a.png", png.as_slice()), ("bad.png", &png[..40])]);
        let dataset = open(&folder).expect("the files are listed, not decoded");
        assert!(dataset.image(0).is_ok());
        let error = dataset.image(1).expect_err("most of the file is missing");
        assert!(matches!(error, DatasetError::BadImage { .. }));
        assert!(error.to_string().ends_with("bad.png"), "{error}");
    }

    #[test]
    fn bad_images_can_be_skipped_and_are_listed() {
        let png = png_bytes([1, 2, 3]);
        let files = [
            ("cat/a.png", &png[..40]),
            ("cat/b.png", &png),
            ("dog/c.jpg", b"text".as_slice()),
            ("dog/d.png", &png),
        ];
        let folder = TempFolder::with(files);
        let dataset = ImageFiles::open(folder.path(), BadImages::Skip { at_most: 2 })
            .expect("two images are good");
        assert_eq!(names(&dataset), ["cat/b.png", "dog/d.png"]);
        assert_eq!(dataset.skipped(), ["cat/a.png", "dog/c.jpg"]);
    }

    #[test]
    fn only_bad_images_are_as_good_as_none() {
        let folder = TempFolder::with([("a.png", b"text".as_slice())]);
        let error = ImageFiles::open(folder.path(), BadImages::Skip { at_most: 2 })
            .expect_err("none is left");
        assert!(matches!(error, DatasetError::EmptyFolder { .. }));
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let folder = TempFolder::with([("notes.txt", b"text".as_slice())]);
        let error = open(&folder).expect_err("a text is no image");
        assert!(matches!(error, DatasetError::EmptyFolder { .. }));
    }

    #[test]
    fn an_empty_class_is_refused_by_its_path() {
        let png = png_bytes([1, 2, 3]);
        let folder = TempFolder::with([("cat/a.png", png.as_slice()), ("dog/notes.txt", b"text")]);
        let error = open(&folder).expect_err("there are no dogs");
        assert!(
            matches!(&error, DatasetError::EmptyFolder { path } if path.ends_with("dog")),
            "{error}"
        );
    }

    #[test]
    fn images_beside_class_folders_are_refused() {
        let png = png_bytes([1, 2, 3]);
        let folder = TempFolder::with([("cat/a.png", png.as_slice()), ("b.png", &png)]);
        let error = open(&folder).expect_err("it is unclear which are meant");
        assert!(matches!(error, DatasetError::MixedFolder { .. }));
    }

    #[test]
    fn a_missing_folder_is_refused() {
        let folder = TempFolder::with([]);
        let error = ImageFiles::open(&folder.path().join("gone"), BadImages::Refuse)
            .expect_err("the folder was never made");
        assert!(matches!(&error, DatasetError::MissingFolder { path } if path.ends_with("gone")));
    }
}
