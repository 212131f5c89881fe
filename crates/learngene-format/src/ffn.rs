use std::ops::Range;

use learngene_shape::Shape;
use learngene_tensors::Result;
use serde::{Deserialize, Serialize};

use crate::{
    RepresentativePolicy,
    check::{SIZE, check_each, check_length, ensure, is_size},
    json,
};

/// Which layers share one feed-forward network (FFN), and how that was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FfnClusters {
    /// What joins the FFNs of neighbouring layers.
    pub algorithm: FfnAlgorithm,
    /// What stands for a group.
    pub representative: RepresentativePolicy,
    /// Which norm stands before the FFN of each layer.
    pub norm: FfnNorm,
    /// Runs of neighbouring layers inside one stage, which together are all layers.
    pub groups: Vec<FfnGroup>,
}

/// What joins the FFNs of neighbouring layers of one stage. Longer runs chain; of two layers' eps
/// the smaller counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum FfnAlgorithm {
    /// Nothing: each layer keeps its own.
    #[default]
    None,
    /// The paper's rule: as many centroids, whose distances differ by less than eps on average.
    Paper {
        /// Mean difference of paired centroids, in pixels of the input, for each layer.
        eps: Vec<f64>,
    },
    /// Mean distances of all heads that differ by at most eps.
    Contiguous {
        /// Largest difference of neighbours, in pixels of the input, for each layer.
        eps: Vec<f64>,
    },
    /// Groups that somebody chose.
    Given,
}

/// Which norm stands before an FFN that several layers share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FfnNorm {
    /// It travels with the FFN: that of the representative, or the mean of all.
    #[default]
    Representative,
    /// Each layer keeps its own.
    Own,
}

/// Layers that share one FFN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FfnGroup {
    /// Neighbouring layers of the ancestor.
    pub layers: Vec<usize>,
    /// The layer whose FFN stands for all, and under whose names it is stored; under
    /// [`RepresentativePolicy::Mean`] it only names the group.
    pub representative: usize,
}

/// Runs of layers any neighbours of which may share an FFN: those of one stage, with FFNs of one
/// width and kind.
pub fn ffn_runs(shape: &Shape) -> Vec<Range<usize>> {
    let runs = shape.layers().chunk_by(|a, b| (a.stage, a.ffn) == (b.stage, b.ffn));
    let mut end = 0;
    let range = |run: usize| {
        end += run;
        end - run..end
    };
    runs.map(<[_]>::len).map(range).collect()
}

impl FfnClusters {
    /// The group of a layer of the ancestor.
    ///
    /// # Panics
    /// Panics when the groups, which together are all layers, do not have it.
    pub fn group_of(&self, layer: usize) -> &FfnGroup {
        let group = self.groups.iter().find(|group| group.layers.contains(&layer));
        group.expect("the groups together are all layers")
    }

    /// Checks that the groups are runs that together are all layers of a model so deep.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn check(&self, depth: usize) -> Result<()> {
        if let FfnAlgorithm::Paper { eps } | FfnAlgorithm::Contiguous { eps } = &self.algorithm {
            check_length("eps of the FFNs", eps.len(), depth)?;
            check_each("eps of the FFNs", eps.iter().copied(), is_size, SIZE)?;
        }
        let layers: Vec<&[usize]> = self.groups.iter().map(|group| &group.layers[..]).collect();
        let are_runs = layers.concat().into_iter().eq(0..depth) && !layers.contains(&&[][..]);
        let expected = format!("runs of layers that together are all {depth}, in their order");
        ensure(are_runs, "groups of FFNs", json::text(&layers), expected)?;
        for FfnGroup { layers, representative } in &self.groups {
            let is_member = layers.contains(representative);
            let place = "representative of a group of FFNs";
            ensure(is_member, place, representative, format!("one of {layers:?}"))?;
            let may_join = layers.len() == 1 || self.algorithm != FfnAlgorithm::None;
            let expected = "one layer each, since nothing joins FFNs";
            ensure(may_join, "groups of FFNs", json::text(layers), expected)?;
        }
        Ok(())
    }
}
