//! The words by which transformations are written.

use std::{fmt, str::FromStr};

use super::{FfnTransformation, HeadTransformation, Scope, config::MAX_SIZE};
use crate::{ExpansionError, text::parse_name};

/// Rank of a low-rank transformation that tells none: of the size that Hu et al. find enough,
/// "LoRA: Low-Rank Adaptation of Large Language Models", 2021, <https://arxiv.org/abs/2106.09685>.
const RANK: usize = 8;

/// Hidden width of a mixing of layers that tells none: a little more than the layers of most
/// models.
const HIDDEN: usize = 16;

/// The number from 1 to [`MAX_SIZE`] after a name and a colon, or the default where the name stands alone.
fn sized(text: &str, name: &str, default: usize) -> Option<usize> {
    match text.strip_prefix(name)? {
        "" => Some(default),
        rest => rest.strip_prefix(':')?.parse().ok().filter(|size| (1..=MAX_SIZE).contains(size)),
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
            want: "scale-shift, low-rank, cross-layer, or one of the last two with a size from 1 to \
                   1024 such as low-rank:8 or cross-layer:16",
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
            want: "low-rank, perhaps with a rank from 1 to 1024 such as low-rank:8, or scale-shift",
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
    use crate::TransformationConfig;

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
        for (size, is_fine) in [(0, false), (1, true), (MAX_SIZE, true), (MAX_SIZE + 1, false)] {
            for name in ["low-rank", "cross-layer"] {
                let found = format!("{name}:{size}").parse::<FfnTransformation>();
                assert_eq!(found.is_ok(), is_fine, "{name}:{size}");
            }
        }
        let error = "low-rank:0".parse::<FfnTransformation>().expect_err("no rank").to_string();
        assert!(error.contains(&format!("from 1 to {MAX_SIZE} such as low-rank:8")), "{error}");
        let error = "cross-layer".parse::<HeadTransformation>().expect_err("not of heads");
        let message = "transformation of heads must be low-rank, perhaps with a rank from 1 to 1024 such \
                       as low-rank:8, or scale-shift, got `cross-layer`";
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
}
