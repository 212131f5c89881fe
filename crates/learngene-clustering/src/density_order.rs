//! Heads of one layer in an order by attention distance.

/// The heads of a layer by how little others make up for them: the clusters that density clustering
/// finds with a growing radius join one after another, always the two nearest each other, and of
/// each pair the head that stands for the smaller cluster goes (of equal ones that of the higher
/// index). The last to go is the first of the order, so the first `n` heads stand for `n` clusters.
pub fn density_order(distances: &[f64]) -> Vec<usize> {
    let mut heads: Vec<usize> = (0..distances.len()).collect();
    heads.sort_by(|a, b| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b)));
    let single = |head: usize| Cluster { head, size: 1, ends: [distances[head]; 2] };
    let mut clusters: Vec<Cluster> = heads.into_iter().map(single).collect();
    let mut gone = Vec::new();
    while clusters.len() > 1 {
        let gap = |left: usize| clusters[left + 1].ends[0] - clusters[left].ends[1];
        let nearest = (0..clusters.len() - 1).min_by(|a, b| gap(*a).total_cmp(&gap(*b)));
        let left = nearest.expect("two clusters");
        let right = clusters.remove(left + 1);
        let into = &mut clusters[left];
        let (kept, lost) = match (into.size, right.size) {
            (one, other) if one == other => (into.head.min(right.head), into.head.max(right.head)),
            (one, other) if one > other => (into.head, right.head),
            _ => (right.head, into.head),
        };
        gone.push(lost);
        *into = Cluster {
            head: kept,
            size: into.size + right.size,
            ends: [into.ends[0], right.ends[1]],
        };
    }
    gone.extend(clusters.into_iter().map(|cluster| cluster.head));
    gone.reverse();
    gone
}

/// Heads that lie next to each other on the line of distances.
struct Cluster {
    /// The head that stands for it.
    head: usize,
    size: usize,
    /// Its least and its largest distance.
    ends: [f64; 2],
}

#[cfg(test)]
mod tests {
    use learngene_format::NoisePolicy;
    use proptest::prelude::*;

    use super::*;
    use crate::dbscan_layer;

    #[test]
    fn heads_that_lie_near_others_come_last() {
        // 10 and 11 join first, then 30 and 33, then these two.
        assert_eq!(density_order(&[30.0, 10.0, 33.0, 11.0]), [0, 1, 2, 3]);
        assert_eq!(density_order(&[5.0]), [0]);
        // The larger cluster keeps its head.
        assert_eq!(density_order(&[20.0, 1.0, 2.0, 3.0])[0], 1);
    }

    proptest! {
        /// The first heads are one of each cluster by density, whatever the radius.
        #[test]
        fn the_first_heads_stand_for_the_clusters(
            distances in prop::collection::vec(0.0..200.0_f64, 1..16), eps in 0.1..60.0_f64,
        ) {
            let clusters = dbscan_layer(&distances, eps, 1, NoisePolicy::Singleton);
            let clusters = clusters.expect("no noise");
            let order = density_order(&distances);
            let count = clusters.clusters.len();
            let mut found: Vec<_> = order[..count].iter().map(|h| clusters.labels[*h]).collect();
            found.sort_unstable();
            prop_assert!(found.into_iter().eq((0..count).map(Some)));
        }
    }
}
