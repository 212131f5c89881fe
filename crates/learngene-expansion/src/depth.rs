use std::{fmt, ops::Range, str::FromStr};

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Ratio,
    ratio::common_divisor,
    text::{as_text, join, parse_list, unknown},
};

/// How many layers a descendant has.
///
/// ```
/// use learngene_expansion::DepthPolicy;
///
/// assert_eq!("6".parse::<DepthPolicy>()?, DepthPolicy::Count(6));
/// assert_eq!("1,1,3,1".parse::<DepthPolicy>()?, DepthPolicy::Stages(vec![1, 1, 3, 1]));
/// assert!("x3/4".parse::<DepthPolicy>().is_ok());
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DepthPolicy {
    /// As many as the ancestor, or as the list of inherited layers has.
    #[default]
    SameAsAncestor,
    /// A number, for a model of one stage.
    Count(usize),
    /// A number for each stage.
    Stages(Vec<usize>),
    /// The ancestor's number times a ratio, in every stage.
    Ratio(Ratio),
}

impl DepthPolicy {
    /// Layers of each stage, given the ancestor's stages; `None` if they follow from a list of
    /// layers or from the ancestor.
    pub(crate) fn depths(&self, stages: &[Range<usize>]) -> Result<Option<Vec<usize>>> {
        let depths = match self {
            Self::SameAsAncestor => return Ok(None),
            Self::Count(depth) if stages.len() == 1 => vec![*depth],
            Self::Count(_) => return Err(other_stages(1, stages)),
            Self::Stages(depths) if depths.len() != stages.len() => {
                return Err(other_stages(depths.len(), stages));
            }
            Self::Stages(depths) => depths.clone(),
            Self::Ratio(ratio) => scaled(*ratio, stages)?,
        };
        check_depths(&depths)?;
        Ok(Some(depths))
    }
}

/// Refuses a stage without layers.
pub(crate) fn check_depths(depths: &[usize]) -> Result<()> {
    match depths.iter().position(|depth| *depth == 0) {
        Some(_) if depths.len() == 1 => Err(Error::invalid("depth", 0, "at least 1")),
        Some(stage) => Err(Error::invalid(format!("depth of stage {stage}"), 0, "at least 1")),
        None => Ok(()),
    }
}

/// Layers of each stage times a ratio.
fn scaled(ratio: Ratio, stages: &[Range<usize>]) -> Result<Vec<usize>> {
    let scale = |(stage, layers): (usize, usize)| {
        ratio.multiply(layers).map_err(|found| {
            let common = common_divisor(stages.iter().map(Range::len));
            let unit = if common > 1 { format!("1/{common}") } else { "1".into() };
            Error::invalid(
                format!("depth of stage {stage}"),
                format!("{found} ({layers} layers at depth ratio {ratio})"),
                format!(
                    "a whole number of at least 1; multiples of {unit} give one in every stage"
                ),
            )
        })
    };
    stages.iter().map(Range::len).enumerate().map(scale).collect()
}

/// A depth that does not have one number for each stage.
fn other_stages(found: usize, stages: &[Range<usize>]) -> Error {
    let depths: Vec<usize> = stages.iter().map(Range::len).collect();
    let halves: Vec<usize> = depths.iter().map(|depth| depth.div_ceil(2)).collect();
    let (stages, depths, halves) = (stages.len(), join(&depths), join(&halves));
    let expected =
        format!("{stages}, one for each stage of the ancestor ({depths} layers), such as {halves}");
    Error::invalid("numbers in the depth", found, expected)
}

impl From<usize> for DepthPolicy {
    fn from(depth: usize) -> Self {
        Self::Count(depth)
    }
}

impl fmt::Display for DepthPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameAsAncestor => f.write_str("same"),
            Self::Count(depth) => write!(f, "{depth}"),
            Self::Stages(depths) if depths.len() == 1 => write!(f, "{},", depths[0]),
            Self::Stages(depths) => f.write_str(&join(depths)),
            Self::Ratio(ratio) => write!(f, "x{ratio}"),
        }
    }
}

impl FromStr for DepthPolicy {
    type Err = Error;

    /// Reads `same`, a number such as `6`, a number for each stage such as `1,1,3,1`, or a part of
    /// the ancestor's depth such as `x3/4`.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            let expected = "same, a number such as 6, a number for each stage such as 1,1,3,1, or \
                            a part of the ancestor's such as x3/4";
            unknown("depth", text, expected)
        };
        if text == "same" {
            return Ok(Self::SameAsAncestor);
        }
        if let Some(ratio) = text.strip_prefix('x') {
            return ratio.parse().map(Self::Ratio).map_err(|_| unknown());
        }
        let list = text.strip_suffix(',').unwrap_or(text);
        match parse_list(list).ok_or_else(unknown)?.as_slice() {
            [depth] if list == text => Ok(Self::Count(*depth)),
            depths => Ok(Self::Stages(depths.to_vec())),
        }
    }
}

as_text!(DepthPolicy);

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a model of one stage")]
mod tests {
    use super::*;

    fn depths(text: &str, stages: &[Range<usize>]) -> Result<Option<Vec<usize>>> {
        let policy: DepthPolicy = text.parse()?;
        assert_eq!(policy.to_string(), text);
        policy.depths(stages)
    }

    #[test]
    fn depths_are_counted_listed_or_scaled() {
        let check = |text: &str, stages: &[Range<usize>], expected: Option<&[usize]>| {
            assert_eq!(depths(text, stages).expect(text).as_deref(), expected);
        };
        let (vit, swin) = (&[0..12][..], &[0..2, 2..4, 4..10, 10..12][..]);
        check("same", vit, None);
        check("6", vit, Some(&[6]));
        check("6,", vit, Some(&[6]));
        check("x3/4", vit, Some(&[9]));
        check("x3/2", swin, Some(&[3, 3, 9, 3]));
        check("1,1,3,1", swin, Some(&[1, 1, 3, 1]));
    }

    fn refused(text: &str, stages: &[Range<usize>], message: &str) {
        assert_eq!(depths(text, stages).expect_err(message).to_string(), message);
    }

    #[test]
    fn a_part_of_a_layer_is_refused_with_its_place() {
        let message = "depth of stage 0: found 3/2 (2 layers at depth ratio 3/4), expected a whole \
                       number of at least 1; multiples of 1/2 give one in every stage";
        refused("x3/4", &[0..2, 2..6], message);
    }

    #[test]
    fn every_stage_needs_a_depth() {
        let message = "numbers in the depth: found 1, expected 2, one for each stage of the \
                       ancestor (2,4 layers), such as 1,2";
        refused("3", &[0..2, 2..6], message);
        refused("3,", &[0..2, 2..6], message);
        let message = "numbers in the depth: found 2, expected 1, one for each stage of the \
                       ancestor (12 layers), such as 6";
        refused("3,3", &[0..12], message);
        refused("0", &[0..2], "depth: found 0, expected at least 1");
        refused("1,0", &[0..2, 2..6], "depth of stage 1: found 0, expected at least 1");
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "six", "x", "x0", "-1", "1,,2", "3/4"] {
            let error = text.parse::<DepthPolicy>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("depth: found `{text}`, expected same")), "{error}");
        }
    }
}
