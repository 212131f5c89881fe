//! Numbers and words as the page shows them.

use std::fmt;

use super::series::Spread;
pub(super) use crate::text::{count, heads, thousands};

/// Text that is not markup: shown as it stands, whatever it holds.
pub(super) struct Text<'a>(pub &'a str);

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

/// Three significant digits with a decimal prefix: `2.40 M`, without the unit.
pub(super) fn short(value: u64) -> String {
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
pub(super) fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole as f64)
}

/// As many decimals of a percentage as one test image counts, one or two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimals(usize);

impl Decimals {
    pub(super) fn of(test_images: u64) -> Self {
        Self(if test_images > 1000 { 2 } else { 1 })
    }

    /// A percentage without its sign: `61.2`.
    pub(super) fn percent(self, value: f64) -> String {
        format!("{value:.*}", self.0)
    }

    /// Mean and spread: `61.2 ± 0.8`, or the mean alone for one seed.
    pub(super) fn spread(self, spread: Spread) -> String {
        match spread.std {
            Some(std) => format!("{:.*} ± {std:.*}", self.0, spread.mean, self.0),
            None => self.percent(spread.mean),
        }
    }

    /// A difference with its sign: `+13.3`, `−0.4`.
    pub(super) fn points(self, difference: f64) -> String {
        let text = format!("{:.*}", self.0, difference.abs());
        let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
        match (is_zero, difference < 0.0) {
            (true, _) => text,
            (false, true) => format!("−{text}"),
            (false, false) => format!("+{text}"),
        }
    }
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
    fn large_numbers_are_shortened_to_three_digits() {
        let texts = [999, 1000, 9_996, 999_499, 999_500, 2_399_999, 333_000_000].map(short);
        let want = ["999 ", "1.00 k", "10.0 k", "999 k", "1.00 M", "2.40 M", "333 M"];
        assert_eq!(texts, want);
    }

    #[test]
    fn a_difference_has_a_sign_unless_it_rounds_to_nothing() {
        let texts = [1.25, -0.44, -0.04].map(|value| Decimals::of(1000).points(value));
        assert_eq!(texts, ["+1.2", "−0.4", "0.0"]);
    }

    #[test]
    fn one_image_in_ten_thousand_shows_in_two_decimals() {
        assert_eq!(Decimals::of(10_000).percent(61.23), "61.23");
        assert_eq!(Decimals::of(1000).percent(61.2), "61.2");
    }
}
