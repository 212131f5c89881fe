//! The names and shapes of tensors, found and expected.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Checks names and shapes of tensors, found in the place `what`, against those that are expected.
///
/// # Errors
/// [`Error::Parameters`] with every parameter that is missing, unused or of another shape.
pub fn check_shapes(
    what: &str,
    found: &BTreeMap<&str, &[usize]>,
    expected: &BTreeMap<String, Vec<usize>>,
) -> Result<()> {
    let is_missing = |name: &&String| !found.contains_key(name.as_str());
    let missing: Vec<String> = expected.keys().filter(is_missing).cloned().collect();
    let is_unused = |name: &&&str| !expected.contains_key(**name);
    let unused: Vec<String> = found.keys().filter(is_unused).map(ToString::to_string).collect();
    let mismatched = expected.iter().filter_map(|(name, expected)| {
        let found = *found.get(name.as_str())?;
        (found != expected).then(|| format!("{name} is {found:?}, expected {expected:?}"))
    });
    let mismatched: Vec<String> = mismatched.collect();
    if missing.is_empty() && unused.is_empty() && mismatched.is_empty() {
        return Ok(());
    }
    Err(Error::Parameters { what: what.into(), missing, unused, mismatched })
}
