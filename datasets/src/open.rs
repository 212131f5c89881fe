//! From the text a user gives to a dataset.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::folder::sub_folders;
use crate::idx::Idx;
use crate::known::{KNOWN_DATASETS, KnownDataset, known_dataset};
use crate::layout::{Level, Wanted, layout_of};
use crate::{BadImages, Cifar10, Cifar100, Dataset, DatasetError, ImageFiles, Split, cache_folder};

const CIFAR10_SAMPLE: &str = "cifar10-sample";
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The training and the test images of one dataset.
pub struct TrainTest {
    /// The images to learn from.
    pub train: Box<dyn Dataset>,
    /// The images to measure on, of the same classes.
    pub test: Box<dyn Dataset>,
}

/// Opens one split of a dataset: a name of [`KNOWN_DATASETS`], which lies in the cache, or the path of a folder (a
/// folder of such a name is `./mnist`).
///
/// What a folder holds decides how it is read: the official layout of a known dataset, otherwise a folder of images,
/// `train/class/file` and `test/class/file` (or `val`, `valid`, `validation`), `class/file`, or unlabelled files. A
/// folder that is not divided gives all its images for either split. iNaturalist takes a level of the tree of life
/// for its classes, as in `inat2019:genus`.
///
/// # Errors
/// When the name is unknown, or the dataset cannot be read.
pub fn open(
    spec: &str,
    split: Split,
    bad_images: BadImages,
) -> Result<Box<dyn Dataset>, DatasetError> {
    if spec == CIFAR10_SAMPLE {
        return Ok(Box::new(Cifar10::sample(split)?));
    }
    let Place { name, folder, level } = Place::of(spec)?;
    let wanted = Wanted { split, bad_images, level: level.unwrap_or_default() };
    let layout = layout_of(&folder);
    if level.is_some() && layout.is_none_or(|layout| layout.name != "inat2019") {
        let reason = "only iNaturalist has levels of the tree of life".to_owned();
        return Err(DatasetError::Level { spec: spec.to_owned(), reason });
    }
    if let Some(layout) = layout {
        return layout.open(&folder, wanted);
    }
    if Idx::is_layout(&folder) {
        let classes: Vec<String> = match name {
            Some("fashion_mnist") => FASHION.map(str::to_owned).to_vec(),
            _ => (0..10).map(|digit| digit.to_string()).collect(),
        };
        return Ok(Box::new(Idx::open(&folder, split, classes)?));
    }
    if Cifar10::is_layout(&folder) {
        return Ok(Box::new(Cifar10::open(&folder, split)?));
    }
    if Cifar100::is_layout(&folder) {
        return Ok(Box::new(Cifar100::open(&folder, split)?));
    }
    open_images(&folder, split, bad_images)
}

/// Opens both splits, and refuses a dataset that would be measured on the images it learns from.
///
/// # Errors
/// As [`open`]; also when a folder is not divided, its images are unlabelled, or the splits differ in their classes.
pub fn open_train_test(spec: &str, bad_images: BadImages) -> Result<TrainTest, DatasetError> {
    if let (_, Some(path)) = divided_folder(spec)?
        && !has_test_images(&path)?
    {
        return Err(DatasetError::NotSplit { path });
    }
    let train = open(spec, Split::Train, bad_images)?;
    let test = open(spec, Split::Test, bad_images)?;
    same_classes(spec, train.classes(), test.classes())?;
    if train.classes().is_empty() {
        return Err(DatasetError::Unlabelled { spec: spec.to_owned() });
    }
    Ok(TrainTest { train, test })
}

/// Refuses a folder of images whose training and test images have different classes: a model that learnt those of one
/// would be measured on others. Lists folders alone, so that one split can be opened without the other.
///
/// # Errors
/// When the classes differ, or the folder cannot be listed. A split that is not there or unlabelled has none to
/// compare.
pub fn check_split_classes(spec: &str) -> Result<(), DatasetError> {
    let (_, Some(folder)) = divided_folder(spec)? else { return Ok(()) };
    // Official layouts list their classes once.
    let (false, Some(present)) = (is_layout(&folder), split_names(&folder)?) else { return Ok(()) };
    let classes = |split| match split_name(split, &present) {
        Some(name) => sub_folders(&folder.join(name)),
        None => Ok(Vec::new()),
    };
    let (train, test) = (classes(Split::Train)?, classes(Split::Test)?);
    if train.is_empty() || test.is_empty() {
        return Ok(());
    }
    same_classes(spec, &train, &test)
}

/// Names the classes of one split that the other lacks.
pub(crate) fn same_classes(
    spec: &str,
    train: &[String],
    test: &[String],
) -> Result<(), DatasetError> {
    if train == test {
        return Ok(());
    }
    let only = |of: &[String], other: &[String]| {
        let other: BTreeSet<_> = other.iter().collect();
        let only: Vec<_> = of.iter().filter(|class| !other.contains(class)).cloned().collect();
        listed(&only)
    };
    let (train, test) = (only(train, test), only(test, train));
    Err(DatasetError::ClassesDiffer { spec: spec.to_owned(), train, test })
}

/// What is known of the dataset that a text means: by its name, or by the layout of its folder where only one dataset
/// has it.
pub(crate) fn manifest_of(spec: &str) -> Result<Option<&'static KnownDataset>, DatasetError> {
    if spec == CIFAR10_SAMPLE {
        return Ok(known_dataset(CIFAR10_SAMPLE));
    }
    let Place { name, folder, .. } = Place::of(spec)?;
    let by_layout = || match layout_of(&folder) {
        Some(layout) => Some(layout.name),
        None if Cifar10::is_layout(&folder) => Some("cifar10"),
        None if Cifar100::is_layout(&folder) => Some("cifar100"),
        None => None,
    };
    Ok(name.or_else(by_layout).and_then(known_dataset))
}

/// Whether the splits of a dataset are parts of their own, and where the dataset is (nowhere, if it is in the program).
pub(crate) fn divided_folder(spec: &str) -> Result<(bool, Option<PathBuf>), DatasetError> {
    if spec == CIFAR10_SAMPLE {
        return Ok((true, None));
    }
    let Place { folder, .. } = Place::of(spec)?;
    Ok((is_layout(&folder) || split_names(&folder)?.is_some(), Some(folder)))
}

/// Whether a known dataset is where its name is looked for.
///
/// # Errors
/// When no cache folder is known.
pub fn is_in_cache(known: &KnownDataset) -> Result<bool, DatasetError> {
    let path = cache_folder()?.join(known.name);
    Ok(match known {
        KnownDataset { name: CIFAR10_SAMPLE, .. } => true,
        KnownDataset { is_fetched: true, .. } => is_layout(&path),
        _ => path.is_dir(),
    })
}

/// Names of classes, the first of many.
fn listed(classes: &[String]) -> String {
    const MANY: usize = 10;
    let first = classes[..classes.len().min(MANY)].join(", ");
    match classes.len().saturating_sub(MANY) {
        0 if classes.is_empty() => "none".to_owned(),
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Whether a folder has the official layout of a dataset that is more than a folder of images.
fn is_layout(folder: &Path) -> bool {
    layout_of(folder).is_some()
        || Idx::is_layout(folder)
        || Cifar10::is_layout(folder)
        || Cifar100::is_layout(folder)
}

/// Whether a folder has test images of their own.
fn has_test_images(folder: &Path) -> Result<bool, DatasetError> {
    let present = split_names(folder)?.unwrap_or_default();
    Ok(is_layout(folder) || split_name(Split::Test, &present).is_some())
}

/// Where a dataset is.
struct Place {
    /// Its name, where it was asked for by that.
    name: Option<&'static str>,
    folder: PathBuf,
    level: Option<Level>,
}

impl Place {
    fn of(spec: &str) -> Result<Self, DatasetError> {
        if known_dataset(spec).is_none() && PathBuf::from(spec).is_dir() {
            return Ok(Self { name: None, folder: spec.into(), level: None });
        }
        let (place, level) = match spec.rsplit_once(':') {
            Some((place, level)) if !level.contains(['/', '\\']) => {
                let level = level.parse().map_err(|want: &str| DatasetError::Level {
                    spec: spec.to_owned(),
                    reason: format!("`{level}` is no level, {want}"),
                })?;
                (place, Some(level))
            }
            _ => (spec, None),
        };
        if let Some(known) = known_dataset(place) {
            return Ok(Self { name: Some(known.name), folder: in_cache(known)?, level });
        }
        Ok(Self { name: None, folder: known_folder(place)?, level })
    }
}

/// The folder of a known dataset in the cache.
fn in_cache(known: &KnownDataset) -> Result<PathBuf, DatasetError> {
    let KnownDataset { name, source: origin, layout, is_fetched, .. } = *known;
    let path = cache_folder()?.join(name);
    match is_in_cache(known)? {
        true => Ok(path),
        false if is_fetched => Err(DatasetError::NotFetched { name, path }),
        false => Err(DatasetError::NotPresent { name, path, origin, layout }),
    }
}

/// The folder a text means. Text with neither a separator nor a folder behind it was meant as a name.
fn known_folder(spec: &str) -> Result<PathBuf, DatasetError> {
    let path = PathBuf::from(spec);
    if path.is_dir() {
        return Ok(path);
    }
    if path.components().count() > 1 {
        return Err(DatasetError::MissingFolder { path });
    }
    let known: Vec<_> = KNOWN_DATASETS.iter().map(|known| format!("`{}`", known.name)).collect();
    Err(DatasetError::UnknownDataset { name: spec.to_owned(), known: known.join(", ") })
}

/// A folder of images, divided into splits or not.
fn open_images(
    folder: &Path,
    split: Split,
    bad_images: BadImages,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let folder = match split_names(folder)? {
        None => folder.to_owned(),
        Some(present) => {
            let name = split_name(split, &present).unwrap_or(accepted_names(split)[0]);
            folder.join(name)
        }
    };
    Ok(Box::new(ImageFiles::open(&folder, bad_images)?))
}

/// Names of the folders of a split, the first that exists is taken.
fn accepted_names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Test => &["test", "val", "valid", "validation"],
    }
}

/// The folder of a split among those that are there.
fn split_name(split: Split, present: &[String]) -> Option<&'static str> {
    accepted_names(split).iter().find(|name| present.iter().any(|found| found == *name)).copied()
}

/// The sub-folders of a folder that is divided into splits, `None` for any other. It counts as divided only if all of
/// its sub-folders are named after splits, so that `train` may also be a class beside `bus` and `tram`.
fn split_names(folder: &Path) -> Result<Option<Vec<String>>, DatasetError> {
    let names = sub_folders(folder)?;
    let is_split = |name: &String| {
        [Split::Train, Split::Test].iter().any(|split| accepted_names(*split).contains(&&**name))
    };
    Ok((!names.is_empty() && names.iter().all(is_split)).then_some(names))
}

#[cfg(test)]
mod tests;
