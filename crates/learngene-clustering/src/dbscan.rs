//! DBSCAN on a line, made independent of visiting order.

use learngene_format::NoisePolicy;
use linfa::traits::Transformer;
use linfa_clustering::Dbscan;
use linfa_nn::{KdTree, NearestNeighbour, distance::L2Dist};
use ndarray::ArrayView2;

/// The number of each head's group in one layer, `None` for a dropped head; numbers mean nothing
/// beyond equality. `eps` is positive and finite, `min_points` at least 1, distances
/// are finite.
pub(crate) fn partition(
    distances: &[f64],
    eps: f64,
    min_points: usize,
    noise: NoisePolicy,
) -> Vec<Option<usize>> {
    // linfa refuses `min_points = 1`. DBSCAN counts the point itself, so `min_points = 2` leaves
    // exactly the isolated heads as noise, and each of them is a core head of its own cluster.
    let noise = if min_points == 1 { NoisePolicy::Singleton } else { noise };
    let min_points = min_points.max(2);
    let points = ArrayView2::from_shape((distances.len(), 1), distances)
        .expect("a slice of n values has shape [n, 1]");

    // Pinned to the k-d tree: of linfa's indices only this one counts a neighbour exactly eps away.
    let reached = Dbscan::params_with(min_points, L2Dist, KdTree)
        .tolerance(eps)
        .transform(&points)
        .expect("eps is positive and min_points at least 2");
    let index = KdTree
        .from_batch(&points, L2Dist)
        .expect("points have one dimension and leaves room for points");
    let is_core = |head: usize| {
        let neighbourhood = index
            .within_range(points.row(head), eps)
            .expect("the point has the dimension of the index");
        neighbourhood.len() >= min_points
    };
    // linfa gives a border head to the first cluster that reaches it; its labels are used for core
    // heads only, whose cluster is the same in any visiting order.
    let cores: Vec<usize> = (0..distances.len()).filter(|&head| is_core(head)).collect();
    let nearest_core = |head: usize| {
        let distance = |core: usize| (distances[core] - distances[head]).abs();
        // The first of equals: the lowest head index.
        cores.iter().copied().min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
    };

    // linfa makes no more clusters than heads, so these numbers are free.
    let own_cluster = |head: usize| Some(distances.len() + head);
    (0..distances.len())
        .map(|head| match (reached[head], noise) {
            (Some(_), _) | (None, NoisePolicy::Nearest) => {
                nearest_core(head).and_then(|core| reached[core])
            }
            (None, NoisePolicy::Singleton) => own_cluster(head),
            (None, NoisePolicy::Drop) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        NoisePolicy::{Drop, Nearest, Singleton},
        *,
    };

    /// Groups of heads by lowest member, at eps 10.
    fn check(distances: &[f64], min_points: usize, noise: NoisePolicy, want: &[&[usize]]) {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (head, group) in partition(distances, 10.0, min_points, noise).iter().enumerate() {
            if let Some(group) = group {
                groups.entry(*group).or_default().push(head);
            }
        }
        let mut got: Vec<Vec<usize>> = groups.into_values().collect();
        got.sort();
        assert_eq!(got, want, "{distances:?}");
    }

    #[test]
    fn a_gap_wider_than_eps_separates() {
        check(&[0., 1., 50.], 1, Singleton, &[&[0, 1], &[2]]);
    }

    #[test]
    fn distance_equal_to_eps_is_a_neighbour() {
        check(&[0., 10.], 1, Singleton, &[&[0, 1]]);
        check(&[0., 10.], 2, Drop, &[&[0, 1]]);
    }

    #[test]
    fn distance_next_above_eps_is_not() {
        check(&[0., 10.0_f64.next_up()], 1, Singleton, &[&[0], &[1]]);
    }

    #[test]
    fn chains_are_one_cluster() {
        check(&[40., 0., 20., 10., 30.], 1, Singleton, &[&[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn one_head_is_one_cluster() {
        check(&[7.], 1, Drop, &[&[0]]);
    }

    #[test]
    fn equal_heads_are_one_cluster() {
        check(&[5.; 20], 1, Singleton, &[&(0..20).collect::<Vec<_>>()]);
    }

    #[test]
    fn noise_follows_its_policy() {
        let distances = [0., 1., 50., 90.];
        check(&distances, 2, Singleton, &[&[0, 1], &[2], &[3]]);
        check(&distances, 2, Nearest, &[&[0, 1, 2, 3]]);
        check(&distances, 2, Drop, &[&[0, 1]]);
    }

    #[test]
    fn without_core_heads_only_singleton_keeps_heads() {
        check(&[0., 50.], 2, Singleton, &[&[0], &[1]]);
        check(&[0., 50.], 2, Nearest, &[]);
        check(&[0., 50.], 2, Drop, &[]);
    }

    /// Head 4 has a core head on either side within eps, and is no core head itself.
    #[test]
    fn a_border_head_goes_to_the_nearest_core_head() {
        let (left, right) = (&[0, 1, 2, 3, 4][..], &[4, 5, 6, 7, 8][..]);
        check(&[1., 2., 3., 11., 20., 30., 38., 39., 40.], 4, Drop, &[left, &right[1..]]);
        check(&[0., 1., 2., 10., 20., 29., 37., 38., 39.], 4, Drop, &[&left[..4], right]);
    }

    #[test]
    fn a_border_head_between_equals_goes_to_the_lower_index() {
        let (left, right) = (&[0, 1, 2, 3, 4][..], &[5, 6, 7, 8][..]);
        check(&[0., 1., 2., 10., 20., 30., 38., 39., 40.], 4, Drop, &[left, right]);
        check(&[40., 39., 38., 30., 20., 10., 2., 1., 0.], 4, Drop, &[left, right]);
    }
}
