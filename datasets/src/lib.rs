#![doc = include_str!("../README.md")]

mod augment;
mod batch;
mod cache;
mod check;
mod checksum;
mod cifar10;
mod cifar100;
mod dataset;
mod decode;
mod error;
pub mod fetch;
#[cfg(test)]
mod fixtures;
mod folder;
mod idx;
mod images;
mod known;
mod layout;
mod mat;
mod open;
mod preprocess;
mod provenance;
mod sample;
mod subset;

pub use augment::{Augment, Change};
pub use batch::{Augmentation, Batch, load_batch};
pub use cache::{CACHE_VARIABLE, cache_folder};
pub use check::{CheckReport, CheckedSplit, Scrutiny, check};
pub use checksum::Checksum;
pub use cifar10::Cifar10;
pub use cifar100::Cifar100;
pub use dataset::{Dataset, Split, UnknownSplit};
pub use error::DatasetError;
pub use idx::Idx;
pub use images::{BadImages, ImageFiles, UnknownBadImages};
pub use known::{FileChecksum, KNOWN_DATASETS, KnownDataset, known_dataset};
pub use layout::Level;
pub use open::{TrainTest, is_in_cache, open, open_train_test};
pub use preprocess::{CheckedPreprocess, Interpolation, Preprocess};
pub use provenance::images_sha256;
pub use subset::{Fraction, HeldOut, Subset, fraction, hold_out};
