use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Representative;
use crate::{error::ClusteringError, shown};

/// How feed-forward networks of neighbouring layers are joined and which one stands for a group:
/// written unchecked, used checked. Layers are counted from 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FfnParams {
    /// What makes a group.
    pub algorithm: FfnAlgorithm,
    /// What stands for it: the layer nearest the group's mean density, or the mean of all layers'
    /// parameters.
    pub representative: Representative,
    /// Which norm stands before the network of each layer.
    pub norm: FfnNorm,
}

/// What joins the feed-forward networks of neighbouring layers.
///
/// The density of a feed-forward network is the mean of its layer's head densities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FfnAlgorithm {
    /// Nothing: each layer keeps its own.
    #[default]
    None,
    /// Neighbours inside a stage whose densities differ by at most eps; longer runs chain.
    Contiguous {
        /// Largest difference of neighbours in pixels, per layer; a single entry counts for every
        /// layer. Of two neighbours the smaller one counts.
        eps: Vec<f64>,
    },
    /// Groups that somebody chose; layers in none of them stay alone.
    Given {
        /// Runs of neighbouring layers inside a stage.
        groups: Vec<Vec<usize>>,
    },
}

/// Which norm stands before a feed-forward network that several layers share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FfnNorm {
    /// It travels with the network: that of the representative, or the mean of all.
    #[default]
    Representative,
    /// Each layer keeps its own.
    Own,
}

/// Layers that cannot share one feed-forward network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FfnGroupError {
    /// A group of nothing.
    #[error("a group of feed-forward networks needs at least one layer, got none")]
    Empty,
    /// Layers that are not neighbours in ascending order.
    #[error(
        "layers {} cannot share a feed-forward network: wanted neighbours in ascending order",
        shown::list(layers)
    )]
    NotARun {
        /// The group.
        layers: Vec<usize>,
    },
    /// Groups that have a layer in common.
    #[error("layer {layer} is in more than one group of feed-forward networks")]
    Twice {
        /// The layer.
        layer: usize,
    },
    /// A layer that the model does not have.
    #[error(
        "layers {} cannot share a feed-forward network: the model has {depth} layers, counted from 0",
        shown::list(layers)
    )]
    TooDeep {
        /// The group.
        layers: Vec<usize>,
        /// Layers of the model.
        depth: usize,
    },
    /// Layers of different widths.
    #[error(
        "layers {} cannot share a feed-forward network: layer {first} begins another stage",
        shown::list(layers)
    )]
    AcrossStages {
        /// The group.
        layers: Vec<usize>,
        /// First layer of the stage that the group runs into.
        first: usize,
    },
}

/// Parameters that passed [`FfnParams::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedFfnParams(FfnParams);

impl CheckedFfnParams {
    /// The parameters.
    pub fn get(&self) -> &FfnParams {
        &self.0
    }
}

impl FfnParams {
    /// Names that [`FfnParams::published`] knows.
    pub const PUBLISHED: [&str; 3] = ["deit_tiny", "deit_small", "deit_base"];

    /// The method's defaults for given differences in pixels; see [`default_ffn_eps`].
    pub fn contiguous(eps: Vec<f64>) -> Self {
        Self { algorithm: FfnAlgorithm::Contiguous { eps }, ..Self::default() }
    }

    /// Groups that somebody chose.
    pub fn given(groups: Vec<Vec<usize>>) -> Self {
        Self { algorithm: FfnAlgorithm::Given { groups }, ..Self::default() }
    }

    /// The groups typed into the paper's published code for an ancestor of twelve layers, if it is
    /// one of [`FfnParams::PUBLISHED`]. Layers are counted from 0 there too.
    ///
    /// Source: <https://openreview.net/forum?id=92vVuJVLVW>, its code; the text gives no rule that
    /// leads to them.
    pub fn published(name: &str) -> Option<Self> {
        let groups: &[&[usize]] = match name {
            "deit_tiny" => &[&[1, 2], &[10, 11]],
            "deit_small" => &[&[9, 10, 11]],
            "deit_base" => &[&[6, 7], &[9, 10, 11]],
            _ => return None,
        };
        Some(Self::given(groups.iter().map(|group| group.to_vec()).collect()))
    }

    /// Checks all that can be known without the model.
    ///
    /// # Errors
    /// An empty list of eps or one that is negative or not finite; a given group that is empty, is
    /// no run of neighbours, or has a layer in common with another.
    pub fn check(self) -> Result<CheckedFfnParams, ClusteringError> {
        match &self.algorithm {
            FfnAlgorithm::None => {}
            FfnAlgorithm::Contiguous { eps } if eps.is_empty() => {
                return Err(ClusteringError::EmptyList { parameter: "ffn_eps" });
            }
            FfnAlgorithm::Contiguous { eps } => {
                if let Some(&got) = eps.iter().find(|eps| !(eps.is_finite() && **eps >= 0.0)) {
                    return Err(ClusteringError::FfnEps { got });
                }
            }
            FfnAlgorithm::Given { groups } => check_groups(groups)?,
        }
        Ok(CheckedFfnParams(self))
    }
}

fn check_groups(groups: &[Vec<usize>]) -> Result<(), FfnGroupError> {
    for layers in groups {
        if layers.is_empty() {
            return Err(FfnGroupError::Empty);
        }
        if layers.windows(2).any(|pair| pair[0].checked_add(1) != Some(pair[1])) {
            return Err(FfnGroupError::NotARun { layers: layers.clone() });
        }
    }
    let mut layers = groups.concat();
    layers.sort_unstable();
    match layers.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(FfnGroupError::Twice { layer: pair[0] }),
        None => Ok(()),
    }
}

/// The method's difference for feed-forward networks, half of the radius for heads, per layer.
pub fn default_ffn_eps(eps: &[f64]) -> Vec<f64> {
    eps.iter().map(|eps| eps / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(params: FfnParams, message: &str) {
        let error = params.check().expect_err("the parameters are refused");
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn eps_must_be_a_finite_distance() {
        for (eps, got) in [(-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            check_refused(
                FfnParams::contiguous(vec![5.0, eps]),
                &format!("ffn_eps must be a finite distance of 0 or more, in pixels, got {got}"),
            );
        }
        check_refused(
            FfnParams::contiguous(vec![]),
            "ffn_eps needs one entry for all layers or one per layer, got an empty list",
        );
        assert!(FfnParams::contiguous(vec![0.0]).check().is_ok());
    }

    #[test]
    fn given_groups_must_be_runs_and_disjoint() {
        let given = |groups: &[&[usize]]| {
            FfnParams::given(groups.iter().map(|group| group.to_vec()).collect())
        };
        check_refused(
            given(&[&[1, 2], &[]]),
            "a group of feed-forward networks needs at least one layer, got none",
        );
        for layers in [vec![1, 3], vec![2, 1], vec![4, 4], vec![usize::MAX, 0]] {
            check_refused(
                given(&[&layers]),
                &format!(
                    "layers {layers:?} cannot share a feed-forward network: wanted neighbours in \
                     ascending order"
                ),
            );
        }
        check_refused(
            given(&[&[4, 5], &[1], &[5, 6]]),
            "layer 5 is in more than one group of feed-forward networks",
        );
    }

    #[test]
    fn published_groups_are_possible() {
        for name in FfnParams::PUBLISHED {
            let params = FfnParams::published(name).expect("PUBLISHED lists what published knows");
            assert!(params.check().is_ok(), "{name}");
        }
        assert_eq!(FfnParams::published("deit_huge"), None);
    }

    #[test]
    fn parameters_keep_their_names_in_files() {
        let text = |params| serde_json::to_string(&params).expect("plain data");
        assert_eq!(
            text(FfnParams::contiguous(vec![5.0])),
            r#"{"algorithm":{"contiguous":{"eps":[5.0]}},"representative":"nearest","norm":"representative"}"#
        );
        assert!(text(FfnParams::default()).starts_with(r#"{"algorithm":"none","#));
    }
}
