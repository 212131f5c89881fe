use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    ExpansionError, Ratio,
    ratio::common_divisor,
    text::{join, parse_list},
};

/// How many layers a descendant has.
///
/// ```
/// use learngene_expansion::DepthPolicy;
///
/// assert_eq!("6".parse(), Ok(DepthPolicy::Count(6)));
/// assert_eq!("1,1,3,1".parse(), Ok(DepthPolicy::Stages(vec![1, 1, 3, 1])));
/// assert!("x3/4".parse::<DepthPolicy>().is_ok());
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
    /// Layers of each stage, given those of the ancestor's stages; none where the ancestor's depth
    /// or a list of layers is to tell.
    pub(crate) fn depths(
        &self,
        stages: &[Range<usize>],
    ) -> Result<Option<Vec<usize>>, ExpansionError> {
        let depths = match self {
            Self::SameAsAncestor => return Ok(None),
            Self::Count(depth) if stages.len() == 1 => vec![*depth],
            Self::Count(_) => return Err(stage_count(1, stages)),
            Self::Stages(depths) if depths.len() != stages.len() => {
                return Err(stage_count(depths.len(), stages));
            }
            Self::Stages(depths) => depths.clone(),
            Self::Ratio(ratio) => {
                let common = common_divisor(stages.iter().map(Range::len));
                let unit = Ratio::new(1, common as u64)?;
                let scale = |stage: &Range<usize>| {
                    ratio.multiply(stage.len()).map_err(|got| ExpansionError::FractionalDepth {
                        first: stage.start,
                        last: stage.end - 1,
                        ratio: *ratio,
                        got,
                        unit,
                    })
                };
                stages.iter().map(scale).collect::<Result<_, _>>()?
            }
        };
        match depths.iter().position(|depth| *depth == 0) {
            Some(_) if depths.len() == 1 => Err(ExpansionError::NoLayers),
            Some(stage) => Err(ExpansionError::NoLayersInStage { stage }),
            None => Ok(Some(depths)),
        }
    }
}

fn stage_count(got: usize, stages: &[Range<usize>]) -> ExpansionError {
    ExpansionError::StageCount { got, depths: stages.iter().map(|stage| stage.len()).collect() }
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
    type Err = ExpansionError;

    /// Reads `same`, a number such as `6`, a number for each stage such as `1,1,3,1`, or a part of
    /// the ancestor's depth such as `x3/4`.
    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        let unknown = || ExpansionError::Text {
            what: "depth",
            got: text.to_owned(),
            want: "same, a number such as 6, a number for each stage such as 1,1,3,1, or a part \
                   of the ancestor's such as x3/4",
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

impl TryFrom<String> for DepthPolicy {
    type Error = ExpansionError;

    fn try_from(text: String) -> Result<Self, ExpansionError> {
        text.parse()
    }
}

impl From<DepthPolicy> for String {
    fn from(policy: DepthPolicy) -> Self {
        policy.to_string()
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a model of one stage")]
mod tests {
    use super::*;

    fn depths(text: &str, stages: &[Range<usize>]) -> Result<Option<Vec<usize>>, ExpansionError> {
        let policy: DepthPolicy = text.parse()?;
        assert_eq!(policy.to_string(), text);
        policy.depths(stages)
    }

    #[test]
    fn depths_are_counted_listed_or_scaled() {
        let (vit, swin) = (&[0..12][..], &[0..2, 2..4, 4..10, 10..12][..]);
        assert_eq!(depths("same", vit), Ok(None));
        assert_eq!(depths("6", vit), Ok(Some(vec![6])));
        assert_eq!(depths("6,", vit), Ok(Some(vec![6])));
        assert_eq!(depths("x3/4", vit), Ok(Some(vec![9])));
        assert_eq!(depths("x3/2", swin), Ok(Some(vec![3, 3, 9, 3])));
        assert_eq!(depths("1,1,3,1", swin), Ok(Some(vec![1, 1, 3, 1])));
    }

    fn refused(text: &str, stages: &[Range<usize>], message: &str) {
        assert_eq!(depths(text, stages).expect_err(message).to_string(), message);
    }

    #[test]
    fn a_part_of_a_layer_is_refused_with_its_place() {
        refused(
            "x3/4",
            &[0..2, 2..6],
            "layers 0 to 1 of the ancestor at depth ratio 3/4 give 3/2 layers, wanted a whole \
             number of at least 1; multiples of 1/2 give one in every stage",
        );
    }

    #[test]
    fn stages_must_all_be_told() {
        let message = "the ancestor has 2 stages of 2, 4 layers; depth must have one number for \
                       each, such as 1,2, got 1";
        refused("3", &[0..2, 2..6], message);
        refused("3,", &[0..2, 2..6], message);
        let message = "the ancestor has 1 stage of 12 layers; depth must have one number for each, \
                       such as 6, got 2";
        refused("3,3", &[0..12], message);
        let swin = &[0..2, 2..4, 4..9, 9..11];
        let message = "the ancestor has 4 stages of 2, 2, 5, 2 layers; depth must have one number \
                       for each, such as 1,1,3,1, got 1";
        refused("6", swin, message);
        assert_eq!(depths("1,1,3,1", swin), Ok(Some(vec![1, 1, 3, 1])));
    }

    #[test]
    fn a_stage_without_layers_is_refused() {
        refused("0", &[0..2], "depth of a descendant must be at least 1, got 0");
        let message = "stage 1 of a descendant must have at least 1 layer, got 0";
        refused("1,0", &[0..2, 2..6], message);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "six", "x", "x0", "-1", "1,,2", "3/4"] {
            let error = text.parse::<DepthPolicy>().expect_err(text);
            assert!(matches!(error, ExpansionError::Text { what: "depth", .. }), "{error}");
        }
    }
}
