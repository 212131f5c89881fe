use std::sync::Arc;

use learngene_datasets::{CheckedPreprocess, Dataset};

/// The images of a run.
#[derive(Clone)]
pub struct FitData {
    /// Images to learn from.
    pub train: Arc<dyn Dataset>,
    /// Images to evaluate on; they decide which checkpoint is the best.
    pub test: Arc<dyn Dataset>,
    /// How both become tensors.
    pub preprocess: CheckedPreprocess,
}
