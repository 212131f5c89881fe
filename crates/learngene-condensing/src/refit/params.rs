use learngene_format::RefitInputs;
use learngene_tensors::{Error, Result};

/// How output projections are fitted: written unchecked, used checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RefitParams {
    /// What every layer is fed while it is fitted.
    pub inputs: RefitInputs,
    /// Ridge, as a multiple of the features' mean variance: how much a change of the ancestor's
    /// columns must bring to be made.
    pub ridge: f64,
    /// Numbers of heads for which projections of their own are fitted too, those of a layer's first
    /// centroids: for descendants with fewer heads than the layer has centroids. A layer with no
    /// more centroids than that needs none.
    pub target_heads: Vec<usize>,
}

impl Default for RefitParams {
    fn default() -> Self {
        Self { inputs: RefitInputs::Own, ridge: 1e-2, target_heads: Vec::new() }
    }
}

/// Parameters that passed [`RefitParams::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedRefitParams(RefitParams);

impl CheckedRefitParams {
    /// The parameters.
    pub fn get(&self) -> &RefitParams {
        &self.0
    }
}

impl RefitParams {
    /// Checks all that can be known without the learngene.
    ///
    /// # Errors
    /// A `ridge` that is negative or not finite, a target of no heads.
    pub fn check(self) -> Result<CheckedRefitParams> {
        if !(self.ridge.is_finite() && self.ridge >= 0.0) {
            return Err(Error::invalid("ridge", self.ridge, "a finite number of 0 or more"));
        }
        if self.target_heads.contains(&0) {
            return Err(Error::invalid("target_heads", 0, "numbers of heads of at least 1"));
        }
        Ok(CheckedRefitParams(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_mean_nothing_are_refused() {
        let refused = |params: RefitParams| params.check().expect_err("refused").to_string();
        for ridge in [-1e-9, f64::NAN, f64::INFINITY] {
            let message = refused(RefitParams { ridge, ..RefitParams::default() });
            assert!(message.starts_with("ridge: found "), "{message}");
        }
        let message = refused(RefitParams { target_heads: vec![2, 0], ..RefitParams::default() });
        assert_eq!(message, "target_heads: found 0, expected numbers of heads of at least 1");
        assert!(RefitParams { ridge: 0.0, ..RefitParams::default() }.check().is_ok());
    }
}
