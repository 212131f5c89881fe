#![doc = include_str!("../README.md")]

mod batches;
mod clip;
mod data;
mod drop_path;
mod ema;
mod error;
mod evaluate;
mod execution;
mod fit;
mod frozen;
mod gradients;
mod host_batch;
mod image_batch;
mod loss;
mod memory;
mod metrics;
#[cfg(test)]
mod named_images;
mod observer;
mod optimizer;
mod parameter_groups;
mod precision;
mod rates;
mod recipe;
mod run;
mod run_folder;
mod run_identity;
mod schedule;
mod student;
mod teacher;
mod tensorboard;
mod train_state;
mod trainer;
mod transformation;

pub use data::FitData;
pub use ema::EmaWarmup;
pub use error::{Result, TrainingError};
pub use evaluate::{Evaluation, confusion, evaluate};
pub use execution::Execution;
pub use fit::fit;
pub use frozen::{
    DEFAULT_RIDGE, Features, FittedClassifier, fitted_classifier, frozen_features, knn, ridge_probe,
};
pub use metrics::Metrics;
pub use observer::Observer;
pub use precision::Precision;
pub use rates::{TriedRate, find_rate};
pub use recipe::{Recipe, recipe_help};
pub use run::Fitted;
pub use run_folder::{BEST, holds_run};
pub use teacher::Teacher;
pub use trainer::Trainer;
pub use transformation::{
    FfnTransformation, HeadTransformation, Scope, TransformationConfig, Transforming, attach,
};
