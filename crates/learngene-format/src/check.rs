//! Checks that the sections of a manifest have in common.

use std::fmt::Display;

use learngene_tensors::{Error, Result};

/// Refuses a value unless a condition holds.
pub(crate) fn ensure(
    is_so: bool,
    place: impl Into<String>,
    found: impl Display,
    expected: impl Display,
) -> Result<()> {
    if is_so { Ok(()) } else { Err(Error::invalid(place, found, expected)) }
}

/// Refuses a value that other fields contradict.
pub(crate) fn same<T: PartialEq + Display>(place: &str, found: &T, expected: &T) -> Result<()> {
    ensure(found == expected, place, found, expected)
}

/// Refuses a list of another length.
pub(crate) fn check_length(place: &str, found: usize, expected: usize) -> Result<()> {
    ensure(found == expected, place, format!("{found} entries"), expected)
}

/// Refuses a list in which one number is not as it should be.
pub(crate) fn check_each(
    place: &str,
    values: impl IntoIterator<Item = f64>,
    is_good: impl Fn(f64) -> bool,
    expected: &str,
) -> Result<()> {
    match values.into_iter().enumerate().find(|(_, value)| !is_good(*value)) {
        None => Ok(()),
        Some((index, value)) => Err(Error::invalid(format!("{place}[{index}]"), value, expected)),
    }
}

/// A distance in pixels, an error or another size that may be nothing.
pub(crate) fn is_size(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

/// What [`is_size`] accepts, in words.
pub(crate) const SIZE: &str = "a finite number of 0 or more";
