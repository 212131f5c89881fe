//! Text becomes types here, once; the types write themselves in the same words.

use crate::ExpansionError;

/// The value whose name a text is.
pub(crate) fn parse_name<T: Copy>(
    what: &'static str,
    want: &'static str,
    text: &str,
    names: &[(&str, T)],
) -> Result<T, ExpansionError> {
    match names.iter().find(|(name, _)| *name == text) {
        Some(&(_, value)) => Ok(value),
        None => Err(ExpansionError::Text { what, got: text.to_owned(), want }),
    }
}

/// Whole numbers between commas, `None` where something else stands there.
pub(crate) fn parse_list(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(|number| number.trim().parse().ok()).collect()
}

/// Whole numbers between commas.
pub(crate) fn join(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}
