use std::{fmt, str::FromStr};

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Ratio,
    ratio::common_divisor,
    text::{as_text, join, parse_list, unknown},
};

/// How many heads each layer of the descendant has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HeadPolicy {
    /// As many as the ancestor's layer that it inherits: w = 1.
    #[default]
    SameAsAncestor,
    /// The same number in every layer.
    Count(usize),
    /// A number for each layer.
    List(Vec<usize>),
    /// The ancestor's number times 1 / w.
    Ratio(Ratio),
    /// All heads in the first third of the layers, three quarters in the middle, half in the last
    /// (Table 9).
    Incrementing,
    /// Half the heads in the first third of the layers, three quarters in the middle, all in the
    /// last (Table 9).
    Decrementing,
}

impl HeadPolicy {
    /// The number of heads of each layer, given those of the ancestor's layers that they inherit.
    pub(crate) fn counts(&self, ancestor_heads: &[usize]) -> Result<Vec<usize>> {
        let depth = ancestor_heads.len();
        if let Self::List(counts) = self
            && counts.len() != depth
        {
            let found = format!("{} entries", counts.len());
            return Err(Error::invalid("heads", found, format!("{depth}, one for each layer")));
        }
        let count = |(layer, &heads): (usize, &usize)| {
            let place = || format!("layer {layer}: number of heads");
            let count = match self {
                Self::SameAsAncestor => heads,
                Self::Count(count) => *count,
                Self::List(counts) => counts[layer],
                Self::Ratio(ratio) => ratio.multiply(heads).map_err(|found| {
                    let found = format!("{found} ({heads} heads x{ratio})");
                    let whole = ratios(common_divisor(ancestor_heads.iter().copied()));
                    let expected = format!(
                        "a whole number of at least 1; ratios that give one in every layer are \
                         {whole}"
                    );
                    Error::invalid(place(), found, expected)
                })?,
                Self::Incrementing => quarters(heads, 4 - third(layer, depth)),
                Self::Decrementing => quarters(heads, 2 + third(layer, depth)),
            };
            if count == 0 { Err(Error::invalid(place(), 0, "at least 1")) } else { Ok(count) }
        };
        ancestor_heads.iter().enumerate().map(count).collect()
    }
}

/// `x1/12, x1/6, x1/4, x1/3, ..`: the smallest ratios that give whole numbers of so many heads.
fn ratios(heads: usize) -> String {
    let ratios = (1..=4).map(|count| Ratio::new(count, heads as u64));
    ratios.flatten().map(|ratio| format!("x{ratio}, ")).collect::<String>() + ".."
}

/// Which third of the depth a layer lies in: 0, 1 or 2; the borders are floor(L / 3) and
/// floor(2 L / 3), so that the last third is the longest where L is no multiple of 3.
fn third(layer: usize, depth: usize) -> usize {
    usize::from(layer >= depth / 3) + usize::from(layer >= 2 * depth / 3)
}

/// A number of quarters of the heads, rounded to the nearest whole head, halves up.
fn quarters(heads: usize, quarters: usize) -> usize {
    (heads * quarters + 2) / 4
}

impl fmt::Display for HeadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameAsAncestor => f.write_str("same"),
            Self::Count(count) => write!(f, "{count}"),
            Self::List(counts) if counts.len() == 1 => write!(f, "{},", counts[0]),
            Self::List(counts) => f.write_str(&join(counts)),
            Self::Ratio(ratio) => write!(f, "x{ratio}"),
            Self::Incrementing => f.write_str("incrementing"),
            Self::Decrementing => f.write_str("decrementing"),
        }
    }
}

impl FromStr for HeadPolicy {
    type Err = Error;

    /// Reads `same`, a count such as `6`, a list such as `6,6,3` (`6,` for one of a single layer),
    /// a ratio such as `x3/4`, `incrementing` or `decrementing`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            let expected = "same, a count such as 6, a list such as 6,6,3, a ratio such as x3/4, \
                            incrementing or decrementing";
            unknown("heads", text, expected)
        };
        if let Some(ratio) = text.strip_prefix('x') {
            return ratio.parse().map(Self::Ratio);
        }
        match text {
            "same" => Ok(Self::SameAsAncestor),
            "incrementing" => Ok(Self::Incrementing),
            "decrementing" => Ok(Self::Decrementing),
            _ => {
                let list = text.strip_suffix(',').unwrap_or(text);
                match parse_list(list).ok_or_else(unknown)?.as_slice() {
                    [count] if list == text => Ok(Self::Count(*count)),
                    counts => Ok(Self::List(counts.to_vec())),
                }
            }
        }
    }
}

as_text!(HeadPolicy);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str, ancestor_heads: &[usize]) -> Result<Vec<usize>> {
        let policy: HeadPolicy = text.parse()?;
        assert_eq!(policy.to_string(), text);
        policy.counts(ancestor_heads)
    }

    fn check(text: &str, ancestor_heads: &[usize], expected: &[usize]) {
        assert_eq!(counts(text, ancestor_heads).expect(text), expected);
    }

    #[test]
    fn counts_follow_the_ancestor_or_the_word() {
        check("same", &[12, 6], &[12, 6]);
        check("5", &[12, 6], &[5, 5]);
        check("6,1", &[12, 6], &[6, 1]);
        check("6,", &[12], &[6]);
    }

    #[test]
    fn ratios_from_four_to_an_eighth() {
        check("x1/4", &[12, 12], &[3, 3]);
        check("x1/2", &[12, 6], &[6, 3]);
        check("x3/4", &[12, 12], &[9, 9]);
        check("x1", &[3, 6], &[3, 6]);
        check("x8", &[3, 6], &[24, 48]);
    }

    /// Table 9: half, three quarters and all of 12 heads in thirds of 12 layers.
    #[test]
    fn schedules_change_with_each_third_of_the_depth() {
        check("decrementing", &[12; 12], &[6, 6, 6, 6, 9, 9, 9, 9, 12, 12, 12, 12]);
        check("incrementing", &[12; 12], &[12, 12, 12, 12, 9, 9, 9, 9, 6, 6, 6, 6]);
    }

    #[test]
    fn schedules_round_heads_to_the_nearest_and_thirds_down() {
        check("decrementing", &[3; 7], &[2, 2, 2, 2, 3, 3, 3]);
        check("decrementing", &[6; 7], &[3, 3, 5, 5, 6, 6, 6]);
        check("decrementing", &[6; 1], &[6]);
        check("incrementing", &[1; 3], &[1, 1, 1]);
    }

    fn refused(text: &str, ancestor_heads: &[usize], message: &str) {
        assert_eq!(counts(text, ancestor_heads).expect_err(text).to_string(), message);
    }

    #[test]
    fn a_ratio_that_leaves_part_of_a_head_is_refused() {
        let message = "layer 1: number of heads: found 3/2 (6 heads x1/4), expected a \
                       whole number of at least 1; ratios that give one in every layer are x1/6, \
                       x1/3, x1/2, x2/3, ..";
        refused("x1/4", &[12, 6], message);
        for ratio in ["1/6", "1/3", "1/2", "2/3"] {
            assert!(counts(&format!("x{ratio}"), &[12, 6]).is_ok(), "{ratio}");
        }
        assert!(counts("x1/24", &[12]).is_err(), "half a head");
    }

    #[test]
    fn every_layer_needs_a_head() {
        refused("3,0", &[3, 3], "layer 1: number of heads: found 0, expected at least 1");
        refused("6,6,3", &[12, 12], "heads: found 3 entries, expected 2, one for each layer");
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", ",", "six", "4/3", "0.5", "-6", "6,,3"] {
            let error = text.parse::<HeadPolicy>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("heads: found `{text}`, expected same")), "{error}");
        }
        assert!("x0".parse::<HeadPolicy>().is_err());
    }
}
