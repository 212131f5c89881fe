use std::{fmt, str::FromStr};

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::text::{as_text, unknown};

/// A positive rational number, kept exact: 3/4 of 12 heads are 9 and no other number.
///
/// ```
/// use learngene_expansion::Ratio;
///
/// assert_eq!("0.125".parse::<Ratio>()?, Ratio::new(1, 8)?);
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ratio {
    /// In lowest terms, as is the denominator.
    numerator: u64,
    denominator: u64,
}

impl Ratio {
    /// The ratio `numerator / denominator`.
    ///
    /// # Errors
    /// Either is zero.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self> {
        if numerator == 0 || denominator == 0 {
            return Err(unreadable(&format!("{numerator}/{denominator}")));
        }
        let divisor = greatest_common_divisor(numerator.into(), denominator.into()) as u64;
        Ok(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// So many times the ratio; as a fraction in words where that is not a whole number of at
    /// least 1.
    pub(crate) fn multiply(self, count: usize) -> std::result::Result<usize, String> {
        whole(count, self.numerator, self.denominator)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fraction(self.numerator.into(), self.denominator.into()))
    }
}

impl FromStr for Ratio {
    type Err = Error;

    /// Reads `2`, `4/3`, `1/8` or `0.125`.
    fn from_str(text: &str) -> Result<Self> {
        let (numerator, denominator) = parts(text.trim()).ok_or_else(|| unreadable(text))?;
        Self::new(numerator, denominator).map_err(|_| unreadable(text))
    }
}

as_text!(Ratio);

fn unreadable(text: &str) -> Error {
    unknown("ratio", text, "a positive number such as 2, 4/3, 1/8 or 0.125")
}

/// Numerator and denominator as written; a decimal point is a power of ten below the line.
fn parts(text: &str) -> Option<(u64, u64)> {
    if let Some((numerator, denominator)) = text.split_once('/') {
        return Some((digits(numerator.trim())?, digits(denominator.trim())?));
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let numerator = digits(&format!("{whole}{decimals}"))?;
    let denominator = 10u64.checked_pow(decimals.len().try_into().ok()?)?;
    Some((numerator, denominator))
}

/// Unlike `parse` alone, refuses a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `count * factor / divisor`, or that fraction in words where it is no whole number of at least 1.
fn whole(count: usize, factor: u64, divisor: u64) -> std::result::Result<usize, String> {
    // Both factors fit 64 bits, so the product fits 128.
    let dividend = count as u128 * u128::from(factor);
    let divisor = u128::from(divisor);
    match usize::try_from(dividend / divisor) {
        Ok(count) if count > 0 && dividend.is_multiple_of(divisor) => Ok(count),
        _ => {
            let common = greatest_common_divisor(dividend, divisor);
            Err(fraction(dividend / common, divisor / common))
        }
    }
}

fn fraction(numerator: u128, denominator: u128) -> String {
    match denominator {
        1 => numerator.to_string(),
        _ => format!("{numerator}/{denominator}"),
    }
}

/// Greatest common divisor of counts.
pub(crate) fn common_divisor(counts: impl IntoIterator<Item = usize>) -> usize {
    let divisor = |a, count| greatest_common_divisor(a, count as u128);
    counts.into_iter().fold(0, divisor) as usize
}

/// Euclid's algorithm.
fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_is_read_exactly() {
        let cases = [
            ("2", (2, 1)),
            ("4/3", (4, 3)),
            ("8 / 6", (4, 3)),
            ("1/8", (1, 8)),
            ("0.125", (1, 8)),
            (".5", (1, 2)),
            ("1.50", (3, 2)),
        ];
        for (text, (numerator, denominator)) in cases {
            let expected = Ratio { numerator, denominator };
            assert_eq!(text.parse::<Ratio>().expect(text), expected);
        }
    }

    #[test]
    fn a_ratio_that_is_not_a_positive_number_is_refused() {
        let texts = [
            "",
            ".",
            "0",
            "0.0",
            "-1",
            "+1",
            "1/0",
            "0/3",
            "1/-8",
            "NaN",
            "inf",
            "two",
            "1/2/3",
            "1.5/2",
            "1e3",
            "99999999999999999999",
            "0.00000000000000000001",
        ];
        for text in texts {
            let error = text.parse::<Ratio>().expect_err(text).to_string();
            assert!(
                error.starts_with(&format!("ratio: found `{text}`, expected a pos")),
                "{error}"
            );
        }
    }

    #[test]
    fn heads_divide_exactly_or_not_at_all() {
        let times = |ratio: &str, heads| ratio.parse::<Ratio>().expect(ratio).multiply(heads);
        assert_eq!(times("3/4", 12), Ok(9));
        assert_eq!(times("8", 12), Ok(96));
        assert_eq!(times("1/2", 3), Err("3/2".into()));
        assert_eq!(times("1/4", 1), Err("1/4".into()));
        assert!(times("18446744073709551615", usize::MAX).is_err());
    }

    proptest! {
        /// A ratio of two head counts turns the one into the other.
        #[test]
        fn the_ratio_of_two_counts_leads_from_one_to_the_other(a in 1u64..200, b in 1u64..200) {
            let ratio = Ratio::new(a, b).expect("both are at least 1");
            prop_assert_eq!(ratio.multiply(b as usize), Ok(a as usize));
            prop_assert_eq!(ratio.to_string().parse::<Ratio>().ok(), Some(ratio));
        }
    }
}
