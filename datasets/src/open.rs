//! From the text a user gives to a dataset.

use std::path::{Path, PathBuf};

use crate::fetch::is_complete;
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
    if let (false, Some(path)) = divided_folder(spec)? {
        return Err(DatasetError::NotSplit { path });
    }
    let train = open(spec, Split::Train, bad_images)?;
    let test = open(spec, Split::Test, bad_images)?;
    if train.classes() != test.classes() {
        return Err(DatasetError::ClassesDiffer {
            spec: spec.to_owned(),
            train: listed(train.classes()),
            test: listed(test.classes()),
        });
    }
    if train.classes().is_empty() {
        return Err(DatasetError::Unlabelled { spec: spec.to_owned() });
    }
    Ok(TrainTest { train, test })
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
        KnownDataset { name, is_fetched: true, .. } => is_complete(name, &path),
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
            let wanted = accepted_names(split);
            let name = wanted.iter().find(|name| present.iter().any(|found| found == *name));
            folder.join(name.unwrap_or(&wanted[0]))
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
mod tests {
    use super::*;
    use crate::fixtures::{TempFolder, png_bytes, records};

    fn images(names: &[&str]) -> TempFolder {
        let png = png_bytes([1, 2, 3]);
        TempFolder::with(names.iter().map(|name| (*name, png.as_slice())))
    }

    fn open_at(folder: &TempFolder, split: Split) -> Result<Box<dyn Dataset>, DatasetError> {
        open(spec(folder), split, BadImages::Refuse)
    }

    fn spec(folder: &TempFolder) -> &str {
        folder.path().to_str().expect("temporary folders have plain names")
    }

    fn check_names(folder: &TempFolder, split: Split, want: &[&str]) {
        let dataset = open_at(folder, split).expect("the folder is good");
        let names: Vec<_> = (0..dataset.len()).map(|index| dataset.name(index)).collect();
        assert_eq!(names, want);
    }

    #[test]
    fn a_divided_folder_gives_its_split() {
        let folder = images(&["train/cat/a.png", "val/cat/b.png", "val/cat/c.png"]);
        check_names(&folder, Split::Train, &["cat/a.png"]);
        check_names(&folder, Split::Test, &["cat/b.png", "cat/c.png"]);
    }

    #[test]
    fn test_goes_before_val() {
        let folder = images(&["train/cat/a.png", "val/cat/b.png", "test/cat/c.png"]);
        check_names(&folder, Split::Test, &["cat/c.png"]);
    }

    #[test]
    fn train_may_be_a_class() {
        let folder = images(&["train/a.png", "tram/b.png"]);
        check_names(&folder, Split::Test, &["train/a.png", "tram/b.png"]);
    }

    #[test]
    fn a_folder_of_records_is_cifar10() {
        let (train, test) = (records(&[1, 2]), records(&[3]));
        let mut files = vec![("test_batch.bin", test.as_slice())];
        let batches = (1..=5).map(|batch| format!("data_batch_{batch}.bin")).collect::<Vec<_>>();
        files.extend(batches.iter().map(|name| (name.as_str(), train.as_slice())));
        let folder = TempFolder::with(files);
        let both = open_train_test(spec(&folder), BadImages::Refuse).expect("the layout is whole");
        assert_eq!((both.train.len(), both.test.len()), (10, 1));
    }

    /// Some of ImageNet's files are PNGs by another name.
    #[test]
    fn imagenet() {
        let files = [
            "train/n01440764/n01440764_10026.JPEG",
            "train/n01443537/n01443537_10007.JPEG",
            "val/n01440764/ILSVRC2012_val_00000293.JPEG",
            "val/n01443537/ILSVRC2012_val_00000236.JPEG",
        ];
        let images: Vec<_> =
            (0..).zip(files).map(|(red, file)| (file, png_bytes([red, 9, 8]))).collect();
        let folder = TempFolder::with(images.iter().map(|(file, bytes)| (*file, bytes.as_slice())));
        let TrainTest { train, test } =
            open_train_test(spec(&folder), BadImages::Refuse).expect("the layout is whole");
        assert_eq!(train.classes(), ["n01440764", "n01443537"]);
        for (dataset, start) in [(&train, 0), (&test, 2)] {
            assert_eq!((dataset.len(), dataset.label(0), dataset.label(1)), (2, Some(0), Some(1)));
            let red = |at| dataset.image(at).expect("the image is good").get_pixel(5, 4).0[0];
            assert_eq!((red(0), red(1)), (start, start + 1));
            assert!(dataset.name(1).starts_with("n01443537/"));
        }
    }

    /// As they come out of the official archive, before they are moved to their classes.
    #[test]
    fn imagenets_validation_images_without_classes_are_refused() {
        let folder = images(&["train/n01440764/a.JPEG", "val/ILSVRC2012_val_00000001.JPEG"]);
        let error = open_train_test(spec(&folder), BadImages::Refuse).err().expect("no labels");
        assert!(
            error.to_string().contains("have the classes n01440764, the test images none"),
            "{error}"
        );
    }

    #[test]
    fn a_name_means_the_dataset_and_not_a_folder_here() {
        let known = Place::of("no-such-name").err().expect("it is none");
        assert!(matches!(known, DatasetError::UnknownDataset { .. }), "{known}");
        let error = Place::of("imagenet:genus").err().expect("it is not in the cache");
        assert!(matches!(error, DatasetError::NotPresent { name: "imagenet", .. }), "{error}");
    }

    #[test]
    fn levels_belong_to_inaturalist() {
        let folder = images(&["train/cat/a.png", "test/cat/b.png"]);
        let refused = |level: &str, reason: &str| {
            let spec = format!("{}:{level}", spec(&folder));
            let error = open(&spec, Split::Train, BadImages::Refuse).err().expect("no levels");
            assert!(error.to_string().contains(reason), "{error}");
        };
        refused("genus", "only iNaturalist has levels of the tree of life");
        refused("tribe", "`tribe` is no level, wanted species, genus, family");
    }

    #[test]
    fn many_classes_are_cut_short() {
        let names = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&[]), "none");
        assert_eq!(listed(&names(10)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(listed(&names(1000)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 990 more");
    }

    #[test]
    fn a_missing_split_is_named() {
        let folder = images(&["train/cat/a.png"]);
        let error = open_at(&folder, Split::Test).err().expect("there is no test folder");
        assert!(matches!(&error, DatasetError::MissingFolder { path } if path.ends_with("test")));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = open("cifar11", Split::Train, BadImages::Refuse).err().expect("no such set");
        assert_eq!(
            error.to_string(),
            "unknown dataset `cifar11`; known are `cifar10`, `cifar10-sample`, `cifar100`, `imagenet`, \
             `food101`, `flowers102`, `stanford_cars`, `cub200`, `inat2019`, `fashion_mnist`, `mnist`, \
             `tiny_imagenet`, or the path of a folder"
        );
    }

    #[test]
    fn a_path_to_nothing_is_a_missing_folder() {
        let error = open("no/such/folder", Split::Train, BadImages::Refuse).err();
        assert!(matches!(error, Some(DatasetError::MissingFolder { .. })));
    }

    #[test]
    fn training_on_the_test_images_is_refused() {
        let folder = images(&["cat/a.png", "dog/b.png"]);
        let error = open_train_test(spec(&folder), BadImages::Refuse).err();
        assert!(matches!(error, Some(DatasetError::NotSplit { .. })));
    }

    #[test]
    fn splits_of_other_classes_are_refused() {
        let folder = images(&["train/cat/a.png", "train/dog/b.png", "test/cat/c.png"]);
        let error = open_train_test(spec(&folder), BadImages::Refuse).err().expect("no test dogs");
        assert!(error.to_string().contains("cat, dog"), "{error}");
    }

    #[test]
    fn unlabelled_splits_are_refused() {
        let folder = images(&["train/a.png", "test/b.png"]);
        let error = open_train_test(spec(&folder), BadImages::Refuse).err();
        assert!(matches!(error, Some(DatasetError::Unlabelled { .. })));
    }
}
