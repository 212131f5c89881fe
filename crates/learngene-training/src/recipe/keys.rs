//! Keys and kinds of values in a recipe file.

use learngene_tensors::{Error, Result};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Similarity of two keys above which one may be a misspelling of the other.
const SIMILAR: f64 = 0.75;

/// Parses a TOML file whose keys and kinds of values are among those of `known`. A text of the right
/// kind may still be a wrong one.
///
/// # Errors
/// The line of the first key or value that is wrong.
pub(super) fn parse<T: DeserializeOwned>(text: &str, known: &Table) -> Result<T> {
    let table: Table = toml::from_str(text).map_err(|error| refused(text, &error))?;
    check(text, &table, known)?;
    toml::from_str(text).map_err(|error| refused(text, &error))
}

/// An error of the parser.
fn refused(text: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
    let (found, expected) = match error.message().split_once(", expected ") {
        Some(parts) => parts,
        None => (error.message(), "TOML"),
    };
    Error::invalid(format!("line {line}"), found, expected)
}

/// Checks the keys of a table and of those in it.
fn check(text: &str, table: &Table, known: &Table) -> Result<()> {
    table.iter().try_for_each(|(key, found)| {
        let line = || format!("line {}", line_of(key, text));
        match (found, known.get(key)) {
            (_, None) => {
                Err(Error::invalid(line(), format!("unknown key `{key}`"), hint(key, known)))
            }
            (Value::Table(table), Some(Value::Table(known))) => check(text, table, known),
            (found, Some(known)) => match expected_kind(found, known) {
                None => Ok(()),
                Some(expected) => {
                    Err(Error::invalid(format!("{}: `{key}`", line()), found, expected))
                }
            },
        }
    })
}

/// The known key that may be meant, or all of them.
fn hint(key: &str, known: &Table) -> String {
    let similarity = |other: &&String| strsim::jaro_winkler(key, other);
    let nearest = known.keys().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    match nearest.filter(|nearest| similarity(nearest) >= SIMILAR) {
        Some(nearest) => format!("a key of a recipe; did you mean {nearest}?"),
        None => known.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// What is expected instead of a value that is not of the kind of the known one.
fn expected_kind(found: &Value, known: &Value) -> Option<String> {
    let is_kind = match (found, known) {
        (Value::Integer(0..), Value::Integer(_))
        | (Value::Integer(_) | Value::Float(_), Value::Float(_))
        | (Value::Boolean(_), Value::Boolean(_))
        | (Value::String(_), Value::String(_)) => true,
        (Value::Array(found), Value::Array(known)) => {
            let all = || found.iter().zip(known).all(|(f, k)| expected_kind(f, k).is_none());
            found.len() == known.len() && all()
        }
        _ => false,
    };
    (!is_kind).then(|| match known {
        Value::Integer(_) => "a whole number of 0 or more".to_owned(),
        Value::Float(_) => "a number".to_owned(),
        Value::Boolean(_) => "true or false".to_owned(),
        Value::Table(_) => "a table of keys and values".to_owned(),
        known => format!("a value such as {known}"),
    })
}

/// The first line that contains a key, counted from 1.
fn line_of(key: &str, text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has_key = |line: &str| {
        line.match_indices(key).any(|(start, _)| {
            let (before, after) = (&line[..start], &line[start + key.len()..]);
            !before.ends_with(is_word) && !after.starts_with(is_word)
        })
    };
    text.lines().position(has_key).map_or(0, |line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recipe;

    fn check_refused(text: &str, message: &str) {
        let error = parse::<Recipe>(text, &Recipe::with_every_key().table()).expect_err(text);
        assert!(error.to_string().starts_with(message), "{error}\nexpected {message}");
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        let did_you_mean = |line: usize, key: &str, known: &str| {
            format!(
                "line {line}: found unknown key `{key}`, expected a key of a recipe; did you mean \
                 {known}?"
            )
        };
        let check_key =
            |text, line, key, known| check_refused(text, &did_you_mean(line, key, known));
        check_key("\nlearning_rat = 1.0", 2, "learning_rat", "learning_rate");
        check_key("[augment]\nmixupp = 0.8", 2, "mixupp", "mixup");
        let text = "[augment]\ncrop_padding = 0\nresized_crop = { skale = [0.1, 1.0] }";
        check_key(text, 3, "skale", "scale");
        let all = "line 1: found unknown key `zzz`, expected augment, batch_size, ";
        check_refused("zzz = 3", all);
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        let whole = "expected a whole number of 0 or more";
        check_refused("epochs = \"three\"", &format!("line 1: `epochs`: found \"three\", {whole}"));
        check_refused("seed = 1\nepochs = -3", &format!("line 2: `epochs`: found -3, {whole}"));
        let text = "[augment]\nrepeats = 1.5";
        check_refused(text, &format!("line 2: `repeats`: found 1.5, {whole}"));
        let check_value = |key: &str, value: &str, expected: &str| {
            let message = format!("line 1: `{key}`: found {value}, expected {expected}");
            check_refused(&format!("{key} = {value}"), &message);
        };
        check_value("warmup_epochs", "true", "a number");
        check_value("gradient_checkpointing", "1", "true or false");
        check_value("augment", "3", "a table of keys and values");
        check_value("precision", "16", "a value such as \"f32\"");
        for betas in ["0.9", "[0.9]", "[0.9, \"b\"]"] {
            check_value("betas", betas, "a value such as [0.9, 0.999]");
        }
        let fast = "line 1: found unknown variant `fast`, expected one of `none`, `ratio`, `power`";
        check_refused("ema_warmup = \"fast\"", fast);
        check_refused("epochs = ", "line 1: found ");
    }
}
