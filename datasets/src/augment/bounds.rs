//! Checks that settings share.

use crate::DatasetError;

/// The error of a setting, unless it is fine.
pub(super) fn ensure(
    field: &'static str,
    got: impl std::fmt::Debug,
    fine: bool,
    want: &'static str,
) -> Result<(), DatasetError> {
    match fine {
        true => Ok(()),
        false => {
            let (of, got) = ("augmentation", format!("{got:?}"));
            Err(DatasetError::Setting { of, field, got, want })
        }
    }
}

/// Whether two numbers are a range within another, the first not 0.
pub(super) fn within([low, high]: [f64; 2], most: f64) -> bool {
    low > 0.0 && low <= high && high <= most
}
