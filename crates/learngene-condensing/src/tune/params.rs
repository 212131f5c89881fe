use serde::{Deserialize, Serialize};

use super::TuneError;
use crate::{error::ClusteringError, refit::RefitParams};

/// What a learngene may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Bytes of the file at most: the least feature error is sought.
    MaxBytes(u64),
    /// Percent of the bytes of the ancestor's parameters at most, likewise.
    MaxShare(f64),
    /// Feature error at most: the smallest file is sought.
    MaxError(f64),
}

/// What is tried and what is wanted: written unchecked, used checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneParams {
    /// What the learngene may cost.
    pub budget: Budget,
    /// Least numbers of heads in a neighbourhood that are tried. Above 1 some heads are noise: left
    /// out and joined to the nearest cluster are tried both; as clusters of their own they would make
    /// `min_points = 2` the same as 1.
    pub min_points: Vec<usize>,
    /// One eps for all layers, instead of one for each.
    pub one_eps: bool,
    /// Joins feed-forward networks too, by every radius that makes a difference.
    pub ffn: bool,
    /// Ridge of the fits, as in [`RefitParams`].
    pub ridge: f64,
}

impl TuneParams {
    /// The defaults for a budget: `min_points` 1 and 2, an eps for each layer, networks joined too.
    pub fn new(budget: Budget) -> Self {
        let ridge = RefitParams::default().ridge;
        Self { budget, min_points: vec![1, 2], one_eps: false, ffn: true, ridge }
    }

    /// Checks all that can be known without the ancestor.
    ///
    /// # Errors
    /// A budget of no bytes, of a share outside 0 to 100 %, of an error that is negative or not
    /// finite; no `min_points`, or one of 0; a ridge that is negative or not finite.
    pub fn check(self) -> Result<CheckedTuneParams, ClusteringError> {
        match self.budget {
            Budget::MaxBytes(0) => return Err(TuneError::NoBytes.into()),
            Budget::MaxShare(got) if !(got > 0.0 && got <= 100.0) => {
                return Err(TuneError::Share { got }.into());
            }
            Budget::MaxError(got) if !(got.is_finite() && got >= 0.0) => {
                return Err(TuneError::MaxError { got }.into());
            }
            _ => {}
        }
        if self.min_points.is_empty() {
            return Err(ClusteringError::EmptyList { parameter: "min_points" });
        }
        if self.min_points.contains(&0) {
            return Err(ClusteringError::MinPoints);
        }
        RefitParams { ridge: self.ridge, ..RefitParams::default() }.check()?;
        Ok(CheckedTuneParams(self))
    }
}

/// Parameters that passed [`TuneParams::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedTuneParams(TuneParams);

impl CheckedTuneParams {
    /// The parameters.
    pub fn get(&self) -> &TuneParams {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(edit: impl FnOnce(&mut TuneParams), message: &str) {
        let mut params = TuneParams::new(Budget::MaxShare(50.0));
        edit(&mut params);
        assert_eq!(params.check().expect_err("refused").to_string(), message);
    }

    #[test]
    fn a_size_has_bytes() {
        check_refused(
            |params| params.budget = Budget::MaxBytes(0),
            "the largest size must be at least 1 byte, got 0",
        );
    }

    #[test]
    fn a_share_is_above_0_and_at_most_100_percent() {
        for (share, got) in [(0.0, "0"), (-3.0, "-3"), (100.5, "100.5"), (f64::NAN, "NaN")] {
            let message =
                format!("the largest size must be a share above 0 %, at most 100 %, got {got} %");
            check_refused(|params| params.budget = Budget::MaxShare(share), &message);
        }
    }

    #[test]
    fn an_error_is_a_finite_number() {
        for (error, got) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            let message = format!(
                "the largest feature error must be a finite number of 0 or more, got {got}"
            );
            check_refused(|params| params.budget = Budget::MaxError(error), &message);
        }
        let params = TuneParams::new(Budget::MaxError(0.0));
        assert!(params.check().is_ok());
    }

    #[test]
    fn min_points_are_some_of_at_least_1() {
        check_refused(
            |params| params.min_points.clear(),
            "min_points needs one entry for all layers or one per layer, got an empty list",
        );
        check_refused(
            |params| params.min_points = vec![1, 0],
            "min_points must be at least 1, because a head counts itself, got 0",
        );
    }

    #[test]
    fn ridge_must_be_a_finite_number() {
        check_refused(
            |params| params.ridge = f64::NAN,
            "ridge must be a finite number of 0 or more, got NaN",
        );
    }
}
