#![doc = include_str!("../README.md")]

mod batches;
mod checkpointing;
mod clip;
mod drop_path;
mod ema;
mod error;
mod evaluate;
mod fit;
mod frozen;
mod gradients;
mod host_batch;
mod loss;
mod metrics;
mod optimizer;
mod parameter_groups;
mod recipe;
mod recipe_keys;
mod run;
mod run_folder;
mod saved;
mod schedule;
mod start;
mod tensorboard;
mod trainee;
mod trainer;
mod unknown_key;

pub use ema::EmaWarmup;
pub use error::TrainingError;
pub use evaluate::{Evaluation, evaluate};
pub use fit::{FitData, Fitted, Observer, fit};
pub use frozen::{DEFAULT_RIDGE, Features, frozen_features, knn, ridge_probe};
pub use metrics::Metrics;
pub use recipe::Recipe;
pub use recipe_keys::recipe_help;
pub use schedule::WarmupCosine;
pub use trainer::Trainer;
