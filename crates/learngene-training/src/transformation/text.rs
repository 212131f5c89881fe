//! Transformations as text: on the command line and in files.

use std::{fmt, str::FromStr};

use learngene_tensors::{Error, Result};

use super::{FfnTransformation, HeadTransformation, Scope, config::MAX_SIZE};

/// Default rank of low-rank transformations, which is enough according to Hu et al., "LoRA: Low-Rank
/// Adaptation of Large Language Models", 2021, <https://arxiv.org/abs/2106.09685>.
const RANK: usize = 8;

/// Default hidden width of cross-layer transformations: slightly more than most models have layers.
const HIDDEN: usize = 16;

/// The size from 1 to [`MAX_SIZE`] after a name and a colon, or the default after the name alone.
fn sized(text: &str, name: &str, default: usize) -> Option<usize> {
    match text.strip_prefix(name)? {
        "" => Some(default),
        rest => rest.strip_prefix(':')?.parse().ok().filter(|size| (1..=MAX_SIZE).contains(size)),
    }
}

/// A text that is none of those expected.
fn unknown(what: &str, text: &str, expected: &str) -> Error {
    Error::invalid(what, format!("`{text}`"), expected)
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
    type Err = Error;

    /// Reads `scale-shift`, `low-rank` or `low-rank:8` with a rank, `cross-layer` or
    /// `cross-layer:16` with a hidden width.
    fn from_str(text: &str) -> Result<Self> {
        let low_rank = sized(text, "low-rank", RANK).map(|rank| Self::LowRank { rank });
        let cross_layer = || sized(text, "cross-layer", HIDDEN);
        let found = match text {
            "scale-shift" => Some(Self::ScaleShift),
            _ => low_rank.or_else(|| cross_layer().map(|hidden| Self::CrossLayer { hidden })),
        };
        let expected = "scale-shift, low-rank or cross-layer, the last two optionally with a size from 1 \
                        to 1024, such as low-rank:8";
        found.ok_or_else(|| unknown("transformation of FFNs", text, expected))
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
    type Err = Error;

    /// Reads `low-rank`, `low-rank:8` with a rank, or `scale-shift`.
    fn from_str(text: &str) -> Result<Self> {
        let found = match text {
            "scale-shift" => Some(Self::ScaleShift),
            _ => sized(text, "low-rank", RANK).map(|rank| Self::LowRank { rank }),
        };
        let expected =
            "low-rank, optionally with a rank from 1 to 1024, such as low-rank:8, or scale-shift";
        found.ok_or_else(|| unknown("transformation of heads", text, expected))
    }
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
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "all" => Ok(Self::All),
            "shared" => Ok(Self::Shared),
            _ => Err(unknown("scope of the transformation", text, "all or shared")),
        }
    }
}

/// A type that serde reads and writes as its text.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
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

    #[track_caller]
    fn check<T: FromStr<Err = Error> + fmt::Display + PartialEq + fmt::Debug>(
        text: &str,
        expected: T,
        written: &str,
    ) {
        assert_eq!(text.parse::<T>().expect(text), expected);
        assert_eq!(expected.to_string(), written);
        assert_eq!(written.parse::<T>().expect(written), expected);
    }

    #[test]
    fn texts_are_read_as_they_are_written() {
        check("scale-shift", FfnTransformation::ScaleShift, "scale-shift");
        check("low-rank", FfnTransformation::LowRank { rank: 8 }, "low-rank:8");
        check("low-rank:3", FfnTransformation::LowRank { rank: 3 }, "low-rank:3");
        check("cross-layer", FfnTransformation::CrossLayer { hidden: 16 }, "cross-layer:16");
        check("cross-layer:4", FfnTransformation::CrossLayer { hidden: 4 }, "cross-layer:4");
        check("low-rank:1024", HeadTransformation::LowRank { rank: 1024 }, "low-rank:1024");
        check("scale-shift", HeadTransformation::ScaleShift, "scale-shift");
        check("all", Scope::All, "all");
        check("shared", Scope::Shared, "shared");
    }

    #[test]
    fn other_texts_are_refused() {
        let texts =
            ["", "none", "low-rank:", "low-rank8", "low-rank:-1", "scale-shift:2", "Low-rank"];
        for text in texts.into_iter().chain(["low-rank:0", "cross-layer:0", "cross-layer:1025"]) {
            let error = text.parse::<FfnTransformation>().expect_err(text).to_string();
            let start = format!("transformation of FFNs: found `{text}`, expected scale-shift, ");
            assert!(error.starts_with(&start), "{error}");
        }
        let error = "cross-layer".parse::<HeadTransformation>().expect_err("for FFNs only");
        let message = "transformation of heads: found `cross-layer`, expected low-rank, optionally with a \
                       rank from 1 to 1024, such as low-rank:8, or scale-shift";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn serde_uses_the_same_texts() {
        let json = r#"{"ffn":"cross-layer:4","heads":null,"scope":"shared","seed":7}"#;
        let config: TransformationConfig = serde_json::from_str(json).expect("these texts");
        assert_eq!(serde_json::to_string(&config).expect("plain data"), json);
        assert!(serde_json::from_str::<TransformationConfig>(r#"{"ffn":"low"}"#).is_err());
        assert!(serde_json::from_str::<TransformationConfig>(r#"{"fnn":null}"#).is_err());
    }
}
