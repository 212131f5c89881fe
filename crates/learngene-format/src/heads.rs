use std::{cmp::Reverse, collections::HashMap};

use learngene_tensors::Result;
use serde::{Deserialize, Serialize};

use crate::{
    check::{check_each, check_length, ensure},
    json,
};

/// Clusters of the heads of each layer, and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadClusters {
    /// The algorithm with its parameters.
    pub algorithm: ClusterAlgorithm,
    /// What stands for a cluster.
    pub representative: RepresentativePolicy,
    /// Seed by which each layer's heads were dealt at random to clusters of the sizes that the
    /// algorithm gave, where they were.
    pub random_heads: Option<u64>,
    /// One entry for each layer of the ancestor.
    pub layers: Vec<LayerClusters>,
}

/// The algorithm that joins the heads of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum ClusterAlgorithm {
    /// Density clustering (Ester et al., KDD 1996).
    Dbscan {
        /// Radius of a neighbourhood, in pixels of the input, for each layer. A head exactly this far
        /// away belongs to the neighbourhood.
        eps: Vec<f64>,
        /// Least number of heads in the neighbourhood of a core head, itself counted.
        min_points: usize,
        /// What becomes of heads in no cluster.
        noise: NoisePolicy,
    },
    /// k-means, for comparison.
    Kmeans {
        /// Clusters asked for, for each layer.
        k: Vec<usize>,
        /// Seed of the first centres.
        seed: u64,
    },
    /// No clusters: of an order of the heads the first ones are kept, each for itself alone.
    Order {
        /// What the order is by.
        by: HeadOrder,
    },
}

/// An order of the heads of a layer, the most useful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadOrder {
    /// By attention distance: the last are those that lie nearest others.
    Density,
    /// By what heads write: forward selection of their outputs.
    Output,
}

/// What becomes of heads in no cluster, which are possible for `min_points` above 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoisePolicy {
    /// Each becomes a cluster of its own.
    #[default]
    Singleton,
    /// Each joins the cluster of the nearest core head, however far away.
    Nearest,
    /// Each is left out of the learngene, with the label null.
    Drop,
}

/// What stands for a cluster of heads, or for layers that share an FFN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepresentativePolicy {
    /// One member, which the clusters name: the one nearest the mean distance, ties within 1e-6 px
    /// to the lowest index; by the paper's rule for FFNs the shallowest layer.
    #[default]
    Nearest,
    /// The average of the members' parameters (the paper's Table 7).
    Mean,
}

/// Clusters of the heads of one layer.
///
/// `clusters`, `sizes` and `representatives` have one entry for each cluster, in order of priority:
/// by descending size, ties by ascending label. It is also the order of a layer's centroids in its
/// tensors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerClusters {
    /// `[head]`: label of the head's cluster, numbered by first appearance; null for dropped noise.
    pub labels: Vec<Option<usize>>,
    /// Label of each cluster.
    pub clusters: Vec<usize>,
    /// Number of heads in each cluster.
    pub sizes: Vec<usize>,
    /// Head that stands for each cluster. It names the cluster even where the mean of all members
    /// stands for it.
    pub representatives: Vec<usize>,
}

impl HeadClusters {
    /// Heads of each layer.
    pub fn num_heads(&self) -> Vec<usize> {
        self.layers.iter().map(|layer| layer.labels.len()).collect()
    }

    /// Centroids of each layer: the heads that a learngene keeps.
    pub fn num_centroids(&self) -> Vec<usize> {
        self.layers.iter().map(|layer| layer.clusters.len()).collect()
    }

    /// Checks that the fields are in range and agree with each other.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub fn check(&self) -> Result<()> {
        let depth = self.layers.len();
        ensure(depth > 0, "layers of the clusters", "none", "at least one")?;
        match &self.algorithm {
            ClusterAlgorithm::Dbscan { eps, min_points, .. } => {
                ensure(*min_points > 0, "min_points", 0, "at least 1")?;
                check_length("eps", eps.len(), depth)?;
                let is_radius = |eps: f64| eps.is_finite() && eps > 0.0;
                check_each("eps", eps.iter().copied(), is_radius, "a positive, finite distance")?;
            }
            ClusterAlgorithm::Kmeans { k, .. } => check_length("k", k.len(), depth)?,
            ClusterAlgorithm::Order { .. } => {}
        }
        self.layers.iter().enumerate().try_for_each(|(index, layer)| self.check_layer(index, layer))
    }

    /// Labels decide sizes and order, so both are worked out again and compared.
    fn check_layer(&self, index: usize, layer: &LayerClusters) -> Result<()> {
        let at = |field: &str| format!("layer {index}: {field}");
        let LayerClusters { labels, clusters, sizes, representatives } = layer;
        let by_labels = match self.algorithm {
            ClusterAlgorithm::Order { .. } => {
                LayerClusters::of_order(labels.len(), representatives)
            }
            _ => LayerClusters::new(labels, |members| members[0]),
        };
        let check_list = |field: &str, list: &dyn Fn(&LayerClusters) -> String| {
            let (found, expected) = (list(layer), list(&by_labels));
            let is_same = found == expected;
            ensure(is_same, at(field), found, format!("{expected}, by the labels"))
        };
        check_list("labels", &|layer| json::text(&layer.labels))?;
        check_list("clusters", &|layer| json::text(&layer.clusters))?;
        check_list("sizes", &|layer| json::text(&layer.sizes))?;
        ensure(!clusters.is_empty(), at("clusters"), "none", "at least one")?;
        let label_of = |head: &usize| labels.get(*head).copied().flatten();
        let are_members =
            representatives.iter().map(label_of).eq(clusters.iter().copied().map(Some));
        let expected = format!("one head of each cluster {}", json::text(clusters));
        ensure(are_members, at("representatives"), json::text(representatives), expected)?;
        match &self.algorithm {
            ClusterAlgorithm::Dbscan { noise: NoisePolicy::Drop, .. }
            | ClusterAlgorithm::Order { .. } => Ok(()),
            _ if labels.contains(&None) => {
                ensure(false, at("labels"), "null", "a label, since noise is not dropped")
            }
            ClusterAlgorithm::Kmeans { k, .. } => {
                let is_few = sizes.len() <= k[index];
                ensure(
                    is_few,
                    at("number of clusters"),
                    sizes.len(),
                    format!("at most {}", k[index]),
                )
            }
            ClusterAlgorithm::Dbscan { .. } => Ok(()),
        }
    }
}

impl LayerClusters {
    /// The clusters of heads that have one label, whatever numbers are used for labels; of the heads
    /// of a cluster, in ascending order, `representative` chooses the one that stands for it.
    pub fn new(labels: &[Option<usize>], representative: impl Fn(&[usize]) -> usize) -> Self {
        let mut members: Vec<Vec<usize>> = Vec::new();
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        let mut number = |head: usize, label: usize| {
            let next = numbers.len();
            let number = *numbers.entry(label).or_insert(next);
            members.resize_with(numbers.len(), Vec::new);
            members[number].push(head);
            number
        };
        let labels: Vec<Option<usize>> =
            labels.iter().enumerate().map(|(head, label)| Some(number(head, (*label)?))).collect();
        let mut clusters: Vec<usize> = (0..members.len()).collect();
        clusters.sort_by_key(|cluster| (Reverse(members[*cluster].len()), *cluster));
        Self {
            labels,
            sizes: clusters.iter().map(|cluster| members[*cluster].len()).collect(),
            representatives: clusters.iter().map(|c| representative(&members[*c])).collect(),
            clusters,
        }
    }

    /// The first heads of an order, each for itself; all others are left out.
    pub fn of_order(num_heads: usize, kept: &[usize]) -> Self {
        let place = |head: usize| kept.iter().position(|kept| *kept == head);
        Self {
            labels: (0..num_heads).map(place).collect(),
            clusters: (0..kept.len()).collect(),
            sizes: vec![1; kept.len()],
            representatives: kept.to_vec(),
        }
    }

    /// Heads of the cluster with this label, in ascending order.
    pub fn members(&self, cluster: usize) -> Vec<usize> {
        (0..self.labels.len()).filter(|head| self.labels[*head] == Some(cluster)).collect()
    }
}
