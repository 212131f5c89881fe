use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::RefitParams;

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

/// What is tried and what it may cost: written unchecked, used checked.
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
    /// Joins FFNs too, by every radius that makes a difference.
    pub ffn: bool,
    /// Ridge of the fits, as in [`RefitParams`].
    pub ridge: f64,
}

impl TuneParams {
    /// The defaults for a budget: `min_points` 1 and 2, an eps for each layer, FFNs joined too.
    pub fn new(budget: Budget) -> Self {
        let ridge = RefitParams::default().ridge;
        Self { budget, min_points: vec![1, 2], one_eps: false, ffn: true, ridge }
    }

    /// Checks all that can be known without the ancestor.
    ///
    /// # Errors
    /// A budget of no bytes, of a share outside 0 to 100 %, of an error that is negative or not
    /// finite; no `min_points`, or one of 0; a ridge that is negative or not finite.
    pub fn check(self) -> Result<CheckedTuneParams> {
        match self.budget {
            Budget::MaxBytes(0) => {
                return Err(Error::invalid("largest size", "0 bytes", "at least 1"));
            }
            Budget::MaxShare(share) if !(share > 0.0 && share <= 100.0) => {
                let found = format!("{share} %");
                return Err(Error::invalid("largest size", found, "above 0 %, at most 100 %"));
            }
            Budget::MaxError(error) if !(error.is_finite() && error >= 0.0) => {
                let expected = "a finite number of 0 or more";
                return Err(Error::invalid("largest feature error", error, expected));
            }
            _ => {}
        }
        if self.min_points.is_empty() || self.min_points.contains(&0) {
            let found = format!("{:?}", self.min_points);
            let expected = "numbers of at least 1, because a head counts itself";
            return Err(Error::invalid("min_points", found, expected));
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

    fn check_refused(edit: impl FnOnce(&mut TuneParams), place: &str) {
        let mut params = TuneParams::new(Budget::MaxShare(50.0));
        edit(&mut params);
        let message = params.check().expect_err("refused").to_string();
        assert!(message.starts_with(place), "{message}");
    }

    #[test]
    fn parameters_that_mean_nothing_are_refused() {
        check_refused(|params| params.budget = Budget::MaxBytes(0), "largest size: found 0 bytes,");
        for share in [0.0, -3.0, 100.5, f64::NAN] {
            check_refused(|params| params.budget = Budget::MaxShare(share), "largest size: found");
        }
        for error in [-0.5, f64::NAN, f64::INFINITY] {
            check_refused(
                |params| params.budget = Budget::MaxError(error),
                "largest feature error:",
            );
        }
        check_refused(|params| params.min_points.clear(), "min_points: found [],");
        check_refused(|params| params.min_points = vec![1, 0], "min_points: found [1, 0],");
        check_refused(|params| params.ridge = f64::NAN, "ridge: found NaN,");
        assert!(TuneParams::new(Budget::MaxError(0.0)).check().is_ok());
    }
}
