//! Readers of image datasets, preprocessing, and an embedded sample of real images.

mod augment;
mod batch;
mod cache;
mod cifar10;
mod dataset;
mod error;
pub mod fetch;
mod preprocess;

pub use augment::{Augment, Change};
pub use batch::{Augmentation, Batch, load_batch};
pub use cache::{CACHE_VARIABLE, cache_folder};
pub use cifar10::Cifar10;
pub use dataset::{Dataset, Split, UnknownSplit};
pub use error::DatasetError;
pub use preprocess::{CheckedPreprocess, Interpolation, Preprocess};
