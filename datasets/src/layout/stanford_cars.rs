//! Stanford Cars: `cars_train/` and `cars_test/`, annotated in MATLAB structures of the development kit.
//!
//! Krause et al., "3D Object Representations for Fine-Grained Categorization", 2013. The labels of the test images
//! are a file of their own, `cars_test_annos_withlabels.mat`, which lies beside the folders or in the kit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Wanted, from_one};
use crate::images::ImageFile;
use crate::mat::{MatFile, Value};
use crate::{Dataset, DatasetError, ImageFiles, Split};

pub(super) fn open(folder: &Path, wanted: Wanted) -> Result<Box<dyn Dataset>, DatasetError> {
    let meta = folder.join("devkit/cars_meta.mat");
    let classes: Vec<String> = MatFile::read(&meta)?.get("class_names", |names| {
        names.cells()?.iter().map(|name| name.text().map(str::to_owned)).collect()
    })?;
    let (images, annotations) = match wanted.split {
        Split::Train => ("cars_train", folder.join("devkit/cars_train_annos.mat")),
        Split::Test => {
            let name = "cars_test_annos_withlabels.mat";
            let places = [folder.join(name), folder.join("devkit").join(name)];
            let found = places.iter().find(|path| path.is_file()).unwrap_or(&places[0]);
            ("cars_test", found.clone())
        }
    };
    let files = MatFile::read(&annotations)?.get("annotations", |annotations| {
        let files = annotations.structs()?.iter().enumerate();
        files
            .map(|(at, annotation)| {
                image_file(annotation, images, classes.len())
                    .map_err(|reason| format!("annotation {}: {reason}", at + 1))
            })
            .collect()
    })?;
    Ok(Box::new(ImageFiles::new(folder, classes, files, wanted.bad_images)?))
}

fn image_file(
    annotation: &BTreeMap<String, Value>,
    images: &str,
    classes: usize,
) -> Result<ImageFile, String> {
    let field = |name: &str| annotation.get(name).ok_or_else(|| format!("no field `{name}`"));
    let label = from_one(field("class")?.index()?, classes)?;
    let path = PathBuf::from(images).join(field("fname")?.text()?);
    Ok(ImageFile { path, label: Some(label) })
}
