//! A value of a recipe that is of another kind than its key takes.

use toml::{Table, Value};

use crate::unknown_key::line_of;

/// A key, its value, and what is wanted instead.
pub(crate) struct WrongKind<'a> {
    key: &'a str,
    got: &'a Value,
    want: String,
}

impl<'a> WrongKind<'a> {
    /// The first value of a table, or of a table in it, that is not of the kind of the known one. Of texts
    /// only that they are ones is checked.
    pub(crate) fn find(table: &'a Table, known: &Table) -> Option<Self> {
        table.iter().find_map(|(key, got)| match (got, known.get(key)?) {
            (Value::Table(inner), Value::Table(known)) => Self::find(inner, known),
            (got, known) => Some(Self { key, got, want: wanted(got, known)? }),
        })
    }

    /// Where it stands in the text of the file, what it is and what it should be.
    pub(crate) fn describe(&self, text: &str) -> String {
        let Self { key, got, want } = self;
        let line = line_of(key, text);
        format!("`{key}` in line {line} must be {want}, got {got}")
    }
}

/// What is wanted instead of a value, where it is not of the kind of the known one.
fn wanted(got: &Value, known: &Value) -> Option<String> {
    let want = match (got, known) {
        (Value::Integer(0..), Value::Integer(_))
        | (Value::Integer(_) | Value::Float(_), Value::Float(_))
        | (Value::Boolean(_), Value::Boolean(_))
        | (Value::String(_), Value::String(_)) => return None,
        (Value::Array(got), Value::Array(known))
            if got.len() == known.len()
                && got.iter().zip(known).all(|(got, known)| wanted(got, known).is_none()) =>
        {
            return None;
        }
        (_, Value::Integer(_)) => "a whole number of 0 or more".to_owned(),
        (_, Value::Float(_)) => "a number".to_owned(),
        (_, Value::Boolean(_)) => "true or false".to_owned(),
        (_, Value::Table(_)) => "a table of keys and values".to_owned(),
        (_, known) => format!("of the form of {known}"),
    };
    Some(want)
}
