//! Groups of neighbouring layers that share one FFN.

use std::ops::Range;

use learngene_format::{Distances, FfnAlgorithm, FfnClusters, FfnGroup, HeadClusters};
use learngene_tensors::{Error, Result};

use crate::{CheckedFfnParams, cluster::nearest_to_mean, params::for_each_layer};

/// Joins FFNs of neighbouring layers inside each of the runs that
/// [`CheckedFfnParams::within`] was given, or inside each stage.
///
/// By [`FfnAlgorithm::Paper`] two layers share an FFN when they have as many centroids, whose distances
/// differ by less than eps on average, and the shallower layer's stands for both. Clusters of a single
/// head are not counted, and centroids are paired in the order of their distance: the reading that
/// gives the groups of the published code for DeiT-B.
///
/// The other rules compare the mean distances of all heads, and the layer nearest the group's mean
/// stands for it.
///
/// `heads` are the clusters that [`cluster`](crate::cluster()) found in these distances, before any
/// [`with_random_heads`](crate::with_random_heads()).
///
/// # Errors
/// Distances that [`Distances::check`] refuses; clusters of other heads; a list of eps of the wrong
/// length; a given group with a layer that the model does not have, or with layers of two runs; runs
/// of a model of another depth.
pub fn cluster_ffns(
    distances: &Distances,
    heads: &HeadClusters,
    params: &CheckedFfnParams,
) -> Result<FfnClusters> {
    distances.check()?;
    let (found, expected) = (heads.num_heads(), distances.num_heads());
    if found != expected {
        let (found, expected) = (format!("{found:?}"), format!("{expected:?}, as the distances"));
        return Err(Error::invalid("heads of the clusters", found, expected));
    }
    let depth = expected.len();
    let runs = params.runs.clone().unwrap_or_else(|| stages(&distances.depths));
    params.check_layers(&runs, depth)?;
    let params = params.get();
    let means = distances.layer_means();
    let mut algorithm = params.algorithm.clone();
    if let FfnAlgorithm::Paper { eps } | FfnAlgorithm::Contiguous { eps } = &mut algorithm {
        *eps = for_each_layer(eps, depth);
    }
    let groups = match &algorithm {
        FfnAlgorithm::None => joined(&runs, |_, _| false),
        FfnAlgorithm::Paper { eps } => {
            let centroids: Vec<Vec<f64>> =
                (0..depth).map(|layer| centroids(distances, heads, layer)).collect();
            joined(&runs, |layer, next| {
                let difference = mean_difference(&centroids[layer], &centroids[next]);
                difference.is_some_and(|difference| difference < eps[layer].min(eps[next]))
            })
        }
        FfnAlgorithm::Contiguous { eps } => joined(&runs, |layer, next| {
            (means[next] - means[layer]).abs() <= eps[layer].min(eps[next])
        }),
        FfnAlgorithm::Given => joined(&runs, |layer, next| {
            params.groups.iter().any(|group| group.contains(&layer) && group.contains(&next))
        }),
    };
    let group = |layers: Vec<usize>| FfnGroup {
        representative: match &algorithm {
            FfnAlgorithm::Paper { .. } => layers[0],
            _ => nearest_to_mean(&layers, &means),
        },
        layers,
    };
    let groups = groups.into_iter().map(group).collect();
    let (representative, norm) = (params.representative, params.norm);
    Ok(FfnClusters { algorithm, representative, norm, groups })
}

/// The layers of each stage.
fn stages(depths: &[usize]) -> Vec<Range<usize>> {
    let mut start = 0;
    let range = |depth: &usize| {
        start += depth;
        start - depth..start
    };
    depths.iter().map(range).collect()
}

/// The groups inside each run in which every layer joins the next.
fn joined(runs: &[Range<usize>], joins: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let of_run = |run: &Range<usize>| {
        let layers: Vec<usize> = run.clone().collect();
        let groups = layers.chunk_by(|layer, next| joins(*layer, *next));
        groups.map(<[usize]>::to_vec).collect::<Vec<_>>()
    };
    runs.iter().flat_map(of_run).collect()
}

/// Distances of the heads that stand for clusters of several heads, in ascending order.
fn centroids(distances: &Distances, heads: &HeadClusters, layer: usize) -> Vec<f64> {
    let clusters = &heads.layers[layer];
    let centroids = clusters.representatives.iter().zip(&clusters.sizes);
    let distance = |head: &usize| distances.mean_attention_distance[layer][*head];
    let mut found: Vec<f64> =
        centroids.filter(|(_, size)| **size > 1).map(|(head, _)| distance(head)).collect();
    found.sort_by(f64::total_cmp);
    found
}

/// Mean difference of paired distances; none where there are no pairs, or one is left over.
fn mean_difference(one: &[f64], other: &[f64]) -> Option<f64> {
    if one.is_empty() || one.len() != other.len() {
        return None;
    }
    let sum: f64 = one.iter().zip(other).map(|(one, other)| (one - other).abs()).sum();
    Some(sum / one.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterParams, FfnParams, cluster, test_distances::distances_of};

    /// Clusters of layers in which heads within 5 px are one cluster.
    fn clustered(layers: &[Vec<f64>], depths: &[usize], params: FfnParams) -> FfnClusters {
        let mut distances = distances_of(layers.to_vec());
        distances.depths = depths.to_vec();
        let heads = ClusterParams::dbscan(vec![5.0]).check().expect("a positive eps");
        let heads = cluster(&distances, &heads).expect("possible distances");
        let params = params.check().expect("possible parameters");
        let clusters = cluster_ffns(&distances, &heads, &params).expect("possible groups");
        clusters.check(layers.len()).expect("a file that can be read again");
        clusters
    }

    fn check_layers(layers: &[Vec<f64>], depths: &[usize], params: FfnParams, want: &[&[usize]]) {
        let clusters = clustered(layers, depths, params);
        let got: Vec<_> = clusters.groups.iter().map(|group| group.layers.clone()).collect();
        assert_eq!(got, want);
    }

    /// Layers whose two heads lie 2 px on either side of a mean.
    fn around(means: &[f64]) -> Vec<Vec<f64>> {
        means.iter().map(|mean| vec![mean - 2.0, mean + 2.0]).collect()
    }

    fn check(means: &[f64], depths: &[usize], params: FfnParams, want: &[&[usize]]) {
        check_layers(&around(means), depths, params, want);
    }

    fn within(eps: &[f64]) -> FfnParams {
        FfnParams::contiguous(eps.to_vec())
    }

    #[test]
    fn neighbours_within_eps_join_and_chain() {
        let means = [10., 15., 20., 30., 34.];
        check(&means, &[5], within(&[5.0]), &[&[0, 1, 2], &[3, 4]]);
        check(&means, &[5], within(&[4.5]), &[&[0], &[1], &[2], &[3, 4]]);
        check(&means, &[5], FfnParams::paper(vec![5.1]), &[&[0, 1, 2], &[3, 4]]);
        check(&means, &[5], FfnParams::default(), &[&[0], &[1], &[2], &[3], &[4]]);
        // The paper's rule wants less than eps.
        let strict: &[&[usize]] = &[&[0], &[1], &[2], &[3, 4]];
        check(&means, &[5], FfnParams::paper(vec![5.0]), strict);
    }

    #[test]
    fn layers_of_equal_distance_join_only_as_neighbours() {
        check(&[10., 50., 10., 50., 50.], &[5], within(&[0.0]), &[&[0], &[1], &[2], &[3, 4]]);
    }

    #[test]
    fn stages_part_layers() {
        check(&[10.; 5], &[2, 3], within(&[5.0]), &[&[0, 1], &[2, 3, 4]]);
        check(&[10.; 5], &[2, 3], FfnParams::paper(vec![5.0]), &[&[0, 1], &[2, 3, 4]]);
        let eps = [2.0, 2.0, 8.0, 8.0, 8.0];
        check(&[10., 15., 20., 25., 30.], &[2, 3], within(&eps), &[&[0], &[1], &[2, 3, 4]]);
    }

    /// As where a stage has FFNs of two widths.
    #[test]
    fn layers_join_inside_runs_alone() {
        let distances = distances_of(around(&[10.; 5]));
        let heads = ClusterParams::dbscan(vec![5.0]).check().expect("a positive eps");
        let heads = cluster(&distances, &heads).expect("possible distances");
        for params in [within(&[5.0]), FfnParams::paper(vec![5.0])] {
            let joined = |runs| {
                let params = params.clone().check()?.within(runs)?;
                cluster_ffns(&distances, &heads, &params)
            };
            let groups = joined(vec![0..1, 1..5]).expect("runs of all layers").groups;
            let layers: Vec<_> = groups.into_iter().map(|group| group.layers).collect();
            assert_eq!(layers, [vec![0], vec![1, 2, 3, 4]]);
            let error = joined(vec![0..1, 1..4]).expect_err("of another model").to_string();
            assert_eq!(error, "layers that may share FFNs: found 4, expected 5");
        }
    }

    #[test]
    fn given_groups_are_taken_and_the_rest_stays_alone() {
        let given = FfnParams::given(vec![vec![3, 4], vec![0, 1]]);
        check(&[10.; 5], &[5], given, &[&[0, 1], &[2], &[3, 4]]);
        let touching = FfnParams::given(vec![vec![0, 1], vec![2, 3]]);
        check(&[10.; 5], &[5], touching, &[&[0, 1], &[2, 3], &[4]]);
    }

    #[test]
    fn the_papers_rule_pairs_centroids_of_several_heads_by_distance() {
        // Two clusters of two heads each, whatever their order and the lonely heads beside them.
        let layers = [
            vec![10., 11., 60., 61.],
            vec![62., 63., 12., 13.],
            vec![200., 12., 13., 62., 63.],
            vec![12., 13., 62., 63., 100., 101.],
            vec![12., 30.],
            vec![12., 30.],
        ];
        // The last two have no centroids to compare.
        let want: &[&[usize]] = &[&[0, 1, 2], &[3], &[4], &[5]];
        check_layers(&layers, &[6], FfnParams::paper(vec![5.0]), want);
    }

    #[test]
    fn one_layer_stands_for_its_group() {
        let means = [10., 14., 20., 80., 80.];
        let representatives = |params| -> Vec<usize> {
            let groups = clustered(&around(&means), &[5], params).groups;
            groups.iter().map(|group| group.representative).collect()
        };
        assert_eq!(representatives(within(&[8.0])), [1, 3], "the nearest to the mean");
        assert_eq!(representatives(FfnParams::paper(vec![8.0])), [0, 3], "the shallowest");
    }

    #[test]
    fn clusters_of_other_heads_are_refused() {
        let heads = ClusterParams::dbscan(vec![5.0]).check().expect("a positive eps");
        let heads = cluster(&distances_of(vec![vec![1.0]]), &heads).expect("one head");
        let distances = distances_of(vec![vec![1.0, 2.0]]);
        let params = FfnParams::paper(vec![5.0]).check().expect("possible");
        let error = cluster_ffns(&distances, &heads, &params).expect_err("others").to_string();
        assert_eq!(error, "heads of the clusters: found [1], expected [2], as the distances");
    }
}
