//! Each official layout in small: annotations from `fixtures/layouts`, images of one colour each.

use std::path::Path;

use super::*;
use crate::fixtures::{TempFolder, png_bytes};

/// The annotations of a fixture, read when the test is compiled.
macro_rules! fixture {
    ($set:literal, $name:literal) => {
        ($name, include_bytes!(concat!("../../fixtures/layouts/", $set, "/", $name)).as_slice())
    };
}

/// Annotations, and an image at each of the paths; an image's red is its place in their list.
fn set(annotations: &[(&str, &[u8])], images: &[&str]) -> TempFolder {
    let bytes: Vec<Vec<u8>> = (0..).zip(images).map(|(red, _)| png_bytes([red, 50, 9])).collect();
    let images = images.iter().zip(&bytes).map(|(path, bytes)| (*path, bytes.as_slice()));
    TempFolder::with(annotations.iter().copied().chain(images))
}

fn open(folder: &Path, split: Split, level: Level) -> Result<Box<dyn Dataset>, DatasetError> {
    let wanted = Wanted { split, bad_images: BadImages::Refuse, level };
    layout_of(folder).expect("the layout is known by its files").open(folder, wanted)
}

/// Name, label and red of each image.
fn contents(folder: &TempFolder, split: Split) -> Vec<(String, usize, u8)> {
    let dataset = open(folder.path(), split, Level::default()).expect("the layout is whole");
    let content = |index| {
        let image = dataset.image(index).expect("the image is good");
        let label = dataset.label(index).expect("every image has a label");
        (dataset.name(index), label, image.get_pixel(0, 0).0[0])
    };
    (0..dataset.len()).map(content).collect()
}

fn check(folder: &TempFolder, split: Split, wanted: &[(&str, usize, u8)]) {
    let wanted = wanted.iter().map(|(name, label, red)| ((*name).to_owned(), *label, *red));
    let wanted: Vec<_> = wanted.collect();
    assert_eq!(contents(folder, split), wanted);
}

/// The training split of annotations of which one was replaced; the error's message.
fn refused(annotations: &[(&str, &[u8])], replaced: &str, with: &[u8]) -> String {
    assert!(annotations.iter().any(|(name, _)| *name == replaced), "{replaced} is an annotation");
    let changed = annotations.iter().map(|(name, bytes)| match *name == replaced {
        true => (*name, with),
        false => (*name, *bytes),
    });
    let folder = TempFolder::with(changed);
    let error = open(folder.path(), Split::Train, Level::default()).err().expect("it is refused");
    error.to_string()
}

const FOOD: [(&str, &[u8]); 3] = [
    ("meta/classes.txt", b"apple_pie\nbaby_back_ribs\n"),
    ("meta/train.txt", b"baby_back_ribs/7\napple_pie/12\n"),
    ("meta/test.txt", b"apple_pie/3\n"),
];

#[test]
fn food101() {
    let images =
        ["images/apple_pie/12.jpg", "images/baby_back_ribs/7.jpg", "images/apple_pie/3.jpg"];
    let folder = set(&FOOD, &images);
    check(
        &folder,
        Split::Train,
        &[("images/baby_back_ribs/7.jpg", 1, 1), ("images/apple_pie/12.jpg", 0, 0)],
    );
    check(&folder, Split::Test, &[("images/apple_pie/3.jpg", 0, 2)]);
    let message = refused(&FOOD, "meta/train.txt", b"apple_pie/1\nsoup/2\n");
    assert!(message.contains("train.txt: line 2: `soup/2`, wanted a class"), "{message}");
    let message = refused(&FOOD, "meta/train.txt", b"");
    assert!(message.starts_with("no images in"), "{message}");
}

const FLOWERS: [(&str, &[u8]); 2] =
    [fixture!("flowers102", "imagelabels.mat"), fixture!("flowers102", "setid.mat")];

#[test]
fn flowers102() {
    let images: Vec<String> = (1..=6).map(|image| format!("jpg/image_{image:05}.jpg")).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let folder = set(&FLOWERS, &images);
    let train = [
        ("jpg/image_00004.jpg", 0, 3),
        ("jpg/image_00001.jpg", 76, 0),
        ("jpg/image_00005.jpg", 2, 4),
    ];
    check(&folder, Split::Train, &train);
    let test = [
        ("jpg/image_00006.jpg", 2, 5),
        ("jpg/image_00002.jpg", 0, 1),
        ("jpg/image_00003.jpg", 101, 2),
    ];
    check(&folder, Split::Test, &test);

    let labels = FLOWERS[0].1;
    for (bytes, reason) in [
        (&labels[..60], "MAT file: 60 bytes, wanted a header of 128"),
        (&labels[..150], "MAT file: truncated: "),
        (&labels[..128], "labels: missing beside "),
        (FLOWERS[1].1, "labels: missing beside trnid, tstid, valid"),
        (
            fixture!("flowers102", "wrong/imagelabels.mat").1,
            "labels: class 103, but there are 1 to 102",
        ),
    ] {
        let message = refused(&FLOWERS, "imagelabels.mat", bytes);
        assert!(message.contains(&format!("imagelabels.mat: {reason}")), "{message}");
    }
    let message = refused(&FLOWERS, "setid.mat", fixture!("flowers102", "wrong/setid.mat").1);
    let reason = "setid.mat: trnid: image 7, but there are labels of 1 to 6";
    assert!(message.contains(reason), "{message}");
    // Saved by MATLAB with `-v7.3`, and on another kind of machine.
    for (end, reason) in
        [([0, 2, b'I', b'M'], "version 7.3"), ([1, 0, b'M', b'I'], "little-endian")]
    {
        let changed = [&labels[..124], &end, &labels[128..]].concat();
        let message = refused(&FLOWERS, "imagelabels.mat", &changed);
        assert!(message.contains(reason), "{message}");
    }
}

const CARS: [(&str, &[u8]); 3] = [
    fixture!("stanford_cars", "devkit/cars_meta.mat"),
    fixture!("stanford_cars", "devkit/cars_train_annos.mat"),
    fixture!("stanford_cars", "cars_test_annos_withlabels.mat"),
];

#[test]
fn stanford_cars() {
    let images = [
        "cars_train/00001.jpg",
        "cars_train/00002.jpg",
        "cars_train/00003.jpg",
        "cars_test/00001.jpg",
        "cars_test/00002.jpg",
    ];
    let folder = set(&CARS, &images);
    check(&folder, Split::Train, &[(images[0], 2, 0), (images[1], 0, 1), (images[2], 2, 2)]);
    check(&folder, Split::Test, &[(images[3], 1, 3), (images[4], 0, 4)]);
    let dataset = open(folder.path(), Split::Test, Level::default()).expect("the set is whole");
    assert_eq!(dataset.classes()[2], "Citroën 2CV");
    // The names of the classes in place of the annotations, and annotations of more classes than there are names.
    let wrong = fixture!("stanford_cars", "wrong/cars_train_annos.mat").1;
    let message = refused(&CARS, "devkit/cars_train_annos.mat", wrong);
    let reason = "annotations: annotation 2: class 4, but there are 1 to 3";
    assert!(message.contains(reason), "{message}");
    let message = refused(&CARS, "devkit/cars_train_annos.mat", CARS[0].1);
    assert!(message.contains("annotations: missing beside class_names"), "{message}");
    let damaged = &CARS[1].1[..200];
    let message = refused(&CARS, "devkit/cars_train_annos.mat", damaged);
    assert!(message.contains("cars_train_annos.mat: MAT file: truncated"), "{message}");
}

const BIRDS: [(&str, &[u8]); 4] = [
    ("classes.txt", b"1 001.Albatross\n2 002.Auklet\n"),
    ("images.txt", b"1 001.Albatross/a.jpg\n2 002.Auklet/b.jpg\n3 001.Albatross/c.jpg\n"),
    ("image_class_labels.txt", b"1 1\n2 2\n3 1\n"),
    ("train_test_split.txt", b"1 0\n2 1\n3 1\n"),
];

#[test]
fn cub200() {
    let images =
        ["images/001.Albatross/a.jpg", "images/002.Auklet/b.jpg", "images/001.Albatross/c.jpg"];
    let folder = set(&BIRDS, &images);
    check(&folder, Split::Train, &[(images[1], 1, 1), (images[2], 0, 2)]);
    check(&folder, Split::Test, &[(images[0], 0, 0)]);
    let cases: [(&str, &[u8], &str); 4] = [
        ("image_class_labels.txt", b"1 1\n2 3\n3 1\n", "line 2: class 3, but there are 1 to 2"),
        ("image_class_labels.txt", b"1 1\n", "number of lines: 1, but images.txt has 3"),
        ("train_test_split.txt", b"1 0\n2 2\n3 1\n", "line 2: `2`, wanted 1 for training or 0"),
        ("images.txt", b"1 a.jpg\n3 b.jpg\n", "line 2: `3 b.jpg`, wanted `2 ..`"),
    ];
    for (name, bytes, reason) in cases {
        let message = refused(&BIRDS, name, bytes);
        assert!(message.contains(&format!("{name}: {reason}")), "{message}");
    }
}

const LIFE: [(&str, &[u8]); 3] = [
    fixture!("inat2019", "train2019.json"),
    fixture!("inat2019", "val2019.json"),
    fixture!("inat2019", "categories.json"),
];

#[test]
fn inat2019() {
    let images = [
        "train_val2019/Life/3/10.jpg",
        "train_val2019/Life/0/11.jpg",
        "train_val2019/Life/1/12.jpg",
        "train_val2019/Life/2/13.jpg",
        "train_val2019/Life/2/14.jpg",
        "train_val2019/Life/2/90.jpg",
        "train_val2019/Life/3/91.jpg",
    ];
    let folder = set(&LIFE, &images);
    // Annotations stand in an order of their own.
    check(&folder, Split::Test, &[(images[6], 3, 6), (images[5], 2, 5)]);
    assert_eq!(contents(&folder, Split::Train).len(), 5);
    for (level, classes) in [
        (Level::Genus, vec!["Apis", "Bellis", "Bombus"]),
        (Level::Family, vec!["Apidae", "Asteraceae"]),
        (Level::Kingdom, vec!["Animalia", "Plantae"]),
    ] {
        let dataset = open(folder.path(), Split::Test, level).expect("the set is whole");
        assert_eq!(dataset.classes(), classes);
        let last = dataset.label(0).expect("it has a label");
        let name = dataset.classes()[last].as_str();
        assert!(["Bellis", "Asteraceae", "Plantae"].contains(&name), "{name}");
    }

    let message = refused(&LIFE, "train2019.json", &LIFE[0].1[..500]);
    assert!(message.contains("train2019.json: JSON: EOF while parsing"), "{message}");
    let text = String::from_utf8(LIFE[0].1.to_vec()).expect("JSON is text");
    let changed = text.replace("\"category_id\": 0", "\"category_id\": 9");
    let message = refused(&LIFE, "train2019.json", changed.as_bytes());
    assert!(
        message.contains("annotation of image 11: category 9, of which there is none"),
        "{message}"
    );
    let changed = text.replace("\"image_id\": 12", "\"image_id\": 77");
    let message = refused(&LIFE, "train2019.json", changed.as_bytes());
    assert!(message.contains("annotation of image 77: no such image"), "{message}");
    let taxonomy = String::from_utf8(LIFE[2].1.to_vec()).expect("JSON is text");
    let changed = taxonomy.replace("\"id\": 2", "\"id\": 1");
    let message = refused(&LIFE, "categories.json", changed.as_bytes());
    assert!(message.contains("categories.json: category 1: is there twice"), "{message}");
    let without_taxonomy = TempFolder::with(LIFE[..2].iter().copied());
    let error = open(without_taxonomy.path(), Split::Train, Level::Order).err();
    let message = error.expect("the lists do not know orders").to_string();
    assert!(
        message.contains("category 0: does not say its place in the tree of life"),
        "{message}"
    );
}

const TINY: [(&str, &[u8]); 3] = [
    ("wnids.txt", b"n02\nn01\n"),
    ("words.txt", b"n01\tgoldfish, Carassius auratus\nn99\tnobody\n"),
    ("val/val_annotations.txt", b"val_0.JPEG\tn02\t0\t0\t3\t2\nval_1.JPEG\tn01\t0\t0\t3\t2\n"),
];

#[test]
fn tiny_imagenet() {
    let images = [
        "train/n01/images/n01_0.JPEG",
        "train/n02/images/n02_0.JPEG",
        "train/n02/images/n02_1.JPEG",
        "val/images/val_0.JPEG",
        "val/images/val_1.JPEG",
    ];
    let folder = set(&TINY, &images);
    check(&folder, Split::Train, &[(images[0], 0, 0), (images[1], 1, 1), (images[2], 1, 2)]);
    check(&folder, Split::Test, &[(images[3], 1, 3), (images[4], 0, 4)]);
    let dataset = open(folder.path(), Split::Test, Level::default()).expect("the set is whole");
    assert_eq!(dataset.classes(), ["goldfish, Carassius auratus", "n02"]);

    let mut wrong = TINY;
    wrong[2].1 = b"val_0.JPEG\tn03\n";
    let folder = set(&wrong, &images);
    let error = open(folder.path(), Split::Test, Level::default()).err().expect("no such class");
    let message = error.to_string();
    assert!(
        message.contains("val_annotations.txt: line 1: class `n03`, wanted one of"),
        "{message}"
    );
    let message = refused(&TINY, "wnids.txt", b"n05\n");
    assert!(message.contains("n05"), "{message}");
    let folder = set(&TINY, &images[1..]);
    let path = folder.path().join("train/n01/images");
    std::fs::create_dir_all(&path).expect("the folder can be written to");
    let error = open(folder.path(), Split::Train, Level::default()).err().expect("no goldfish");
    assert!(
        matches!(&error, DatasetError::EmptyFolder { path: named } if *named == path),
        "{error}"
    );
}
