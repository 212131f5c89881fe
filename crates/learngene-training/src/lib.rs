#![doc = include_str!("../README.md")]

mod batches;
mod checkpointing;
mod drop_path;
mod error;
mod evaluate;
mod fit;
mod frozen;
mod metrics;
mod optimizer;
mod recipe;
mod run_folder;
mod schedule;
mod silent;
mod start;
mod step_loop;
mod trainee;
mod trainer;

pub use error::TrainingError;
pub use evaluate::{Evaluation, evaluate};
pub use fit::{FitData, Fitted, Observer, fit};
pub use frozen::{DEFAULT_RIDGE, Features, frozen_features, knn, ridge_probe};
pub use metrics::Metrics;
pub use recipe::Recipe;
pub use schedule::WarmupCosine;
pub use trainer::Trainer;
