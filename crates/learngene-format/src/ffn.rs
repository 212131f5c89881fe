use serde::{Deserialize, Serialize};

use crate::RepresentativePolicy;

/// Which layers share one feed-forward network, and how that was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ffn {
    /// How layers were joined.
    pub algorithm: FfnAlgorithm,
    /// What stands for a group.
    pub representative: RepresentativePolicy,
    /// Which norm stands before the feed-forward network of each layer.
    pub norm: FfnNorm,
    /// Runs of neighbouring layers inside one stage, which together are all layers.
    pub groups: Vec<FfnGroup>,
}

/// What joins the feed-forward networks of neighbouring layers.
///
/// The density of a feed-forward network is the mean of its layer's head densities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum FfnAlgorithm {
    /// Nothing: each layer keeps its own.
    None,
    /// Neighbours inside a stage whose densities differ by at most eps.
    Contiguous {
        /// Largest difference of neighbours, in input pixels, per layer.
        eps: Vec<f64>,
    },
    /// Groups that somebody chose.
    Given,
}

/// Which norm stands before a feed-forward network that several layers share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FfnNorm {
    /// It travels with the feed-forward network: that of the representative, or the mean of all.
    #[default]
    Representative,
    /// Each layer keeps its own.
    Own,
}

/// Layers that share one feed-forward network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FfnGroup {
    /// Neighbouring layers of the ancestor.
    pub layers: Vec<usize>,
    /// The layer whose feed-forward network stands for all; under
    /// [`RepresentativePolicy::Mean`] the one nearest the mean density, which only names the group.
    pub representative: usize,
}

impl Ffn {
    /// The group of a layer of the ancestor.
    ///
    /// # Panics
    /// Panics when the groups, which together are all layers, do not have it.
    pub fn group_of(&self, layer: usize) -> usize {
        let group = self.groups.iter().position(|group| group.layers.contains(&layer));
        group.expect("the groups together are all layers")
    }
}
