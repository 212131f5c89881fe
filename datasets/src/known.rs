//! Datasets that are known by name: what they hold, and where they come from.

use serde::Serialize;

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
    /// Whether `learngene data fetch` brings it.
    pub is_fetched: bool,
}

const fn set(
    name: &'static str,
    title: &'static str,
    [classes, train, test]: [usize; 3],
    [source, licence, layout]: [&'static str; 3],
) -> KnownDataset {
    KnownDataset { name, title, classes, train, test, source, licence, layout, is_fetched: false }
}

/// Every dataset that is known by name.
pub const KNOWN_DATASETS: [KnownDataset; 12] = [
    KnownDataset {
        is_fetched: true,
        ..set(
            "cifar10",
            "CIFAR-10",
            [10, 50_000, 10_000],
            [
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "for research; no formal licence",
                "data_batch_1.bin .. data_batch_5.bin, test_batch.bin",
            ],
        )
    },
    set(
        "cifar10-sample",
        "a sample of CIFAR-10, inside the program",
        [10, 2_000, 1_000],
        ["the program itself", "as CIFAR-10", "none"],
    ),
    set(
        "cifar100",
        "CIFAR-100",
        [100, 50_000, 10_000],
        [
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "for research; no formal licence",
            "train.bin, test.bin, fine_label_names.txt",
        ],
    ),
    set(
        "imagenet",
        "ImageNet-1K",
        [1_000, 1_281_167, 50_000],
        [
            "https://image-net.org/challenges/LSVRC/2012/",
            "for non-commercial research, on request",
            "train/WNID/*.JPEG, val/WNID/*.JPEG",
        ],
    ),
    set(
        "food101",
        "Food-101",
        [101, 75_750, 25_250],
        [
            "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
            "images of Foodspotting; for research",
            "images/CLASS/*.jpg, meta/classes.txt, meta/train.txt, meta/test.txt",
        ],
    ),
    set(
        "flowers102",
        "Oxford Flowers-102",
        [102, 2_040, 6_149],
        [
            "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
            "for research; no formal licence",
            "jpg/image_*.jpg, imagelabels.mat, setid.mat",
        ],
    ),
    set(
        "stanford_cars",
        "Stanford Cars",
        [196, 8_144, 8_041],
        [
            "Krause et al. 2013; the authors' page is gone, mirrors keep the archives",
            "for research, after ImageNet's terms",
            "cars_train/*.jpg, cars_test/*.jpg, devkit/*.mat, cars_test_annos_withlabels.mat",
        ],
    ),
    set(
        "cub200",
        "CUB-200-2011",
        [200, 5_994, 5_794],
        [
            "https://www.vision.caltech.edu/datasets/cub_200_2011/",
            "for non-commercial research",
            "images/CLASS/*.jpg, classes.txt, images.txt, image_class_labels.txt, train_test_split.txt",
        ],
    ),
    set(
        "inat2019",
        "iNaturalist 2019",
        [1_010, 265_213, 3_030],
        [
            "https://github.com/visipedia/inat_comp/tree/master/2019",
            "for non-commercial research",
            "train_val2019/.., train2019.json, val2019.json, categories.json",
        ],
    ),
    set(
        "fashion_mnist",
        "Fashion-MNIST",
        [10, 60_000, 10_000],
        [
            "https://github.com/zalandoresearch/fashion-mnist",
            "MIT",
            "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-..",
        ],
    ),
    set(
        "mnist",
        "MNIST",
        [10, 60_000, 10_000],
        [
            "http://yann.lecun.com/exdb/mnist/",
            "CC BY-SA 3.0",
            "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-..",
        ],
    ),
    set(
        "tiny_imagenet",
        "Tiny-ImageNet",
        [200, 100_000, 10_000],
        [
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            "for non-commercial research, after ImageNet's terms",
            "train/WNID/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt, wnids.txt",
        ],
    ),
];

/// The dataset of that name.
pub fn known_dataset(name: &str) -> Option<&'static KnownDataset> {
    KNOWN_DATASETS.iter().find(|known| known.name == name)
}
