//! Which datasets are fetched, and from where.

use std::path::Path;

use super::{Progress, mirror};
use crate::cifar10::{BATCH_IMAGES, META, RECORD};
use crate::{DatasetError, cifar100};

/// A dataset that can be fetched. Checksums are in its manifest.
pub(super) struct Set<'a> {
    /// Its name, and that of its folder in the cache.
    pub name: &'static str,
    /// What its folder must hold.
    pub files: &'a [File],
    /// The ways to it, in the order in which they are tried.
    pub ways: &'a [Way<'a>],
}

/// A file of a dataset.
pub(super) struct File {
    pub name: &'static str,
    /// Its length; without one, readers can do without the file.
    pub bytes: Option<u64>,
}

/// Writes all files of a set under a folder.
pub(super) type Mirror = fn(&Path, &mut dyn FnMut(Progress)) -> Result<(), DatasetError>;

/// A way to all files of a set.
pub(super) enum Way<'a> {
    /// A `.tar.gz` with them in it.
    Archive { url: &'a str },
    /// Each by its name after this address.
    Files { base: &'a str },
    /// Something that writes them all under a folder.
    Mirror(Mirror),
}

/// A file that readers can do without.
const fn names(name: &'static str) -> File {
    File { name, bytes: None }
}

const fn batch(name: &'static str) -> File {
    File { name, bytes: Some((BATCH_IMAGES * RECORD) as u64) }
}

const CIFAR10: Set<'static> = Set {
    name: "cifar10",
    files: &[
        batch("data_batch_1.bin"),
        batch("data_batch_2.bin"),
        batch("data_batch_3.bin"),
        batch("data_batch_4.bin"),
        batch("data_batch_5.bin"),
        batch("test_batch.bin"),
        names(META),
    ],
    ways: &[
        Way::Archive { url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" },
        Way::Mirror(mirror::fetch),
    ],
};

const CIFAR100: Set<'static> = Set {
    name: "cifar100",
    files: &[
        File { name: "train.bin", bytes: Some(50_000 * cifar100::RECORD as u64) },
        File { name: "test.bin", bytes: Some(10_000 * cifar100::RECORD as u64) },
        names(cifar100::NAMES),
        names("coarse_label_names.txt"),
    ],
    ways: &[Way::Archive { url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz" }],
};

/// The files of MNIST's kind, with these lengths.
const fn idx_files([train, train_labels, test, test_labels]: [u64; 4]) -> [File; 4] {
    [
        File { name: "train-images-idx3-ubyte.gz", bytes: Some(train) },
        File { name: "train-labels-idx1-ubyte.gz", bytes: Some(train_labels) },
        File { name: "t10k-images-idx3-ubyte.gz", bytes: Some(test) },
        File { name: "t10k-labels-idx1-ubyte.gz", bytes: Some(test_labels) },
    ]
}

/// The second address is torchvision's mirror.
const MNIST: Set<'static> = Set {
    name: "mnist",
    files: &idx_files([9_912_422, 28_881, 1_648_877, 4_542]),
    ways: &[
        Way::Files { base: "http://yann.lecun.com/exdb/mnist/" },
        Way::Files { base: "https://ossci-datasets.s3.amazonaws.com/mnist/" },
    ],
};

const FASHION_MNIST: Set<'static> = Set {
    name: "fashion_mnist",
    files: &idx_files([26_421_880, 29_515, 4_422_102, 5_148]),
    ways: &[Way::Files { base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" }],
};

const SETS: [Set<'static>; 4] = [CIFAR10, CIFAR100, MNIST, FASHION_MNIST];

/// The set of that name.
pub(super) fn set(name: &str) -> Option<&'static Set<'static>> {
    SETS.iter().find(|set| set.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KNOWN_DATASETS, known_dataset};

    #[test]
    fn the_manifest_says_what_is_fetched() {
        let fetched = KNOWN_DATASETS.iter().filter(|known| known.is_fetched);
        let fetched: Vec<_> = fetched.map(|known| known.name).collect();
        assert_eq!(fetched, ["cifar10", "cifar100", "fashion_mnist", "mnist"]);
        assert!(fetched.iter().all(|name| set(name).is_some()) && fetched.len() == SETS.len());
    }

    #[test]
    fn the_manifest_has_a_checksum_of_all_that_is_downloaded() {
        for set in &SETS {
            let known = known_dataset(set.name).expect("it is known");
            for way in set.ways {
                let names: Vec<&str> = match way {
                    Way::Archive { url } => url.rsplit('/').take(1).collect(),
                    Way::Files { .. } => set.files.iter().map(|file| file.name).collect(),
                    Way::Mirror(_) => Vec::new(),
                };
                for name in names {
                    assert!(
                        known.checksums.iter().any(|listed| listed.file == name),
                        "{}: {name}",
                        set.name
                    );
                }
            }
        }
    }
}
