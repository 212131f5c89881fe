//! DeiT-B's heads and FFNs, clustered as in `tests/golden/deit_base_head_clusters.json`.

use learngene_format::FfnGroup;
use serde::Deserialize;

use crate::{ClusterParams, FfnParams, cluster, cluster_ffns, test_distances::distances_of};

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
    ffn_groups_published: Published,
}

#[derive(Deserialize)]
struct Published {
    deit_base: Vec<Vec<usize>>,
}

#[test]
fn deit_base_comes_out_exactly() {
    let golden: Golden = serde_json::from_str(GOLDEN).expect("the golden file is valid JSON");
    assert_eq!(golden.min_points, 1);
    let params = ClusterParams::dbscan(vec![golden.eps]).check().expect("valid parameters");
    let distances = distances_of(golden.mean_attention_distance);
    let clusters = cluster(&distances, &params).expect("they can be clustered");

    assert_eq!(clusters.layers.len(), 12);
    for (index, layer) in clusters.layers.iter().enumerate() {
        let labels: Vec<Option<usize>> = golden.labels[index].iter().copied().map(Some).collect();
        assert_eq!(layer.labels, labels, "layer {index}");
        assert_eq!(layer.sizes, golden.cluster_sizes[index], "layer {index}");
        let representatives = &golden.representatives_by_cluster_size[index];
        assert_eq!(&layer.representatives, representatives, "layer {index}");
    }

    let params = FfnParams::paper(vec![golden.eps]).check().expect("valid parameters");
    let ffn = cluster_ffns(&distances, &clusters, &params).expect("they can be joined");
    let shared: Vec<FfnGroup> = ffn.groups.into_iter().filter(|g| g.layers.len() > 1).collect();
    let wanted = [vec![6, 7], vec![9, 10, 11]];
    assert_eq!(golden.ffn_groups_published.deit_base, wanted);
    let of_shallower = |layers: Vec<usize>| FfnGroup { representative: layers[0], layers };
    assert_eq!(shared, wanted.map(of_shallower));
}
