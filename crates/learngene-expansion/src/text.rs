//! Text becomes types here, once; the types write themselves in the same words.

use std::fmt::Display;

use crate::ExpansionError;

/// The one of all values that is written as this text.
pub(crate) fn parse_name<T: Display, const N: usize>(
    what: &'static str,
    want: &'static str,
    text: &str,
    all: [T; N],
) -> Result<T, ExpansionError> {
    let found = all.into_iter().find(|value| value.to_string() == text);
    found.ok_or_else(|| ExpansionError::Text { what, got: text.to_owned(), want })
}

/// Whole numbers between commas, `None` where something else stands there.
pub(crate) fn parse_list(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(|number| number.trim().parse().ok()).collect()
}

/// Whole numbers between commas.
pub(crate) fn join(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}
