//! What holds for the clusters of any distances.

use std::collections::BTreeSet;

use learngene_format::{ClusterAlgorithm, HeadClusters, NoisePolicy, RepresentativePolicy};
use learngene_tensors::Result;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{ClusterParams, cluster, test_distances::distances_of};

/// Distances on a grid of 1/4 px, so that sums and differences are exact and ties are common.
fn distances() -> impl Strategy<Value = Vec<f64>> {
    vec(0_u32..800, 1..40).prop_map(|points| points.into_iter().map(quarter).collect())
}

fn eps() -> impl Strategy<Value = f64> {
    (1_u32..60).prop_map(quarter)
}

fn quarter(points: u32) -> f64 {
    f64::from(points) / 4.0
}

fn noise() -> impl Strategy<Value = NoisePolicy> {
    prop_oneof![Just(NoisePolicy::Singleton), Just(NoisePolicy::Nearest), Just(NoisePolicy::Drop)]
}

fn dbscan(
    distances: &[f64],
    eps: f64,
    min_points: usize,
    noise: NoisePolicy,
) -> Result<HeadClusters> {
    let params = ClusterParams {
        algorithm: ClusterAlgorithm::Dbscan { eps: vec![eps], min_points, noise },
        representative: RepresentativePolicy::Nearest,
    };
    cluster(&distances_of(vec![distances.to_vec()]), &params.check()?)
}

/// The clusters of the only layer as sets of heads.
fn sets(clusters: &HeadClusters) -> BTreeSet<BTreeSet<usize>> {
    let layer = &clusters.layers[0];
    layer.clusters.iter().map(|&label| layer.members(label).into_iter().collect()).collect()
}

/// The runs of heads, sorted by distance, between gaps wider than `eps`.
fn cut_at_gaps(distances: &[f64], eps: f64) -> BTreeSet<BTreeSet<usize>> {
    let mut heads: Vec<usize> = (0..distances.len()).collect();
    heads.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    heads
        .chunk_by(|&a, &b| distances[b] - distances[a] <= eps)
        .map(|run| run.iter().copied().collect())
        .collect()
}

fn shuffled(len: usize, keys: &[Index]) -> Vec<usize> {
    let mut rest: Vec<usize> = (0..len).collect();
    keys.iter().take(len).map(|key| rest.remove(key.index(rest.len()))).collect()
}

proptest! {
    /// With `min_points = 1`, clusters on a line are the runs left after cutting gaps wider than
    /// eps, whatever the noise policy.
    #[test]
    fn min_points_one_is_gap_cutting(distances in distances(), eps in eps(), noise in noise()) {
        let clusters = dbscan(&distances, eps, 1, noise)?;
        prop_assert_eq!(sets(&clusters), cut_at_gaps(&distances, eps));
    }

    /// The clusters are the same sets of heads in any head order, unless a head lies exactly
    /// between two others, where the lower index decides.
    #[test]
    fn head_order_does_not_matter(
        // Off any grid, so that no head lies exactly between two others.
        points in vec(0.0_f64..200.0, 1..40),
        eps in eps(),
        min_points in 1_usize..6,
        noise in noise(),
        keys in vec(any::<Index>(), 40),
    ) {
        let order = shuffled(points.len(), &keys);
        let moved: Vec<f64> = order.iter().map(|&head| points[head]).collect();
        match (dbscan(&points, eps, min_points, noise), dbscan(&moved, eps, min_points, noise)) {
            (Ok(clusters), Ok(moved)) => {
                let back: BTreeSet<BTreeSet<usize>> = sets(&moved)
                    .iter()
                    .map(|set| set.iter().map(|&head| order[head]).collect())
                    .collect();
                prop_assert_eq!(sets(&clusters), back);
            }
            (Err(_), Err(_)) => {}
            (clusters, moved) => prop_assert!(false, "{clusters:?} but {moved:?}"),
        }
    }

    /// Every head has one label unless noise is dropped; clusters are disjoint and complete, come
    /// in descending size, and are represented by a member.
    #[test]
    fn clusters_part_the_heads(
        distances in distances(),
        eps in eps(),
        min_points in 1_usize..6,
        noise in noise(),
    ) {
        let Ok(clusters) = dbscan(&distances, eps, min_points, noise) else {
            // Only without any core head, and never for noise that stays.
            prop_assert!(min_points > 1 && noise != NoisePolicy::Singleton);
            return Ok(());
        };
        clusters.check()?;
        let layer = &clusters.layers[0];
        prop_assert_eq!(layer.labels.len(), distances.len());
        let dropped = layer.labels.iter().filter(|label| label.is_none()).count();
        prop_assert!(dropped == 0 || (noise == NoisePolicy::Drop && min_points > 1));
        prop_assert_eq!(layer.sizes.iter().sum::<usize>() + dropped, distances.len());
        prop_assert!(layer.sizes.is_sorted_by(|a, b| a >= b));
        for (&label, &representative) in layer.clusters.iter().zip(&layer.representatives) {
            prop_assert!(layer.members(label).contains(&representative));
        }
    }

    /// Dropped heads have no core head within eps, and clusters of kept heads do not change with
    /// the noise policy.
    #[test]
    fn noise_policies_differ_in_noise_only(
        distances in distances(),
        eps in eps(),
        min_points in 2_usize..6,
    ) {
        let Ok(dropped) = dbscan(&distances, eps, min_points, NoisePolicy::Drop) else {
            return Ok(());
        };
        let noise: BTreeSet<usize> = (0..distances.len())
            .filter(|&head| dropped.layers[0].labels[head].is_none())
            .collect();
        let is_core = |head: usize| {
            let near = distances.iter().filter(|d| (**d - distances[head]).abs() <= eps);
            near.count() >= min_points
        };
        for &head in &noise {
            let mut cores = (0..distances.len()).filter(|&other| is_core(other));
            prop_assert!(cores.all(|core| (distances[core] - distances[head]).abs() > eps));
        }

        let mut singleton = sets(&dropped);
        singleton.extend(noise.iter().map(|&head| BTreeSet::from([head])));
        let kept = dbscan(&distances, eps, min_points, NoisePolicy::Singleton)?;
        prop_assert_eq!(sets(&kept), singleton);

        let nearest = dbscan(&distances, eps, min_points, NoisePolicy::Nearest)?;
        let without_noise: BTreeSet<BTreeSet<usize>> =
            sets(&nearest).iter().map(|set| set - &noise).collect();
        prop_assert_eq!(without_noise, sets(&dropped));
    }

    /// Distances and eps scaled together give the same clusters, representatives and order.
    #[test]
    fn scale_does_not_matter(
        distances in distances(),
        eps in eps(),
        min_points in 1_usize..4,
        exponent in -3_i32..12,
    ) {
        // A power of two scales without rounding, and keeps ties above their tolerance.
        let scale = 2.0_f64.powi(exponent);
        let scaled: Vec<f64> = distances.iter().map(|distance| distance * scale).collect();
        let clusters = dbscan(&distances, eps, min_points, NoisePolicy::Singleton)?;
        let of_scaled = dbscan(&scaled, eps * scale, min_points, NoisePolicy::Singleton)?;
        prop_assert_eq!(clusters.layers, of_scaled.layers);
    }

    /// The representative is no farther from its cluster's mean distance than any other member.
    #[test]
    fn the_representative_is_nearest_the_mean(distances in distances(), eps in eps()) {
        let clusters = dbscan(&distances, eps, 1, NoisePolicy::Singleton)?;
        let layer = &clusters.layers[0];
        for (&label, &representative) in layer.clusters.iter().zip(&layer.representatives) {
            let members = layer.members(label);
            let mean = members.iter().map(|&head| distances[head]).sum::<f64>()
                / members.len() as f64;
            let distance = |head: usize| (distances[head] - mean).abs();
            for &member in &members {
                prop_assert!(distance(representative) <= distance(member) + 1e-6);
                if member < representative {
                    prop_assert!(distance(representative) < distance(member));
                }
            }
        }
    }

    /// No finite input makes it panic, however large or small.
    #[test]
    fn extreme_values_are_clustered(
        distances in vec(prop_oneof![Just(0.0), 0.0..1e-300, 0.0..1.0, 0.0..f64::MAX], 1..40),
        eps in prop_oneof![Just(f64::MIN_POSITIVE), Just(1.0), Just(f64::MAX)],
        min_points in 1_usize..4,
    ) {
        dbscan(&distances, eps, min_points, NoisePolicy::Singleton)?.check()?;
    }
}

#[test]
fn a_layer_that_is_all_noise_is_refused_unless_noise_stays() {
    for noise in [NoisePolicy::Drop, NoisePolicy::Nearest] {
        let error = dbscan(&[1.0, 90.0], 10.0, 2, noise).expect_err("all noise");
        assert_eq!(
            error.to_string(),
            "layer 0: found nothing but noise for eps 10 px and min_points 2, expected a cluster: \
             give a larger eps, a smaller min_points, or keep noise as singletons"
        );
    }
    assert!(dbscan(&[1.0, 90.0], 10.0, 2, NoisePolicy::Singleton).is_ok());
}
