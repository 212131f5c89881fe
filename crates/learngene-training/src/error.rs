//! What can go wrong while a model trains or is evaluated.

use std::{fmt, path::PathBuf};

use burn_train::train::MultiDeviceStepError;
use learngene_datasets::DatasetError;
use learngene_tensors::Error;
use thiserror::Error as ThisError;

/// A result whose error is [`TrainingError`].
pub type Result<T, E = TrainingError> = std::result::Result<T, E>;

/// Why a training or an evaluation did not finish.
#[derive(Debug, ThisError)]
pub enum TrainingError {
    /// The folder belongs to another run.
    #[error("{} belongs to another run ({differs}); choose another folder", path.display())]
    OtherRun {
        /// The file that shows it.
        path: PathBuf,
        /// The first line that differs, as `found .., expected ..`.
        differs: String,
        /// The key of that line: a field of the recipe, or of `identity.json`.
        key: String,
    },
    /// A device failed.
    #[error("a device failed: {0}")]
    Device(String),
    /// Images that cannot be read, or augmentations that cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Another value that cannot be used, or a file that cannot be read or written.
    #[error(transparent)]
    Other(#[from] Error),
}

/// A value that is not what its place requires.
pub(crate) fn invalid(
    what: impl Into<String>,
    found: impl fmt::Display,
    expected: impl fmt::Display,
) -> TrainingError {
    Error::invalid(what, found, expected).into()
}

impl From<MultiDeviceStepError> for TrainingError {
    fn from(error: MultiDeviceStepError) -> Self {
        Self::Device(error.to_string())
    }
}
