use learngene_format::Store;
use learngene_tensors::{Error, Result};

/// How matrices are fitted, and what a learngene of a chosen size holds beside them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// Ridge, as a multiple of the features' mean variance: how much a change of the ancestor's
    /// columns must bring to be made.
    pub ridge: f64,
    /// Keeps what the fitted matrices are for fewer heads and hidden units.
    pub any_size: bool,
    /// Keeps the ancestor's classifier, where it has one.
    pub classifier: bool,
    /// How values are stored: without it as the checkpoint, or the learngene that is fitted, has them.
    pub store: Option<Store>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { ridge: 0.1, any_size: true, classifier: false, store: None }
    }
}

impl FitOptions {
    /// Checks all that can be known without the ancestor.
    ///
    /// # Errors
    /// A ridge that is negative or not finite.
    pub fn check(self) -> Result<()> {
        if self.ridge.is_finite() && self.ridge >= 0.0 {
            return Ok(());
        }
        Err(Error::invalid("ridge", self.ridge, "a finite number of 0 or more"))
    }
}
