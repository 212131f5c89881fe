use learngene_format::LayerClusters;
use serde::{Deserialize, Serialize};

use crate::text::named;

/// In which order the centroids of a layer initialise heads (the ablation of Table 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// By ancestor head.
    Origin,
    /// By rising mean attention distance.
    Increasing,
    /// By falling mean attention distance.
    Decreasing,
    /// By falling cluster size, ties by label: the paper's.
    #[default]
    Priority,
}

impl Order {
    /// The centroids of a layer in this order, each as its place in the learngene's tensors.
    ///
    /// A centroid's head is the representative of its cluster, and its distance that head's; equal
    /// distances stay in order of priority. Where clusters are runs on the line of distances, as density
    /// and k-means make them, their means would give the same order; heads kept at random are no such
    /// clusters.
    pub(crate) fn centroids(self, clusters: &LayerClusters, distances: &[f64]) -> Vec<usize> {
        let distance = |centroid: &usize| distances[clusters.representatives[*centroid]];
        let mut centroids: Vec<usize> = (0..clusters.representatives.len()).collect();
        match self {
            Self::Origin => centroids.sort_by_key(|centroid| clusters.representatives[*centroid]),
            Self::Increasing => centroids.sort_by(|a, b| distance(a).total_cmp(&distance(b))),
            Self::Decreasing => centroids.sort_by(|a, b| distance(b).total_cmp(&distance(a))),
            Self::Priority => {}
        }
        centroids
    }
}

named!(Order, "order": Origin = "origin", Increasing = "increasing", Decreasing = "decreasing", Priority = "priority");

#[cfg(test)]
mod tests {
    use super::*;

    /// Clusters {1, 3}, {0}, {2} and {4}; heads 0 and 4 at equal distances.
    fn check(order: Order, expected: &[usize]) {
        let clusters = LayerClusters {
            labels: [0, 1, 2, 1, 3].map(Some).to_vec(),
            sizes: vec![2, 1, 1, 1],
            representatives: vec![3, 0, 2, 4],
            clusters: vec![1, 0, 2, 3],
        };
        assert_eq!(order.centroids(&clusters, &[20.0, 41.0, 5.0, 40.0, 20.0]), expected, "{order}");
    }

    #[test]
    fn each_order_sorts_by_its_own_measure() {
        check(Order::Priority, &[0, 1, 2, 3]);
        check(Order::Origin, &[1, 2, 0, 3]);
        check(Order::Increasing, &[2, 1, 3, 0]);
        check(Order::Decreasing, &[0, 1, 3, 2]);
    }
}
