//! Which transformations are learnt, and where.

use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

/// Largest accepted rank or hidden width, far above any that saves parameters, so that a typing error
/// is refused before memory is allocated for it.
pub(super) const MAX_SIZE: usize = 1024;

/// How the FFN of layer k is made from its base, with weight `W` and bias `b` of each of its two linear
/// layers. Every kind is the identity before training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FfnTransformation {
    /// `(1 + s) W` and `(1 + s) b + t`, with one `s` and one `t` for each output, both zero at first.
    ScaleShift,
    /// `W + A B` and `b + t`: A is drawn, B and t are zero at first.
    LowRank {
        /// Columns of A and rows of B.
        rank: usize,
    },
    /// `W + V_k relu(U c + u)` for each element of `W` and of `b`, where `c` holds its values in all
    /// bases of the stage: a small linear-ReLU-linear along the depth, as in the paper. U is drawn, u
    /// and V are zero at first.
    CrossLayer {
        /// Rows of U, the same for all layers.
        hidden: usize,
    },
}

/// How the heads of a layer that holds copies of one centroid are made from these copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HeadTransformation {
    /// As [`FfnTransformation::ScaleShift`], for query, key and value and for the output projection.
    /// Equal copies get equal gradients, so they stay equal; for comparison only.
    ScaleShift,
    /// `W + A B` for each head, with one A for its query, key and value and another for its columns of
    /// the output projection; biases as in [`FfnTransformation::LowRank`]. Copies become different
    /// with the first step.
    LowRank {
        /// Columns of each A and rows of each B.
        rank: usize,
    },
}

/// Which FFNs are transformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those of all layers. An FFN that only one layer has is adapted to another depth or width.
    #[default]
    All,
    /// Those that several layers share.
    Shared,
}

/// The transformations of a descendant, unchecked; [`attach`](super::attach) checks them.
///
/// ```
/// use learngene_training::TransformationConfig;
///
/// let config = TransformationConfig {
///     ffn: Some("scale-shift".parse()?),
///     heads: Some("low-rank:4".parse()?),
///     ..TransformationConfig::default()
/// };
/// # assert_eq!(config.heads.map(|heads| heads.to_string()).as_deref(), Some("low-rank:4"));
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformationConfig {
    /// Transformation of FFNs, if any.
    pub ffn: Option<FfnTransformation>,
    /// Transformation of heads that have copies, if any.
    pub heads: Option<HeadTransformation>,
    /// Which FFNs are transformed.
    pub scope: Scope,
    /// Seed of the drawn values.
    pub seed: u64,
}

impl TransformationConfig {
    pub(super) fn check(&self) -> Result<()> {
        let of_ffn = match self.ffn {
            Some(FfnTransformation::LowRank { rank }) => Some(("rank of FFNs", rank)),
            Some(FfnTransformation::CrossLayer { hidden }) => {
                Some(("hidden width of the cross-layer transformation", hidden))
            }
            Some(FfnTransformation::ScaleShift) | None => None,
        };
        let of_heads = match self.heads {
            Some(HeadTransformation::LowRank { rank }) => Some(("rank of heads", rank)),
            Some(HeadTransformation::ScaleShift) | None => None,
        };
        let mut sizes = of_ffn.into_iter().chain(of_heads);
        match sizes.find(|(_, size)| !(1..=MAX_SIZE).contains(size)) {
            Some((what, size)) => Err(Error::invalid(what, size, format!("1 to {MAX_SIZE}"))),
            None => Ok(()),
        }
    }
}
