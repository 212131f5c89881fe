//! Texts, and the datasets that they mean.

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
        error.to_string().contains("only in training: n01440764; only in test: none"),
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
    for files in [["cat/a.png", "dog/b.png"], ["train/cat/a.png", "train/dog/b.png"]] {
        let folder = images(&files);
        let error = open_train_test(spec(&folder), BadImages::Refuse).err();
        assert!(matches!(error, Some(DatasetError::NotSplit { .. })), "{files:?}: {error:?}");
    }
}

#[test]
fn splits_of_other_classes_are_refused() {
    let folder = images(&["train/cat/a.png", "train/dog/b.png", "test/cat/c.png"]);
    let error = open_train_test(spec(&folder), BadImages::Refuse).err().expect("no test dogs");
    let want = "only in training: dog; only in test: none";
    assert!(error.to_string().ends_with(want), "{error}");
    let alone = check_split_classes(spec(&folder)).expect_err("no test dogs");
    assert_eq!(alone.to_string(), error.to_string());
}

#[test]
fn a_split_without_the_other_has_no_classes_to_compare() {
    for names in [&["val/cat/a.png"][..], &["cat/a.png"], &["train/cat/a.png", "val/b.png"]] {
        assert!(check_split_classes(spec(&images(names))).is_ok(), "{names:?}");
    }
    assert!(check_split_classes("cifar10-sample").is_ok());
}

#[test]
fn unlabelled_splits_are_refused() {
    let folder = images(&["train/a.png", "test/b.png"]);
    let error = open_train_test(spec(&folder), BadImages::Refuse).err();
    assert!(matches!(error, Some(DatasetError::Unlabelled { .. })));
}
