//! Text becomes types here, once; the types write themselves in the same words.

use learngene_tensors::Error;

/// A text that names none of the possible values.
pub(crate) fn unknown(what: &str, text: &str, expected: &str) -> Error {
    Error::invalid(what, format!("`{text}`"), expected)
}

/// `copy, identity or zero`.
pub(crate) fn one_of(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
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

/// A type whose values are names: how it is written and read.
macro_rules! named {
    ($type:ident, $what:literal: $($variant:ident = $name:literal),+) => {
        impl $type {
            pub(crate) const NAMED: &'static [(Self, &'static str)] = &[$((Self::$variant, $name)),+];
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),+ })
            }
        }

        impl std::str::FromStr for $type {
            type Err = learngene_tensors::Error;

            fn from_str(text: &str) -> learngene_tensors::Result<Self> {
                let mut named = Self::NAMED.iter();
                match named.find(|(_, name)| *name == text) {
                    Some((value, _)) => Ok(*value),
                    None => {
                        let expected = $crate::text::one_of(&[$($name),+]);
                        Err($crate::text::unknown($what, text, &expected))
                    }
                }
            }
        }
    };
}

/// Types that serde reads and writes as their text.
macro_rules! as_text {
    ($($type:ident),+) => {$(
        impl TryFrom<String> for $type {
            type Error = learngene_tensors::Error;

            fn try_from(text: String) -> learngene_tensors::Result<Self> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )+};
}

pub(crate) use {as_text, named};

#[cfg(test)]
mod tests {
    use crate::{ClassifierPolicy, NewLayers, Order, ProjectionPolicy};

    #[test]
    fn names_are_read_as_they_are_written() {
        macro_rules! check {
            ($($type:ident),+) => {$(
                for (value, name) in $type::NAMED {
                    assert_eq!(value.to_string(), *name);
                    assert_eq!(name.parse::<$type>().expect(name), *value);
                    let json = serde_json::to_string(value).expect("a name");
                    assert_eq!(json, format!("\"{name}\""));
                }
            )+};
        }
        check!(ClassifierPolicy, NewLayers, Order, ProjectionPolicy);
        let error = "random".parse::<Order>().expect_err("no such order");
        let message = "order: found `random`, expected origin, increasing, decreasing or priority";
        assert_eq!(error.to_string(), message);
    }
}
