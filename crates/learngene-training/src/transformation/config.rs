//! Which transformations are learnt, and where.

use serde::{Deserialize, Serialize};

use super::TransformationError;

/// Largest rank or hidden width accepted, far above any that saves parameters: a slip of the
/// keyboard is refused before memory is asked for it.
pub(super) const MAX_SIZE: usize = 1024;

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

#[cfg(test)]
mod tests {
    use super::*;

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
