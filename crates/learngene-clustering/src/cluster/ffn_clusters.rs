//! Groups of neighbouring layers that share one feed-forward network.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    CheckedFfnParams, FfnAlgorithm, FfnGroupError, FfnParams, check_length, for_each_layer,
    head_clusters::nearest_to_mean,
};
use crate::{distances::MeanAttentionDistances, error::ClusteringError};

/// Which layers share one feed-forward network: `ffn` of `clusters.json`. Unknown fields are
/// refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FfnClusters {
    /// Runs of neighbouring layers, which together are all layers of the ancestor.
    pub groups: Vec<FfnGroup>,
    /// How the groups were made.
    pub parameters: FfnParams,
}

/// Layers that share one feed-forward network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FfnGroup {
    /// Neighbouring layers of the ancestor.
    pub layers: Vec<usize>,
    /// The layer nearest the group's mean density, ties within 1e-6 px to the lowest index. It
    /// names the group even where the mean of all layers stands for it.
    pub representative: usize,
}

/// Joins feed-forward networks of neighbouring layers inside each stage.
///
/// The density of a feed-forward network is the mean of its layer's head densities.
///
/// # Errors
/// Distances that are refused by [`MeanAttentionDistances::check`]; stages that are not all of
/// their layers; a list of eps of the wrong length; a given group with a layer that the model does
/// not have, or with layers of two stages.
pub fn cluster_ffns(
    distances: &MeanAttentionDistances,
    stages: &[Range<usize>],
    params: &CheckedFfnParams,
) -> Result<FfnClusters, ClusteringError> {
    distances.check()?;
    let densities: Vec<f64> = distances
        .mean_attention_distance
        .iter()
        .map(|heads| heads.iter().sum::<f64>() / heads.len() as f64)
        .collect();
    check_stages(stages, densities.len())?;
    params.check_layers(stages)?;
    let params = params.get();
    let groups = match &params.algorithm {
        FfnAlgorithm::None => (0..densities.len()).map(|layer| vec![layer]).collect(),
        FfnAlgorithm::Contiguous { eps } => {
            let eps = for_each_layer(eps, densities.len());
            joined(stages, |layer, next| {
                (densities[next] - densities[layer]).abs() <= eps[layer].min(eps[next])
            })
        }
        FfnAlgorithm::Given { groups } => {
            let is_in_one = |layer, next| {
                groups.iter().any(|group| group.contains(&layer) && group.contains(&next))
            };
            joined(stages, is_in_one)
        }
    };
    let group = |layers: Vec<usize>| {
        let representative = nearest_to_mean(&layers, &densities).expect("a group has a layer");
        FfnGroup { layers, representative }
    };
    let groups = groups.into_iter().map(group).collect();
    Ok(FfnClusters { groups, parameters: params.clone() })
}

impl CheckedFfnParams {
    /// Checks all that can be known of a model's shape, before its distances are: the layers of each
    /// stage.
    ///
    /// # Errors
    /// A list of eps of the wrong length; a given group with a layer that the model does not have, or
    /// with layers of two stages.
    pub fn check_layers(&self, stages: &[Range<usize>]) -> Result<(), ClusteringError> {
        match &self.get().algorithm {
            FfnAlgorithm::None => Ok(()),
            FfnAlgorithm::Contiguous { eps } => {
                check_length("ffn_eps", eps, stages.last().map_or(0, |stage| stage.end))
            }
            FfnAlgorithm::Given { groups } => {
                groups.iter().try_for_each(|layers| check_group(layers, stages))?;
                Ok(())
            }
        }
    }
}

/// The runs of each stage in which every layer joins the next.
fn joined(stages: &[Range<usize>], joins: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let of_stage = |stage: &Range<usize>| {
        let layers: Vec<usize> = stage.clone().collect();
        let runs = layers.chunk_by(|layer, next| joins(*layer, *next));
        runs.map(<[usize]>::to_vec).collect::<Vec<_>>()
    };
    stages.iter().flat_map(of_stage).collect()
}

fn check_stages(stages: &[Range<usize>], depth: usize) -> Result<(), ClusteringError> {
    let starts = std::iter::once(0).chain(stages.iter().map(|stage| stage.end));
    let are_runs = stages.iter().zip(starts).all(|(stage, start)| stage.start == start);
    if are_runs && stages.last().map_or(0, |stage| stage.end) == depth {
        return Ok(());
    }
    Err(ClusteringError::Stages { got: stages.to_vec(), want: depth })
}

fn check_group(layers: &[usize], stages: &[Range<usize>]) -> Result<(), FfnGroupError> {
    let (layers, depth) = (layers.to_vec(), stages.last().map_or(0, |stage| stage.end));
    let (Some(&first), Some(&last)) = (layers.first(), layers.last()) else {
        return Err(FfnGroupError::Empty);
    };
    if last >= depth {
        return Err(FfnGroupError::TooDeep { layers, depth });
    }
    match stages.iter().find(|stage| first < stage.start && stage.start <= last) {
        Some(stage) => Err(FfnGroupError::AcrossStages { layers, first: stage.start }),
        None => Ok(()),
    }
}

impl FfnClusters {
    /// Refuses groups that are not runs of neighbouring layers, that together are not all layers
    /// of an ancestor of that depth, or that name a representative from outside.
    pub(super) fn check(&self, depth: usize) -> Result<(), ClusteringError> {
        let layers = self.groups.iter().flat_map(|group| &group.layers).copied();
        let named = |group: &FfnGroup| group.layers.contains(&group.representative);
        if layers.eq(0..depth) && self.groups.iter().all(named) {
            return Ok(());
        }
        let groups = self.groups.iter().map(|group| group.layers.clone()).collect();
        let representatives = self.groups.iter().map(|group| group.representative).collect();
        Err(ClusteringError::FfnGroups { groups, representatives, depth })
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a model of one stage")]
mod tests {
    use super::*;

    /// Layers whose two heads lie 2 px on either side of a density.
    fn distances(densities: &[f64]) -> MeanAttentionDistances {
        let heads = densities.iter().map(|density| vec![density - 2.0, density + 2.0]);
        MeanAttentionDistances::new(heads.collect())
    }

    fn clustered(
        densities: &[f64],
        stages: &[Range<usize>],
        params: FfnParams,
    ) -> Result<FfnClusters, ClusteringError> {
        cluster_ffns(&distances(densities), stages, &params.check()?)
    }

    fn check(densities: &[f64], stages: &[Range<usize>], params: FfnParams, want: &[&[usize]]) {
        let clusters = clustered(densities, stages, params).expect("possible groups");
        let got: Vec<_> = clusters.groups.iter().map(|group| group.layers.clone()).collect();
        assert_eq!(got, want);
        clusters.check(densities.len()).expect("a file that can be read again");
    }

    fn within(eps: &[f64]) -> FfnParams {
        FfnParams::contiguous(eps.to_vec())
    }

    const ALL: &[Range<usize>] = &[0..5];

    #[test]
    fn neighbours_within_eps_join_and_chain() {
        check(&[10., 15., 20., 30., 34.], ALL, within(&[5.0]), &[&[0, 1, 2], &[3, 4]]);
        check(&[10., 15., 20., 30., 34.], ALL, within(&[4.5]), &[&[0], &[1], &[2], &[3, 4]]);
    }

    #[test]
    fn layers_of_equal_density_join_only_as_neighbours() {
        check(&[10., 50., 10., 50., 50.], ALL, within(&[0.0]), &[&[0], &[1], &[2], &[3, 4]]);
    }

    #[test]
    fn stages_part_layers() {
        check(&[10.; 5], &[0..2, 2..5], within(&[5.0]), &[&[0, 1], &[2, 3, 4]]);
    }

    #[test]
    fn each_stage_may_have_its_own_eps() {
        let eps = [2.0, 2.0, 8.0, 8.0, 8.0];
        check(&[10., 15., 20., 25., 30.], &[0..2, 2..5], within(&eps), &[&[0], &[1], &[2, 3, 4]]);
    }

    #[test]
    fn given_groups_are_taken_and_the_rest_stays_alone() {
        let given = FfnParams::given(vec![vec![3, 4], vec![0, 1]]);
        check(&[10.; 5], ALL, given, &[&[0, 1], &[2], &[3, 4]]);
        let touching = FfnParams::given(vec![vec![0, 1], vec![2, 3]]);
        check(&[10.; 5], ALL, touching, &[&[0, 1], &[2, 3], &[4]]);
        check(&[10.; 5], ALL, FfnParams::default(), &[&[0], &[1], &[2], &[3], &[4]]);
    }

    #[test]
    fn the_layer_nearest_the_mean_stands_for_its_group() {
        let densities = [10., 14., 20., 80., 80.];
        let clusters = clustered(&densities, ALL, within(&[8.0])).expect("two groups");
        let representatives: Vec<_> = clusters.groups.iter().map(|g| g.representative).collect();
        assert_eq!(representatives, [1, 3]);
    }

    fn check_refused(stages: &[Range<usize>], params: FfnParams, message: &str) {
        let error = clustered(&[10.; 5], stages, params).expect_err("refused");
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn groups_that_the_model_has_not_are_refused() {
        check_refused(
            ALL,
            FfnParams::given(vec![vec![4, 5]]),
            "layers [4, 5] cannot share a feed-forward network: the model has 5 layers, counted \
             from 0",
        );
        check_refused(
            &[0..2, 2..5],
            FfnParams::given(vec![vec![1, 2, 3]]),
            "layers [1, 2, 3] cannot share a feed-forward network: layer 2 begins another stage",
        );
        assert!(
            clustered(&[10.; 5], ALL, FfnParams::published("deit_base").expect("known")).is_err()
        );
    }

    #[test]
    fn lists_of_another_length_are_refused() {
        check_refused(
            ALL,
            within(&[1.0, 2.0]),
            "the distances have 5 layers, but the list of ffn_eps has 2 entries",
        );
        for stages in [vec![0..4], vec![0..2, 3..5], vec![0..6], vec![]] {
            let message = format!("the distances have 5 layers, but the stages are {stages:?}");
            check_refused(&stages, within(&[1.0]), &message);
        }
    }

    #[test]
    fn groups_that_contradict_each_other_are_refused() {
        let good = clustered(&[10., 10., 50.], &[0..3], within(&[1.0])).expect("two groups");
        let mut edited = good.clone();
        edited.groups[1].representative = 0;
        assert!(edited.check(3).is_err());
        edited = good.clone();
        edited.groups.swap(0, 1);
        let message = edited.check(3).expect_err("not in order").to_string();
        assert_eq!(
            message,
            "groups of feed-forward networks must be runs that together are layers 0 to 2, each \
             with one of its layers as representative, got [[2], [0, 1]] with [2, 0]"
        );
        assert!(good.check(4).is_err());
    }
}
