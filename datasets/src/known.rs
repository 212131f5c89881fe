//! Datasets that are known by name: what they hold, and where they come from.

use serde::Serialize;

use crate::Checksum;

/// What is known of a dataset.
///
/// Sizes are those of the paper's Table 6 where it lists the set, otherwise of the set's own page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KnownDataset {
    /// Its name, and that of its folder in the cache.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Number of classes.
    pub classes: usize,
    /// Images to learn from: official training images, and validation images where test images are given beside them.
    pub train: usize,
    /// Images to measure on: test images, or validation images where the others have no published labels.
    pub test: usize,
    /// Where to get it.
    pub source: &'static str,
    /// On what terms.
    pub licence: &'static str,
    /// What its folder holds, as it comes out of the official archives.
    pub layout: &'static str,
    /// Published checksums, of archives and of files that stay in the folder.
    pub checksums: &'static [FileChecksum<'static>],
    /// Whether `learngene data fetch` brings it.
    pub is_fetched: bool,
}

/// A file with its published checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileChecksum<'a> {
    /// Its path in the folder, or the name of an archive.
    pub file: &'a str,
    /// What it is known by.
    #[serde(flatten)]
    pub checksum: Checksum<'a>,
}

const fn md5(file: &'static str, md5: &'static str) -> FileChecksum<'static> {
    FileChecksum { file, checksum: Checksum::Md5(md5) }
}

const fn sha256(file: &'static str, sha256: &'static str) -> FileChecksum<'static> {
    FileChecksum { file, checksum: Checksum::Sha256(sha256) }
}

/// Every dataset that is known by name. Archives' MD5 are those of the sets' own pages and of torchvision.
pub const KNOWN_DATASETS: [KnownDataset; 12] = [
    KnownDataset {
        name: "cifar10",
        title: "CIFAR-10",
        classes: 10,
        train: 50_000,
        test: 10_000,
        source: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "for research; no formal licence",
        layout: "data_batch_1.bin .. data_batch_5.bin, test_batch.bin",
        checksums: &[
            md5("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
            sha256(
                "data_batch_1.bin",
                "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            ),
            sha256(
                "data_batch_2.bin",
                "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            ),
            sha256(
                "data_batch_3.bin",
                "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            ),
            sha256(
                "data_batch_4.bin",
                "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            ),
            sha256(
                "data_batch_5.bin",
                "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            ),
            sha256(
                "test_batch.bin",
                "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
            ),
        ],
        is_fetched: true,
    },
    KnownDataset {
        name: "cifar10-sample",
        title: "a sample of CIFAR-10, inside the program",
        classes: 10,
        train: 2_000,
        test: 1_000,
        source: "the program itself",
        licence: "as CIFAR-10",
        layout: "none",
        checksums: &[],
        is_fetched: false,
    },
    KnownDataset {
        name: "cifar100",
        title: "CIFAR-100",
        classes: 100,
        train: 50_000,
        test: 10_000,
        source: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "for research; no formal licence",
        layout: "train.bin, test.bin, fine_label_names.txt",
        checksums: &[md5("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8")],
        is_fetched: true,
    },
    KnownDataset {
        name: "imagenet",
        title: "ImageNet-1K",
        classes: 1_000,
        train: 1_281_167,
        test: 50_000,
        source: "https://image-net.org/challenges/LSVRC/2012/",
        licence: "for non-commercial research, on request",
        layout: "train/WNID/*.JPEG, val/WNID/*.JPEG",
        checksums: &[
            md5("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
            md5("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
        ],
        is_fetched: false,
    },
    KnownDataset {
        name: "food101",
        title: "Food-101",
        classes: 101,
        train: 75_750,
        test: 25_250,
        source: "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        licence: "images of Foodspotting; for research",
        layout: "images/CLASS/*.jpg, meta/classes.txt, meta/train.txt, meta/test.txt",
        checksums: &[md5("food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87")],
        is_fetched: false,
    },
    KnownDataset {
        name: "flowers102",
        title: "Oxford Flowers-102",
        classes: 102,
        train: 2_040,
        test: 6_149,
        source: "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        licence: "for research; no formal licence",
        layout: "jpg/image_*.jpg, imagelabels.mat, setid.mat",
        checksums: &[
            md5("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
            md5("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
            md5("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
        ],
        is_fetched: false,
    },
    KnownDataset {
        name: "stanford_cars",
        title: "Stanford Cars",
        classes: 196,
        train: 8_144,
        test: 8_041,
        source: "Krause et al. 2013; the authors' page is gone, mirrors keep the archives",
        licence: "for research, after ImageNet's terms",
        layout: "cars_train/*.jpg, cars_test/*.jpg, devkit/*.mat, cars_test_annos_withlabels.mat",
        checksums: &[
            md5("cars_train.tgz", "065e5b463ae28d29e77c1b4b166cfe61"),
            md5("cars_test.tgz", "4ce7ebf6a94d07f1952d94dd34c4d501"),
            md5("car_devkit.tgz", "c3b158d763b6e2245038c8ad08e45376"),
            md5("cars_test_annos_withlabels.mat", "b0a2b23655a3edd16d84508592a98d10"),
        ],
        is_fetched: false,
    },
    KnownDataset {
        name: "cub200",
        title: "CUB-200-2011",
        classes: 200,
        train: 5_994,
        test: 5_794,
        source: "https://www.vision.caltech.edu/datasets/cub_200_2011/",
        licence: "for non-commercial research",
        layout: "images/CLASS/*.jpg, classes.txt, images.txt, image_class_labels.txt, train_test_split.txt",
        checksums: &[md5("CUB_200_2011.tgz", "97eceeb196236b17998738112f37df78")],
        is_fetched: false,
    },
    KnownDataset {
        name: "inat2019",
        title: "iNaturalist 2019",
        classes: 1_010,
        train: 265_213,
        test: 3_030,
        source: "https://github.com/visipedia/inat_comp/tree/master/2019",
        licence: "for non-commercial research",
        layout: "train_val2019/.., train2019.json, val2019.json, categories.json",
        checksums: &[md5("train_val2019.tar.gz", "c60a6e2962c9b8ccbd458d12c8582644")],
        is_fetched: false,
    },
    KnownDataset {
        name: "fashion_mnist",
        title: "Fashion-MNIST",
        classes: 10,
        train: 60_000,
        test: 10_000,
        source: "https://github.com/zalandoresearch/fashion-mnist",
        licence: "MIT",
        layout: "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-..",
        checksums: &[
            md5("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            md5("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            md5("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            md5("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        ],
        is_fetched: true,
    },
    KnownDataset {
        name: "mnist",
        title: "MNIST",
        classes: 10,
        train: 60_000,
        test: 10_000,
        source: "http://yann.lecun.com/exdb/mnist/",
        licence: "CC BY-SA 3.0",
        layout: "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-..",
        checksums: &[
            md5("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            md5("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            md5("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            md5("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ],
        is_fetched: true,
    },
    KnownDataset {
        name: "tiny_imagenet",
        title: "Tiny-ImageNet",
        classes: 200,
        train: 100_000,
        test: 10_000,
        source: "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        licence: "for non-commercial research, after ImageNet's terms",
        layout: "train/WNID/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt, wnids.txt",
        checksums: &[md5("tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de")],
        is_fetched: false,
    },
];

/// The dataset of that name.
pub fn known_dataset(name: &str) -> Option<&'static KnownDataset> {
    KNOWN_DATASETS.iter().find(|known| known.name == name)
}
