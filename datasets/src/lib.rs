//! Readers of image datasets, preprocessing, and an embedded sample of real images.
//!
//! A dataset is opened by name or by path, and read in batches that are ready to be tensors:
//!
//! ```
//! use learngene_datasets::{BadImages, Preprocess, Split, load_batch, open};
//!
//! let dataset = open("cifar10-sample", Split::Test, BadImages::Refuse)?;
//! let preprocess = Preprocess::new(32).check()?;
//! let batch = load_batch(&*dataset, &[0, 1, 2, 3], &preprocess, None)?;
//! assert_eq!(batch.shape, [4, 3, 32, 32]);
//! assert_eq!(dataset.classes()[batch.labels[3]], "cat");
//! # Ok::<(), learngene_datasets::DatasetError>(())
//! ```
//!
//! All data is plain: bytes, numbers and lists. Which library makes tensors of them is not known here.

mod augment;
mod batch;
mod cache;
mod cifar10;
mod dataset;
mod error;
pub mod fetch;
#[cfg(test)]
mod fixtures;
mod folder;
mod open;
mod preprocess;
mod provenance;
mod sample;
mod subset;

pub use augment::{Augment, Change};
pub use batch::{Augmentation, Batch, load_batch};
pub use cache::{CACHE_VARIABLE, cache_folder};
pub use cifar10::Cifar10;
pub use dataset::{Dataset, Split, UnknownSplit};
pub use error::DatasetError;
pub use folder::{BadImages, ImageFolder};
pub use open::{KNOWN_DATASETS, TrainTest, open, open_train_test};
pub use preprocess::{CheckedPreprocess, Interpolation, Preprocess};
pub use provenance::images_sha256;
pub use subset::{HeldOut, Subset, hold_out};
