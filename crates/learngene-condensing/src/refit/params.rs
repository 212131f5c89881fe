use learngene_format::RefitInputs;

use crate::error::ClusteringError;

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
    pub fn check(self) -> Result<CheckedRefitParams, ClusteringError> {
        if !(self.ridge.is_finite() && self.ridge >= 0.0) {
            return Err(ClusteringError::Ridge { got: self.ridge });
        }
        if self.target_heads.contains(&0) {
            return Err(ClusteringError::NoTargetHeads);
        }
        Ok(CheckedRefitParams(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(params: RefitParams, message: &str) {
        assert_eq!(params.check().expect_err("refused").to_string(), message);
    }

    #[test]
    fn ridge_must_be_a_finite_number() {
        for (ridge, got) in [(-1e-9, "-0.000000001"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            check_refused(
                RefitParams { ridge, ..RefitParams::default() },
                &format!("ridge must be a finite number of 0 or more, got {got}"),
            );
        }
        assert!(RefitParams { ridge: 0.0, ..RefitParams::default() }.check().is_ok());
    }

    #[test]
    fn a_target_has_heads() {
        check_refused(
            RefitParams { target_heads: vec![2, 0], ..RefitParams::default() },
            "target_heads must be numbers of heads of at least 1, got 0",
        );
    }
}
