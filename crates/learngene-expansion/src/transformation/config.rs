//! Which transformations are learnt, and where.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::TransformationError;
use crate::{ExpansionError, text::parse_name};

/// Rank of a low-rank transformation that tells none: of the size that Hu et al. find enough,
/// "LoRA: Low-Rank Adaptation of Large Language Models", 2021, <https://arxiv.org/abs/2106.09685>.
const RANK: usize = 8;

/// Hidden width of a mixing of layers that tells none: a little more than the layers of most
/// models.
const HIDDEN: usize = 16;

/// Largest rank or hidden width accepted, far above any that saves parameters: a slip of the
/// keyboard is refused before memory is asked for it.
const MAX_SIZE: usize = 1024;

/// How the feed-forward network of layer k is made from its base, weight `W` and bias `b` of each
/// of its two linear layers. All are the identity before training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FfnTransformation {
    /// `(1 + s) W` and `(1 + s) b + t`, with one `s` and one `t` for each output, zero at first.
    ScaleShift,
    /// `W + A B` and `b + t`: A drawn, B and t zero at first.
    LowRank {
        /// Columns of A and rows of B.
        rank: usize,
    },
    /// `W + V_k relu(U c + u)` for each element of `W` and of `b`, with `c` its values in all bases
    /// of the stage: a small linear-ReLU-linear along the depth, as in the paper. U drawn, u and V
    /// zero at first.
    CrossLayer {
        /// Rows of U, the same for all layers.
        hidden: usize,
    },
}

/// How the heads of a layer are made from theirs, where the layer holds copies of one centroid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HeadTransformation {
    /// As [`FfnTransformation::ScaleShift`], for query, key and value and for the output
    /// projection. Equal copies get equal gradients, so that it never parts them: there for
    /// comparison.
    ScaleShift,
    /// `W + A B` for each slot, with an A of its own for its query, key and value and another for
    /// its columns of the output projection; biases as in [`FfnTransformation::LowRank`]. Copies
    /// part with the first step.
    LowRank {
        /// Columns of each A and rows of each B.
        rank: usize,
    },
}

/// Which feed-forward networks are transformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those of all layers: also what no group shares is corrected, for another depth or width.
    #[default]
    All,
    /// Those that several layers share.
    Shared,
}

/// The transformations of a descendant, written unchecked; [`attach`](super::attach) checks them.
///
/// ```
/// use learngene_expansion::TransformationConfig;
///
/// let wanted = TransformationConfig {
///     ffn: Some("scale-shift".parse()?),
///     heads: Some("low-rank:4".parse()?),
///     ..TransformationConfig::default()
/// };
/// # assert_eq!(wanted.heads.map(|heads| heads.to_string()).as_deref(), Some("low-rank:4"));
/// # Ok::<(), learngene_expansion::ExpansionError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformationConfig {
    /// Of feed-forward networks, if any.
    pub ffn: Option<FfnTransformation>,
    /// Of heads that are there several times, if any.
    pub heads: Option<HeadTransformation>,
    /// Which feed-forward networks are transformed.
    pub scope: Scope,
    /// Seed of what is drawn.
    pub seed: u64,
}

impl TransformationConfig {
    pub(super) fn check(&self) -> Result<(), TransformationError> {
        let of_ffn = match self.ffn {
            Some(FfnTransformation::LowRank { rank }) => Some(("rank of FFNs", rank)),
            Some(FfnTransformation::CrossLayer { hidden }) => Some(("hidden width", hidden)),
            Some(FfnTransformation::ScaleShift) | None => None,
        };
        let of_heads = match self.heads {
            Some(HeadTransformation::LowRank { rank }) => Some(("rank of heads", rank)),
            Some(HeadTransformation::ScaleShift) | None => None,
        };
        for (what, got) in of_ffn.into_iter().chain(of_heads) {
            if got == 0 || got > MAX_SIZE {
                return Err(TransformationError::Size { what, got, limit: MAX_SIZE });
            }
        }
        Ok(())
    }
}

/// The number after a name and a colon, or the default where the name stands alone.
fn sized(text: &str, name: &str, default: usize) -> Option<usize> {
    match text.strip_prefix(name)? {
        "" => Some(default),
        rest => rest.strip_prefix(':')?.parse().ok(),
    }
}

impl fmt::Display for FfnTransformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScaleShift => f.write_str("scale-shift"),
            Self::LowRank { rank } => write!(f, "low-rank:{rank}"),
            Self::CrossLayer { hidden } => write!(f, "cross-layer:{hidden}"),
        }
    }
}

impl FromStr for FfnTransformation {
    type Err = ExpansionError;

    /// Reads `scale-shift`, `low-rank` or `low-rank:8` with a rank, `cross-layer` or
    /// `cross-layer:16` with a hidden width.
    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        let low_rank = sized(text, "low-rank", RANK).map(|rank| Self::LowRank { rank });
        let cross_layer = || sized(text, "cross-layer", HIDDEN);
        let found = match text {
            "scale-shift" => Some(Self::ScaleShift),
            _ => low_rank.or_else(|| cross_layer().map(|hidden| Self::CrossLayer { hidden })),
        };
        found.ok_or_else(|| ExpansionError::Text {
            what: "transformation of FFNs",
            got: text.to_owned(),
            want: "scale-shift, low-rank, cross-layer, or one of the last two with a size such as \
                   low-rank:8 or cross-layer:16",
        })
    }
}

impl fmt::Display for HeadTransformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScaleShift => f.write_str("scale-shift"),
            Self::LowRank { rank } => write!(f, "low-rank:{rank}"),
        }
    }
}

impl FromStr for HeadTransformation {
    type Err = ExpansionError;

    /// Reads `low-rank`, `low-rank:8` with a rank, or `scale-shift`.
    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        let found = match text {
            "scale-shift" => Some(Self::ScaleShift),
            _ => sized(text, "low-rank", RANK).map(|rank| Self::LowRank { rank }),
        };
        found.ok_or_else(|| ExpansionError::Text {
            what: "transformation of heads",
            got: text.to_owned(),
            want: "low-rank, perhaps with a rank such as low-rank:8, or scale-shift",
        })
    }
}

impl Scope {
    const ALL: [Self; 2] = [Self::All, Self::Shared];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Shared => "shared",
        })
    }
}

impl FromStr for Scope {
    type Err = ExpansionError;

    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        parse_name("scope", "all or shared", text, Self::ALL)
    }
}

/// A type that serde reads and writes as its text.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl TryFrom<String> for $type {
            type Error = ExpansionError;

            fn try_from(text: String) -> Result<Self, ExpansionError> {
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

as_text!(FfnTransformation, HeadTransformation);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_are_written() {
        use FfnTransformation::{CrossLayer, LowRank, ScaleShift};
        let cases = [
            ("scale-shift", ScaleShift, "scale-shift"),
            ("low-rank", LowRank { rank: 8 }, "low-rank:8"),
            ("low-rank:3", LowRank { rank: 3 }, "low-rank:3"),
            ("cross-layer", CrossLayer { hidden: 16 }, "cross-layer:16"),
            ("cross-layer:4", CrossLayer { hidden: 4 }, "cross-layer:4"),
        ];
        for (text, wanted, written) in cases {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
            assert_eq!(wanted.to_string(), written);
            assert_eq!(written.parse(), Ok(wanted));
        }
        assert_eq!("low-rank:2".parse(), Ok(HeadTransformation::LowRank { rank: 2 }));
        assert_eq!(
            HeadTransformation::ScaleShift.to_string().parse(),
            Ok(HeadTransformation::ScaleShift)
        );
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in
            ["", "none", "low-rank:", "low-rank8", "low-rank:-1", "scale-shift:2", "Low-rank"]
        {
            let error = text.parse::<FfnTransformation>().expect_err(text);
            assert!(error.to_string().starts_with("transformation of FFNs must be "), "{error}");
        }
        let error = "cross-layer".parse::<HeadTransformation>().expect_err("not of heads");
        let message = "transformation of heads must be low-rank, perhaps with a rank such as \
                       low-rank:8, or scale-shift, got `cross-layer`";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn serde_uses_the_same_words() {
        let json = r#"{"ffn":"cross-layer:4","heads":null,"scope":"shared","seed":7}"#;
        let wanted: TransformationConfig = serde_json::from_str(json).expect("these words");
        assert_eq!(serde_json::to_string(&wanted).expect("plain data"), json);
        assert!(serde_json::from_str::<TransformationConfig>(r#"{"ffn":"low"}"#).is_err());
        assert!(serde_json::from_str::<TransformationConfig>(r#"{"fnn":null}"#).is_err());
    }

    #[test]
    fn sizes_of_nothing_and_slips_of_the_keyboard_are_refused() {
        let none = TransformationConfig::default();
        for (size, is_fine) in [(0, false), (1, true), (1024, true), (1025, false)] {
            let low_rank = FfnTransformation::LowRank { rank: size };
            let cross_layer = FfnTransformation::CrossLayer { hidden: size };
            let heads = HeadTransformation::LowRank { rank: size };
            for wanted in [
                TransformationConfig { ffn: Some(low_rank), ..none.clone() },
                TransformationConfig { ffn: Some(cross_layer), ..none.clone() },
                TransformationConfig { heads: Some(heads), ..none.clone() },
            ] {
                assert_eq!(wanted.check().is_ok(), is_fine, "{wanted:?}");
            }
        }
        let heads = Some(HeadTransformation::LowRank { rank: 0 });
        let error = TransformationConfig { heads, ..none }.check().expect_err("rank 0");
        assert_eq!(error.to_string(), "rank of heads must be 1 to 1024, got 0");
    }
}
