//! DeiT-B's heads, clustered as in `tests/golden/deit_base_head_clusters.json`.

use serde::Deserialize;

use super::{ClusterParams, cluster};
use crate::distances::MeanAttentionDistances;

const GOLDEN: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/deit_base_head_clusters.json"
));

#[derive(Deserialize)]
struct Golden {
    mean_attention_distance: Vec<Vec<f64>>,
    eps: f64,
    min_points: usize,
    labels: Vec<Vec<usize>>,
    representatives_by_cluster_size: Vec<Vec<usize>>,
    cluster_sizes: Vec<Vec<usize>>,
}

#[test]
fn deit_base_comes_out_exactly() {
    let golden: Golden = serde_json::from_str(GOLDEN).expect("the golden file is valid JSON");
    let params = ClusterParams::dbscan(golden.eps);
    assert_eq!(golden.min_points, 1);
    let distances = MeanAttentionDistances::new(golden.mean_attention_distance);
    let clusters = cluster(&distances, &params.check().expect("valid parameters"))
        .expect("the golden distances can be clustered");

    assert_eq!(clusters.layers.len(), 12);
    for (index, layer) in clusters.layers.iter().enumerate() {
        let labels: Vec<Option<usize>> = golden.labels[index].iter().copied().map(Some).collect();
        assert_eq!(layer.labels, labels, "layer {index}");
        assert_eq!(layer.sizes, golden.cluster_sizes[index], "layer {index}");
        assert_eq!(
            layer.representatives, golden.representatives_by_cluster_size[index],
            "layer {index}"
        );
    }
}
