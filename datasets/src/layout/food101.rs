//! Food-101: `images/CLASS/ID.jpg`, splits as lists of `CLASS/ID`.
//!
//! Bossard et al., "Food-101: Mining Discriminative Components with Random Forests", 2014,
//! <https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/>.

use std::path::{Path, PathBuf};

use super::{Wanted, fault, lines};
use crate::images::ImageFile;
use crate::{Dataset, DatasetError, ImageFiles};

pub(super) fn open(folder: &Path, wanted: Wanted) -> Result<Box<dyn Dataset>, DatasetError> {
    let names = lines(&folder.join("meta/classes.txt"))?;
    let classes: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
    let list = folder.join(format!("meta/{}.txt", wanted.split));
    let file = |(line, entry): (usize, String)| {
        let class = entry.split_once('/').map(|(class, _)| class);
        let label = classes.iter().position(|known| Some(known.as_str()) == class);
        let label = label.ok_or_else(|| {
            let reason = format!("`{entry}`, wanted a class of classes.txt, `/` and an image");
            fault(&list, format!("line {line}"), reason)
        })?;
        let path = PathBuf::from(format!("images/{entry}.jpg"));
        Ok(ImageFile { path, label: Some(label) })
    };
    let files = lines(&list)?.into_iter().map(file).collect::<Result<_, DatasetError>>()?;
    Ok(Box::new(ImageFiles::new(folder, classes.clone(), files, wanted.bad_images)?))
}
