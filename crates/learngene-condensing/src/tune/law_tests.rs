//! What holds for any distances.

use std::collections::BTreeSet;

use learngene_clustering::dbscan_layer;
use learngene_format::{LayerClusters, NoisePolicy};
use proptest::{collection::vec, prelude::*};

use super::candidates::candidates;

/// Distances on a grid of 1/4 px, so that sums and differences are exact and ties are common.
fn distances() -> impl Strategy<Value = Vec<f64>> {
    vec(0_u32..200, 1..14).prop_map(|points| points.into_iter().map(quarter).collect())
}

fn quarter(points: u32) -> f64 {
    f64::from(points) / 4.0
}

fn noise() -> impl Strategy<Value = NoisePolicy> {
    prop_oneof![Just(NoisePolicy::Singleton), Just(NoisePolicy::Nearest), Just(NoisePolicy::Drop)]
}

type Labels = Vec<Option<usize>>;

fn labels(layers: impl IntoIterator<Item = LayerClusters>) -> BTreeSet<Labels> {
    layers.into_iter().map(|layer| layer.labels).collect()
}

proptest! {
    /// Every eighth of a pixel from nothing to beyond all heads gives a partition of the candidates,
    /// and the candidates are no more than these.
    #[test]
    fn candidates_are_all_partitions_that_an_eps_can_make(
        distances in distances(),
        min_points in 1_usize..5,
        noise in noise(),
    ) {
        let found = candidates(&distances, min_points, noise, 10.0);
        let radii = (1..=408).map(|eighths| f64::from(eighths) / 8.0);
        let swept = radii.filter_map(|eps| dbscan_layer(&distances, eps, min_points, noise));
        let count = found.len();
        let found = labels(found.into_iter().map(|candidate| candidate.clusters));
        prop_assert_eq!(found.len(), count, "each once");
        prop_assert_eq!(found, labels(swept));
    }

    /// With `min_points = 1` partitions are nested: there is one more than different gaps.
    #[test]
    fn each_different_gap_joins_clusters(distances in distances()) {
        let mut sorted = distances.clone();
        sorted.sort_by(f64::total_cmp);
        let gaps: BTreeSet<u64> =
            sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0).map(f64::to_bits).collect();
        let found = candidates(&distances, 1, NoisePolicy::Singleton, 10.0);
        prop_assert_eq!(found.len(), gaps.len() + 1);
        for pair in found.windows(2) {
            prop_assert!(pair[0].eps < pair[1].eps);
            let (fine, coarse) = (&pair[0].clusters, &pair[1].clusters);
            prop_assert!(coarse.sizes.len() < fine.sizes.len());
            for &label in &fine.clusters {
                let members = fine.members(label);
                prop_assert!(members.iter().all(|head| coarse.labels[*head] == coarse.labels[members[0]]));
            }
        }
    }
}
