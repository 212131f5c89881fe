//! Fits and evaluates image classifiers.
//!
//! ```
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use learngene_datasets::{BadImages, Preprocess, Split, Subset, open};
//! use learngene_models::VitConfig;
//! use learngene_training::{FitData, Recipe, fit};
//!
//! let images = open("cifar10-sample", Split::Train, BadImages::Refuse)?;
//! let images = Arc::new(Subset::first(images.into(), 32));
//! let preprocess = Preprocess::new(32).check()?;
//! let data = FitData { train: images.clone(), test: images, preprocess };
//!
//! let device = Device::flex();
//! let shape = VitConfig::uniform(16, 1, 2).with_image_size(32).with_patch_size(8);
//! let vit = shape.with_num_classes(10).init(&device);
//! let recipe = Recipe { epochs: 1, batch_size: 16, ..Recipe::default() };
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let fitted = fit(vit, &data, &recipe, folder, &device, Arc::new(()))?;
//! assert_eq!(fitted.metrics[0].test.images, 32);
//! assert!(folder.join("last.safetensors").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batches;
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

pub use error::TrainingError;
pub use evaluate::{Evaluation, evaluate};
pub use fit::{FitData, Fitted, Observer, fit};
pub use frozen::{DEFAULT_RIDGE, Features, frozen_features, knn, ridge_probe};
pub use metrics::Metrics;
pub use recipe::Recipe;
pub use schedule::WarmupCosine;
