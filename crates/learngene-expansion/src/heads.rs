use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    ExpansionError, Ratio,
    ratio::common_divisor,
    text::{join, parse_list},
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
    /// The ancestor's number divided by w.
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
    pub(crate) fn counts(&self, ancestor_heads: &[usize]) -> Result<Vec<usize>, ExpansionError> {
        let depth = ancestor_heads.len();
        if let Self::List(counts) = self
            && counts.len() != depth
        {
            return Err(ExpansionError::HeadListLength { got: counts.len(), depth });
        }
        let count = |(layer, &heads): (usize, &usize)| {
            let count = match self {
                Self::SameAsAncestor => heads,
                Self::Count(count) => *count,
                Self::List(counts) => counts[layer],
                Self::Ratio(ratio) => ratio.divide(heads).map_err(|got| {
                    let common = common_divisor(ancestor_heads.iter().copied());
                    ExpansionError::FractionalHeads { layer, heads, ratio: *ratio, got, common }
                })?,
                Self::Incrementing => quarters(heads, 4 - third(layer, depth)),
                Self::Decrementing => quarters(heads, 2 + third(layer, depth)),
            };
            if count == 0 { Err(ExpansionError::NoHeads { layer }) } else { Ok(count) }
        };
        ancestor_heads.iter().enumerate().map(count).collect()
    }
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
            Self::Ratio(ratio) => write!(f, "w={ratio}"),
            Self::Incrementing => f.write_str("incrementing"),
            Self::Decrementing => f.write_str("decrementing"),
        }
    }
}

impl FromStr for HeadPolicy {
    type Err = ExpansionError;

    /// Reads `same`, a count such as `6`, a list such as `6,6,3` (`6,` for one of a single layer),
    /// a ratio such as `w=4/3`, `incrementing` or `decrementing`.
    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        let unknown = || ExpansionError::Text {
            what: "heads",
            got: text.to_owned(),
            want: "same, a count such as 6, a list such as 6,6,3, a ratio such as w=4/3, \
                   incrementing or decrementing",
        };
        if let Some(ratio) = text.strip_prefix("w=") {
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

impl TryFrom<String> for HeadPolicy {
    type Error = ExpansionError;

    fn try_from(text: String) -> Result<Self, ExpansionError> {
        text.parse()
    }
}

impl From<HeadPolicy> for String {
    fn from(policy: HeadPolicy) -> Self {
        policy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str, ancestor_heads: &[usize]) -> Result<Vec<usize>, ExpansionError> {
        let policy: HeadPolicy = text.parse()?;
        assert_eq!(policy.to_string(), text);
        policy.counts(ancestor_heads)
    }

    fn check(text: &str, ancestor_heads: &[usize], wanted: &[usize]) {
        assert_eq!(counts(text, ancestor_heads).as_deref(), Ok(wanted), "{text}");
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
        check("w=4", &[12, 12], &[3, 3]);
        check("w=2", &[12, 6], &[6, 3]);
        check("w=4/3", &[12, 12], &[9, 9]);
        check("w=1", &[3, 6], &[3, 6]);
        check("w=1/8", &[3, 6], &[24, 48]);
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

    #[test]
    fn a_ratio_that_leaves_part_of_a_head_is_refused() {
        let error = counts("w=4", &[12, 6]).expect_err("6 / 4 heads");
        let message = "layer 1 of the descendant: 6 ancestor heads at head ratio 4 give 3/2 heads, \
                       wanted a whole number of at least 1; ratios that give one in every layer \
                       are 6 divided by 1, 2, 3, ..: 6, 3, 2, 3/2";
        assert_eq!(error.to_string(), message);
        for ratio in ["6", "3", "2", "3/2"] {
            assert!(counts(&format!("w={ratio}"), &[12, 6]).is_ok(), "{ratio}");
        }
    }

    #[test]
    fn a_ratio_that_leaves_no_head_is_refused() {
        let error = counts("w=24", &[12]).expect_err("half a head");
        let ratio = Ratio::new(24, 1).expect("both are at least 1");
        let (layer, heads, got, common) = (0, 12, "1/2".into(), 12);
        let wanted = ExpansionError::FractionalHeads { layer, heads, ratio, got, common };
        assert_eq!(error, wanted);
    }

    #[test]
    fn a_layer_without_heads_is_refused() {
        assert_eq!(counts("0", &[12]), Err(ExpansionError::NoHeads { layer: 0 }));
        assert_eq!(counts("3,0", &[3, 3]), Err(ExpansionError::NoHeads { layer: 1 }));
    }

    #[test]
    fn a_list_of_another_length_than_the_depth_is_refused() {
        let error = counts("6,6,3", &[12, 12]).expect_err("three for two");
        let message = "the descendant is 2 layers deep, but its list of head counts has 3";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", ",", "six", "4/3", "0.5", "-6", "6,,3"] {
            let error = text.parse::<HeadPolicy>().expect_err(text);
            assert!(matches!(error, ExpansionError::Text { what: "heads", .. }), "{error}");
        }
        let error = "w=0".parse::<HeadPolicy>().expect_err("a ratio of zero");
        assert_eq!(error, ExpansionError::Ratio { got: "0".into() });
    }
}
