//! What can go wrong while training or evaluating.

use std::path::PathBuf;

use burn_train::train::MultiDeviceStepError;
use learngene_datasets::DatasetError;
use thiserror::Error;

/// Why a training or an evaluation did not come to its end.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A recipe file that does not say what it should.
    #[error("{path} is not a recipe: {reason}")]
    Recipe {
        /// The recipe file.
        path: PathBuf,
        /// What the parser found, and where.
        reason: String,
    },
    /// A field of a recipe that no run can have.
    #[error("{field} must be {want}, got {got}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        got: f64,
        /// The values it may have.
        want: &'static str,
    },
    /// A recipe in bf16 for a device that does not compute in it.
    #[error(
        "the recipe asks for bf16, which device {} of those given does not compute in; `learngene devices` \
         lists formats",
        device + 1
    )]
    NoBf16 {
        /// Its place among the devices, from 0.
        device: usize,
    },
    /// A warm-up that the run never leaves.
    #[error(
        "a warm-up of {} does not fit into a run of {}: give fewer with --warmup-epochs, or with \
         warmup_epochs in the recipe",
        in_epochs(*warmup),
        in_epochs(*epochs as f64)
    )]
    Warmup {
        /// Epochs of warm-up.
        warmup: f64,
        /// Epochs of the run.
        epochs: usize,
    },
    /// A run that no step of learns anything.
    #[error(
        "the run has {} and all of it is warm-up, from a learning rate of 0: nothing would be \
         learnt; take more epochs, or a --warmup-epochs of 0",
        if *steps == 1 { "1 step".into() } else { format!("{steps} steps") }
    )]
    NothingLearnt {
        /// Its optimiser steps.
        steps: usize,
    },
    /// A model whose logits do not match the dataset's classes.
    #[error("the model tells {model} classes apart, the {split} images have {data}")]
    Classes {
        /// Classes of the model.
        model: usize,
        /// Which images.
        split: &'static str,
        /// Classes of the images.
        data: usize,
    },
    /// Nothing to train or evaluate on.
    #[error("there are no {split} images")]
    NoImages {
        /// Which images.
        split: &'static str,
    },
    /// An image that has no label.
    #[error("{name} has no label, but training and evaluation need one")]
    Unlabelled {
        /// Name of the image.
        name: String,
    },
    /// A logit that is infinite or not a number.
    #[error("the logit of class {class} for {name} is {got}, wanted a finite number")]
    Logit {
        /// Name of the image.
        name: String,
        /// The class, counted from zero.
        class: usize,
        /// The logit.
        got: f32,
    },
    /// The run folder belongs to another run.
    #[error("{path} is that of another run ({differs}); choose another folder")]
    OtherRun {
        /// The file in the folder that says otherwise.
        path: PathBuf,
        /// The first line that differs, as `found, wanted`.
        differs: String,
        /// The key of that line: a field of the recipe, or of `start.json`.
        key: String,
    },
    /// A file in the run's folder that no run wrote.
    #[error(
        "{path} would be replaced, and no training began in this folder (it has no start.json): \
         choose another folder"
    )]
    NoRun {
        /// The file.
        path: PathBuf,
    },
    /// The loss stopped being a number.
    #[error("the loss of step {step} is {loss}: lower the learning rate or look at the data")]
    Diverged {
        /// The optimiser step, counted from zero.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// The data could not be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] learngene_models::checkpoint::CheckpointError),
    /// A state to resume from could not be made.
    #[error("training stopped: {0}")]
    Stopped(String),
    /// One of several devices failed.
    #[error("a device failed: {0}")]
    Device(String),
    /// A least-squares system without a unique solution.
    #[error("the ridge system of the linear probe is not positive definite at feature {feature}")]
    Singular {
        /// The feature at fault.
        feature: usize,
    },
    /// Features that are not as many as images and their width say.
    #[error(
        "features of {images} images must be {images} x {num_features} values, at least one, got {got}"
    )]
    FeatureShape {
        /// Images.
        images: usize,
        /// Features of an image.
        num_features: usize,
        /// Values found.
        got: usize,
    },
    /// A feature that is infinite or not a number.
    #[error("feature {feature} of image {image} is {got}, wanted a finite number")]
    NotFinite {
        /// The image, counted from zero.
        image: usize,
        /// The feature, counted from zero.
        feature: usize,
        /// Its value.
        got: f32,
    },
    /// Features of different models.
    #[error("training images have {train} features, test images {test}: one model must make both")]
    FeatureWidths {
        /// Features of a training image.
        train: usize,
        /// Features of a test image.
        test: usize,
    },
}

impl From<MultiDeviceStepError> for TrainingError {
    fn from(error: MultiDeviceStepError) -> Self {
        Self::Device(error.to_string())
    }
}

/// `1 epoch`, `0.5 epochs`.
fn in_epochs(epochs: f64) -> String {
    format!("{epochs} {}", if epochs == 1.0 { "epoch" } else { "epochs" })
}
