//! Every partition that an eps can make of a layer's heads.

use learngene_clustering::dbscan_layer;
use learngene_format::{LayerClusters, NoisePolicy};

/// Clusters of a layer, and an eps that makes them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    /// In pixels.
    pub eps: f64,
    pub clusters: LayerClusters,
}

impl Candidate {
    /// The heads that are kept, in head order.
    pub fn heads(&self) -> Vec<usize> {
        let mut heads = self.clusters.representatives.clone();
        heads.sort_unstable();
        heads
    }
}

/// The different clusters that some eps makes of a layer, from the smallest eps to the largest. An eps
/// lies well inside the range that makes the same, and is the default, rounded, where that holds it.
pub(super) fn candidates(
    distances: &[f64],
    min_points: usize,
    noise: NoisePolicy,
    default_eps: f64,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for eps in radii(&thresholds(distances, min_points), default_eps) {
        let clusters = dbscan_layer(distances, eps, min_points, noise);
        if let Some(clusters) = clusters
            && found.iter().all(|other| other.clusters != clusters)
        {
            found.push(Candidate { eps, clusters });
        }
    }
    found
}

/// The distances at which clusters can change, ascending and different: gaps between neighbours; for
/// core heads that need more than one neighbour, all distances between two heads.
pub(super) fn thresholds(distances: &[f64], min_points: usize) -> Vec<f64> {
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let gaps: Vec<f64> = match min_points {
        0..=2 => sorted.windows(2).map(|pair| pair[1] - pair[0]).collect(),
        _ => (1..sorted.len())
            .flat_map(|upper| (0..upper).map(move |lower| (lower, upper)))
            .map(|(lower, upper)| sorted[upper] - sorted[lower])
            .collect(),
    };
    ascending(gaps)
}

/// One radius for each range between thresholds, of which the lower one counts to the range, and below
/// and above all.
pub(super) fn radii(thresholds: &[f64], default_eps: f64) -> Vec<f64> {
    let Some((least, most)) = thresholds.first().zip(thresholds.last()) else {
        return vec![default_eps];
    };
    let ends = thresholds.iter().copied().chain([1.5 * most]);
    let ranges = std::iter::once((0.0, *least)).chain(thresholds.iter().copied().zip(ends.skip(1)));
    let in_range = |(low, high): (f64, f64)| {
        let high = if low == *most && low < default_eps { f64::INFINITY } else { high };
        match low < default_eps && default_eps < high {
            true => shortest(default_eps, (default_eps - low).min(high - default_eps) / 2.0),
            false => between(low, high),
        }
    };
    ranges.map(in_range).collect()
}

/// Positive numbers in ascending order, each once.
pub(super) fn ascending(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.retain(|number| *number > 0.0);
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}

/// A number well inside a range, of as few decimals as can be.
fn between(low: f64, high: f64) -> f64 {
    shortest(f64::midpoint(low, high), (high - low) / 4.0)
}

/// A number as near as that to another, of as few decimals as can be.
fn shortest(number: f64, near: f64) -> f64 {
    let rounded = (0..15).map(|decimals| {
        let scale = 10_f64.powi(decimals);
        (number * scale).round() / scale
    });
    rounded.into_iter().find(|rounded| (rounded - number).abs() <= near).unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(distances: &[f64], min_points: usize, noise: NoisePolicy, want: &[(f64, &[usize])]) {
        let got: Vec<_> = candidates(distances, min_points, noise, 10.0)
            .into_iter()
            .map(|candidate| (candidate.eps, candidate.clusters.sizes))
            .collect();
        let want: Vec<_> = want.iter().map(|(eps, sizes)| (*eps, sizes.to_vec())).collect();
        assert_eq!(got, want, "{distances:?}");
    }

    #[test]
    fn one_more_cluster_joins_at_every_gap() {
        let want: &[(f64, &[usize])] =
            &[(1.0, &[1, 1, 1, 1]), (4.0, &[2, 1, 1]), (10.0, &[3, 1]), (53.0, &[4])];
        check(&[50.0, 0.0, 2.0, 8.0], 1, NoisePolicy::Singleton, want);
    }

    #[test]
    fn equal_gaps_join_at_once_and_equal_heads_are_one() {
        check(&[0.0, 5.0, 10.0], 1, NoisePolicy::Singleton, &[(3.0, &[1, 1, 1]), (10.0, &[3])]);
        check(&[7.0; 3], 1, NoisePolicy::Singleton, &[(10.0, &[3])]);
        check(&[7.0], 1, NoisePolicy::Singleton, &[(10.0, &[1])]);
    }

    #[test]
    fn dropped_noise_leaves_fewer_heads() {
        let distances = [0.0, 2.0, 8.0, 50.0];
        check(&distances, 2, NoisePolicy::Drop, &[(4.0, &[2]), (10.0, &[3]), (53.0, &[4])]);
        check(&distances, 2, NoisePolicy::Nearest, &[(4.0, &[4])]);
        check(&[7.0], 2, NoisePolicy::Drop, &[]);
    }

    #[test]
    fn numbers_have_as_few_decimals_as_can_be() {
        let numbers = [(0.0, 0.4), (1.26, 1.3), (9.0, 31.0)].map(|(low, high)| between(low, high));
        assert_eq!(numbers, [0.2, 1.28, 20.0]);
        let default_eps = 10.0 / 7.0;
        assert_eq!(radii(&[1.2, 2.5], default_eps)[1], 1.4);
        assert_eq!(radii(&[1.428, 2.5], default_eps)[1], 1.4286);
        assert_eq!(radii(&[0.1, 0.2], default_eps)[2], 1.0);
        let tight = 1.0_f64.next_up();
        assert!((1.0..=tight).contains(&between(1.0, tight)));
    }
}
