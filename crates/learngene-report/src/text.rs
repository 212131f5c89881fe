//! Numbers and words as the page shows them.

use std::fmt;

/// Text that is not markup: shown as it stands, whatever it holds.
pub(crate) struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// A whole number with separated thousands: `2,400,000`.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text with a capital letter in front.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// `1 seed`, `3 seeds`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number as u64), if number == 1 { one } else { many })
}

/// One for each layer: `8` where all agree, else `4, 4, 6, 8`.
pub(crate) fn by_layer<T: PartialEq + ToString>(values: &[T]) -> String {
    match values {
        [first, rest @ ..] if rest.iter().all(|value| value == first) => first.to_string(),
        _ => values.iter().map(T::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// What all names begin with, to the end of a part: `desk ViT, ` of `desk ViT, 6 layers` and `desk ViT,
/// 9 layers`.
pub(crate) fn shared_start<'a>(names: impl Iterator<Item = &'a str> + Clone) -> &'a str {
    const END: &str = ", ";
    let Some(first) = names.clone().next() else { return "" };
    let ends = first.match_indices(END).map(|(start, _)| &first[..start + END.len()]);
    let is_shared = |start: &&str| names.clone().all(|name| name.starts_with(*start));
    ends.filter(is_shared).last().unwrap_or_default()
}

/// Three significant digits with a decimal prefix: `2.40 M`, without the unit.
pub(crate) fn short(value: u64) -> String {
    let value = value as f64;
    // Bounds lie where three digits would round up to the next prefix.
    let (scaled, prefix) = match value {
        ..999.5 => return format!("{value} "),
        ..999_500.0 => (value / 1e3, "k"),
        ..999_500_000.0 => (value / 1e6, "M"),
        _ => (value / 1e9, "G"),
    };
    let decimals = match scaled {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$} {prefix}")
}

/// A part of a whole: `81.3 %`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole as f64)
}

/// A number of epochs, or of any axis, without noise of the arithmetic: `0.3`.
pub(crate) fn plain(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_is_shown_as_text() {
        let text = Text(r#"<b title="it's">&</b>"#).to_string();
        assert_eq!(text, "&lt;b title=&quot;it&#39;s&quot;&gt;&amp;&lt;/b&gt;");
    }

    #[test]
    fn thousands_are_separated() {
        let texts = [0, 999, 1000, 123_456, 2_400_000].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "123,456", "2,400,000"]);
    }

    #[test]
    fn large_numbers_are_shortened_to_three_digits() {
        let texts = [999, 1000, 9_996, 999_499, 999_500, 2_399_999, 333_000_000].map(short);
        let want = ["999 ", "1.00 k", "10.0 k", "999 k", "1.00 M", "2.40 M", "333 M"];
        assert_eq!(texts, want);
    }

    #[test]
    fn equal_layers_are_told_once() {
        assert_eq!(by_layer(&[8, 8, 8]), "8");
        assert_eq!(by_layer(&[4, 6, 8]), "4, 6, 8");
    }
}
