use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ClusterParams, FfnClusters};
use crate::distances::Convention;
use crate::error::ClusteringError;
use crate::json::{self, JsonFile};

/// Members this much farther from the mean density than the nearest one, in pixels, still tie.
const TIE: f64 = 1e-6;

/// Clusters of the heads of every layer: the file `clusters.json`. Unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadClusters {
    /// One entry per layer of the ancestor.
    pub layers: Vec<LayerClusters>,
    /// How the clusters were made.
    pub parameters: ClusterParams,
    /// Seed by which each layer's heads were dealt to its clusters at random, where they were:
    /// [`HeadClusters::with_random_heads`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_heads: Option<u64>,
    /// Layers that share one feed-forward network; where absent, each keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ffn: Option<FfnClusters>,
    /// Convention of the distances, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convention: Option<Convention>,
    /// Images behind the distances, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// SHA-256 of the list of images, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_sha256: Option<String>,
    /// SHA-256 of the ancestor's checkpoint, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ancestor_sha256: Option<String>,
    /// Program or crate that clustered, and its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer: Option<String>,
}

/// Clusters of one layer.
///
/// `clusters`, `sizes` and `representatives` have one entry per cluster, in order of priority:
/// largest first, clusters of equal size by label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerClusters {
    /// `[head]`: label of the head's cluster, numbered by first appearance in head order; none
    /// for noise that was dropped.
    pub labels: Vec<Option<usize>>,
    /// Label of each cluster.
    pub clusters: Vec<usize>,
    /// Number of heads in each cluster.
    pub sizes: Vec<usize>,
    /// The member of each cluster nearest its mean density, ties within 1e-6 px to the lowest
    /// head index. It names the cluster even where the mean of all members stands for it.
    pub representatives: Vec<usize>,
}

impl LayerClusters {
    /// Orders the groups of a partition and finds their representatives.
    pub(super) fn new(partition: &[Option<usize>], densities: &[f64]) -> Self {
        let labels = number_by_first_appearance(partition);
        let (clusters, sizes) = by_priority(&labels);
        let mut layer = Self { labels, clusters, sizes, representatives: Vec::new() };
        layer.representatives = layer
            .clusters
            .iter()
            .filter_map(|&cluster| nearest_to_mean(&layer.members(cluster), densities))
            .collect();
        layer
    }

    /// Heads of the cluster with this label, in head order.
    pub fn members(&self, cluster: usize) -> Vec<usize> {
        let labels = self.labels.iter().enumerate();
        labels.filter(|(_, label)| **label == Some(cluster)).map(|(head, _)| head).collect()
    }

    fn check(&self, layer: usize) -> Result<(), ClusteringError> {
        let labels = number_by_first_appearance(&self.labels);
        let (clusters, sizes) = by_priority(&labels);
        check_list("labels", layer, &self.labels, &labels)?;
        check_list("clusters", layer, &self.clusters, &clusters)?;
        check_list("sizes", layer, &self.sizes, &sizes)?;

        let label_of = |head: &usize| self.labels.get(*head).copied().flatten();
        let named: Vec<_> = self.representatives.iter().map(label_of).collect();
        let wanted: Vec<_> = clusters.iter().copied().map(Some).collect();
        if named != wanted {
            let got = self.representatives.clone();
            return Err(ClusteringError::ForeignRepresentative { layer, clusters, got });
        }
        Ok(())
    }
}

impl HeadClusters {
    /// Refuses lists that contradict each other, in files written or edited by others.
    pub fn check(&self) -> Result<(), ClusteringError> {
        if self.layers.is_empty() {
            return Err(ClusteringError::NoLayers);
        }
        for (layer, clusters) in self.layers.iter().enumerate() {
            if clusters.clusters.is_empty() {
                return Err(ClusteringError::NoHeads { layer });
            }
            clusters.check(layer)?;
        }
        self.ffn.as_ref().map_or(Ok(()), |ffn| ffn.check(self.layers.len()))
    }

    /// Reads a `clusters.json` and checks it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ClusteringError> {
        json::read(path.as_ref())
    }

    /// Writes a `clusters.json`, whole or not at all.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ClusteringError> {
        json::write(self, path.as_ref())
    }
}

impl JsonFile for HeadClusters {
    const WHAT: &'static str = "clusters";

    fn check(&self) -> Result<(), ClusteringError> {
        self.check()
    }
}

pub(super) fn number_by_first_appearance(partition: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut numbers: HashMap<usize, usize> = HashMap::new();
    let mut number = |group: usize| {
        let next = numbers.len();
        *numbers.entry(group).or_insert(next)
    };
    partition.iter().map(|group| group.map(&mut number)).collect()
}

/// Labels and sizes of the clusters, largest first, ties by label.
pub(super) fn by_priority(labels: &[Option<usize>]) -> (Vec<usize>, Vec<usize>) {
    let mut sizes: Vec<usize> = Vec::new();
    for &label in labels.iter().flatten() {
        // Labels are numbered by first appearance: a new one is the next free index.
        if label == sizes.len() {
            sizes.push(0);
        }
        sizes[label] += 1;
    }
    let mut clusters: Vec<usize> = (0..sizes.len()).collect();
    clusters.sort_by(|&a, &b| sizes[b].cmp(&sizes[a]).then(a.cmp(&b)));
    let sizes = clusters.iter().map(|&label| sizes[label]).collect();
    (clusters, sizes)
}

/// None only where there are no members.
pub(super) fn nearest_to_mean(members: &[usize], densities: &[f64]) -> Option<usize> {
    let mean = members.iter().map(|&head| densities[head]).sum::<f64>() / members.len() as f64;
    let distance = |head: usize| (densities[head] - mean).abs();
    let least = members.iter().map(|&head| distance(head)).fold(f64::INFINITY, f64::min);
    members.iter().copied().find(|&head| distance(head) <= least + TIE)
}

fn check_list<T: std::fmt::Debug + PartialEq>(
    field: &'static str,
    layer: usize,
    got: &[T],
    want: &[T],
) -> Result<(), ClusteringError> {
    if got == want {
        return Ok(());
    }
    let (got, want) = (format!("{got:?}"), format!("{want:?}"));
    Err(ClusteringError::ContradictsLabels { field, layer, got, want })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{FfnGroup, FfnParams};

    #[test]
    fn labels_count_by_first_appearance_and_noise_stays_out() {
        let layer = LayerClusters::new(&[Some(9), None, Some(4), Some(9), Some(2)], &[0.0; 5]);
        assert_eq!(layer.labels, [Some(0), None, Some(1), Some(0), Some(2)]);
        assert_eq!(layer.clusters, [0, 1, 2]);
        assert_eq!(layer.sizes, [2, 1, 1]);
        assert_eq!(layer.members(0), [0, 3]);
    }

    #[test]
    fn larger_clusters_come_first() {
        let partition = [Some(0), Some(1), Some(2), Some(2), Some(1)];
        let layer = LayerClusters::new(&partition, &[0.0; 5]);
        assert_eq!(layer.clusters, [1, 2, 0]);
        assert_eq!(layer.sizes, [2, 2, 1]);
        assert_eq!(layer.representatives, [1, 2, 0]);
    }

    fn check_nearest(densities: &[f64], want: usize) {
        let members: Vec<usize> = (0..densities.len()).collect();
        assert_eq!(nearest_to_mean(&members, densities), Some(want), "{densities:?}");
    }

    #[test]
    fn the_member_nearest_the_mean_stands_for_all() {
        check_nearest(&[0.0, 10.0, 4.0], 2);
        check_nearest(&[9.0, 10.0, 2.0], 0);
    }

    #[test]
    fn members_equally_near_tie_to_the_lowest_index() {
        check_nearest(&[10.0, 20.0], 0);
        check_nearest(&[20.0, 10.0], 0);
        // Mean 14.999_999_95: head 2 is 2.5e-7 px away, head 3 is 1.5e-7 px away.
        check_nearest(&[0.0, 30.0, 14.999_999_7, 15.000_000_1], 2);
    }

    #[test]
    fn members_nearer_by_more_than_the_tolerance_win() {
        // Mean 14.999_998: head 2 is 8e-6 px away, head 3 is 4e-6 px away.
        check_nearest(&[0.0, 30.0, 14.999_99, 15.000_002], 3);
    }

    fn valid() -> HeadClusters {
        HeadClusters {
            layers: vec![LayerClusters {
                labels: vec![Some(0), Some(1), None, Some(1)],
                clusters: vec![1, 0],
                sizes: vec![2, 1],
                representatives: vec![3, 0],
            }],
            parameters: ClusterParams::dbscan(10.0),
            random_heads: None,
            ffn: Some(FfnClusters {
                groups: vec![FfnGroup { layers: vec![0], representative: 0 }],
                parameters: FfnParams::contiguous(vec![5.0]),
            }),
            convention: None,
            images: None,
            images_sha256: None,
            ancestor_sha256: None,
            producer: None,
        }
    }

    fn check_refused(edit: impl FnOnce(&mut LayerClusters), message: &str) {
        let mut clusters = valid();
        edit(&mut clusters.layers[0]);
        assert_eq!(clusters.check().expect_err("contradiction").to_string(), message);
    }

    #[test]
    fn written_and_read_again_is_equal() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("clusters.json");
        valid().write(&path).expect("the folder is writable");
        assert_eq!(HeadClusters::read(&path).expect("just written"), valid());
    }

    #[test]
    fn scripts_find_their_fields() {
        let text = json::to_json(&valid()).expect("valid clusters");
        let value: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        assert!(value["layers"][0]["labels"][2].is_null());
        assert_eq!(value["layers"][0]["sizes"][0], 2);
        assert_eq!(value["layers"][0]["representatives"][0], 3);
        assert_eq!(value["parameters"]["algorithm"]["dbscan"]["eps"][0], 10.0);
    }

    #[test]
    fn contradictions_are_refused() {
        check_refused(
            |layer| layer.labels = vec![Some(1), Some(0), None, Some(0)],
            "labels of layer 0 must be [Some(0), Some(1), None, Some(1)] to agree with the labels \
             by first appearance, got [Some(1), Some(0), None, Some(0)]",
        );
        check_refused(
            |layer| layer.clusters = vec![0, 1],
            "clusters of layer 0 must be [1, 0] to agree with the labels by first appearance, \
             got [0, 1]",
        );
        check_refused(
            |layer| layer.sizes = vec![3, 1],
            "sizes of layer 0 must be [2, 1] to agree with the labels by first appearance, \
             got [3, 1]",
        );
        for representatives in [vec![0, 3], vec![2, 0], vec![9, 0], vec![3]] {
            let got = format!("{representatives:?}");
            check_refused(
                |layer| layer.representatives = representatives,
                &format!(
                    "representatives of layer 0 must name one member for each of the clusters \
                     [1, 0], got {got}"
                ),
            );
        }
    }

    #[test]
    fn clusters_of_nothing_are_refused() {
        let mut clusters = valid();
        clusters.layers[0].labels = vec![None];
        clusters.layers[0].clusters.clear();
        assert!(matches!(clusters.check(), Err(ClusteringError::NoHeads { layer: 0 })));
        clusters.layers.clear();
        assert!(matches!(clusters.check(), Err(ClusteringError::NoLayers)));
    }

    #[test]
    fn groups_of_other_layers_are_refused() {
        let mut clusters = valid();
        clusters.ffn.as_mut().expect("groups").groups[0].layers.push(1);
        assert!(matches!(clusters.check(), Err(ClusteringError::FfnGroups { depth: 1, .. })));
    }
}
