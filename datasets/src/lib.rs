#![doc = include_str!("../README.md")]

mod augment;
mod batch;
mod cache;
mod causes;
mod check;
mod checksum;
mod cifar10;
mod cifar100;
mod contact_sheet;
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
mod load;
mod loader;
mod mat;
mod open;
mod pipeline;
mod preprocess;
mod provenance;
mod resize_region;
mod rgb_pixels;
mod sample;
mod subset;

pub use augment::{
    Augment, Change, CheckedAugment, Crop, Erase, Mix, Operation, RandAugment, RandomErasing,
    Region, ResizedCrop, UnknownRandAugment, View, repeat_views, views_per_epoch,
};
pub use batch::Batch;
pub use cache::cache_folder;
pub use causes::with_causes;
pub use check::{CheckReport, CheckedSplit, Scrutiny, check};
pub use checksum::Checksum;
pub use cifar10::Cifar10;
pub use cifar100::Cifar100;
pub use contact_sheet::{MOST_TILES, contact_sheet};
pub use dataset::{Dataset, Fraction, Split, UnknownSplit};
pub use error::DatasetError;
pub use idx::Idx;
pub use images::{BadImages, ImageFiles, UnknownBadImages};
pub use known::{FileChecksum, KNOWN_DATASETS, KnownDataset, known_dataset};
pub use layout::Level;
pub use load::{Augmentation, load_batch};
pub use loader::{Loader, LoaderSpeed, Workers};
pub use open::{TrainTest, check_split_classes, is_in_cache, open, open_train_test};
pub use pipeline::{BatchPlan, Pipeline, plan_epoch};
pub use preprocess::{CheckedPreprocess, Interpolation, Preprocess};
pub use provenance::images_sha256;
pub use subset::{HeldOut, Subset, fraction, hold_out};
