//! A key of a recipe that no recipe has.

use toml::{Table, Value};

/// Likeness of two keys from which one may be a misspelling of the other.
const ALIKE: f64 = 0.75;

/// A key, and those that its table may have.
pub(crate) struct UnknownKey<'a> {
    key: &'a str,
    known: Vec<&'a str>,
}

impl<'a> UnknownKey<'a> {
    /// The first key of a table, or of a table in it, that the known one lacks.
    pub(crate) fn find(table: &'a Table, known: &'a Table) -> Option<Self> {
        table.iter().find_map(|(key, value)| match (value, known.get(key)) {
            (Value::Table(inner), Some(Value::Table(known))) => Self::find(inner, known),
            (_, Some(_)) => None,
            (_, None) => Some(Self { key, known: known.keys().map(String::as_str).collect() }),
        })
    }

    /// Where it stands in the text of the file, and which key may be meant.
    pub(crate) fn describe(&self, text: &str) -> String {
        let Self { key, known } = self;
        let line = line_of(key, text);
        let likeness = |other: &&&str| strsim::jaro_winkler(key, other);
        let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
            Some(nearest) => format!("unknown key `{key}` in line {line}; did you mean {nearest}?"),
            None => format!("unknown key `{key}` in line {line}; known are {}", known.join(", ")),
        }
    }
}

/// The line of a recipe in which a key stands first, counted from 1.
pub(crate) fn line_of(key: &str, text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has_key = |line: &str| {
        line.match_indices(key).any(|(start, _)| {
            let (before, after) = (&line[..start], &line[start + key.len()..]);
            !before.ends_with(is_word) && !after.starts_with(is_word)
        })
    };
    text.lines().position(has_key).map_or(0, |line| line + 1)
}
