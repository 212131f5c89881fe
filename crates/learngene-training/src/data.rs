use std::sync::Arc;

use learngene_datasets::{CheckedPreprocess, Dataset};

use crate::Teacher;

/// What a run learns from.
#[derive(Clone)]
pub struct FitData {
    /// Images to learn from.
    pub train: Arc<dyn Dataset>,
    /// Images to evaluate on; they decide which checkpoint is the best.
    pub test: Arc<dyn Dataset>,
    /// How both become tensors.
    pub preprocess: CheckedPreprocess,
    /// A model whose outputs are learnt too.
    pub teacher: Option<Teacher>,
}
