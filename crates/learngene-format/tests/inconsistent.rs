//! A manifest whose fields contradict each other is refused with the field that is wrong.

mod common;

use common::tiny_manifest;
use learngene_format::{
    Architecture, ClusterAlgorithm, Error, Manifest, NoisePolicy, VitArchitecture,
};

/// Changes the small manifest and expects its check to name `place`.
#[track_caller]
fn check(place: &str, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = tiny_manifest();
    manifest.check().expect("unchanged it is consistent");
    change(&mut manifest);
    let error = manifest.check().expect_err("the change made it inconsistent");
    match &error {
        Error::Inconsistent { field, .. } => assert_eq!(field, place, "{error}"),
        other => panic!("another error: {other}"),
    }
    assert_eq!(manifest.expected_tensors().expect_err("the same").to_string(), error.to_string());
}

fn vit(manifest: &mut Manifest) -> &mut VitArchitecture {
    let Architecture::Vit(vit) = &mut manifest.architecture;
    vit
}

fn dbscan(eps: f64, min_points: usize, noise: NoisePolicy) -> ClusterAlgorithm {
    ClusterAlgorithm::Dbscan { eps, min_points, noise }
}

#[test]
fn another_version() {
    let mut manifest = tiny_manifest();
    manifest.version = 0;
    assert!(matches!(manifest.check(), Err(Error::UnsupportedVersion { found: 0 })));
}

#[test]
fn sizes_of_zero() {
    check("architecture.image_size", |m| vit(m).image_size = 0);
    check("architecture.patch_size", |m| vit(m).patch_size = 0);
    check("architecture.in_channels", |m| vit(m).in_channels = 0);
    check("architecture.embed_dim", |m| vit(m).embed_dim = 0);
    check("architecture.depth", |m| vit(m).depth = 0);
    check("architecture.num_heads[1]", |m| vit(m).num_heads[1] = 0);
    check("architecture.head_dim", |m| vit(m).head_dim = 0);
    check("architecture.mlp_hidden_dim", |m| vit(m).mlp_hidden_dim = 0);
}

#[test]
fn sizes_beyond_any_model() {
    check("architecture.embed_dim", |m| vit(m).embed_dim = usize::MAX);
    check("architecture.num_heads[0]", |m| vit(m).num_heads[0] = usize::MAX);
}

#[test]
fn patches_that_do_not_fill_the_image() {
    check("architecture.image_size", |m| vit(m).image_size = 5);
}

#[test]
fn heads_of_another_number_of_layers() {
    check("architecture.num_heads", |m| vit(m).num_heads.push(2));
}

#[test]
fn epsilon_of_a_norm() {
    for eps in [0.0, -1e-6, f64::NAN, f64::INFINITY] {
        check("architecture.layer_norm_eps", |m| vit(m).layer_norm_eps = eps);
    }
}

#[test]
fn classifier_without_classes() {
    check("classifier", |m| vit(m).num_classes = 0);
}

#[test]
fn probe() {
    check("probe.images", |m| m.probe.images = 0);
    check("probe.preprocessing.image_size", |m| m.probe.preprocessing.image_size = 0);
    check("probe.preprocessing.crop_pct", |m| m.probe.preprocessing.crop_pct = 0.0);
    check("probe.preprocessing.crop_pct", |m| m.probe.preprocessing.crop_pct = f32::NAN);
    check("probe.preprocessing.mean[2]", |m| m.probe.preprocessing.mean[2] = f32::NAN);
    check("probe.preprocessing.std[1]", |m| m.probe.preprocessing.std[1] = 0.0);
}

#[test]
fn distances() {
    let field = "probe.mean_attention_distance";
    check(field, |m| m.probe.mean_attention_distance.truncate(1));
    check(&format!("{field}[1]"), |m| m.probe.mean_attention_distance[1].push(1.0));
    check(&format!("{field}[0][2]"), |m| m.probe.mean_attention_distance[0][2] = f64::NAN);
    check(&format!("{field}[0][0]"), |m| m.probe.mean_attention_distance[0][0] = -1.0);
    check("probe.std", |m| m.probe.std.truncate(1));
    check("probe.std[0]", |m| m.probe.std[0].truncate(1));
    check("probe.std[1][0]", |m| m.probe.std[1][0] = Some(f64::INFINITY));
}

#[test]
fn clustering() {
    let noise = NoisePolicy::Singleton;
    for eps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check("clustering.algorithm.eps", |m| m.clustering.algorithm = dbscan(eps, 1, noise));
    }
    check("clustering.algorithm.min_points", |m| m.clustering.algorithm = dbscan(1.0, 0, noise));
    check("clustering.algorithm.k", |m| {
        m.clustering.algorithm = ClusterAlgorithm::Kmeans { k: vec![2], seed: 0 };
    });
    check("layers[1].clusters", |m| {
        m.clustering.algorithm = ClusterAlgorithm::Kmeans { k: vec![2, 1], seed: 0 };
    });
}

#[test]
fn labels() {
    check("layers", |m| m.layers.truncate(1));
    check("layers[0].labels", |m| m.layers[0].labels.truncate(2));
    check("layers[1].labels[0]", |m| m.layers[1].labels = vec![Some(1), Some(0)]);
    check("layers[0].labels[2]", |m| m.layers[0].labels[2] = Some(usize::MAX));
    check("layers[0].labels[2]", |m| m.layers[0].labels[2] = None);
}

#[test]
fn layer_of_nothing_but_noise() {
    check("layers[1].labels", |m| {
        m.clustering.algorithm = dbscan(0.25, 2, NoisePolicy::Drop);
        m.layers[1].labels = vec![None, None];
    });
}

#[test]
fn clusters_against_labels() {
    check("layers[0].sizes", |m| m.layers[0].sizes.truncate(1));
    check("layers[0].sizes[0]", |m| m.layers[0].sizes[0] = 3);
    check("layers[0].representatives", |m| m.layers[0].representatives.push(2));
    check("layers[0].representatives[0]", |m| m.layers[0].representatives[0] = 1);
    check("layers[0].representatives[1]", |m| m.layers[0].representatives[1] = 3);
    check("layers[0].clusters", |m| m.layers[0].clusters.truncate(1));
}

#[test]
fn order_of_priority() {
    check("layers[0].clusters[0]", |m| {
        m.layers[0].clusters.reverse();
        m.layers[0].sizes.reverse();
        m.layers[0].representatives.reverse();
    });
    // Clusters of one size go by label.
    check("layers[1].clusters[0]", |m| {
        m.layers[1].clusters.reverse();
        m.layers[1].representatives.reverse();
    });
}

#[test]
fn ffn_groups() {
    check("ffn_groups", |m| m.ffn_groups.truncate(1));
    check("ffn_groups[0]", |m| m.ffn_groups.reverse());
    check("ffn_groups[1]", |m| m.ffn_groups[1].clear());
    check("ffn_groups[1]", |m| m.ffn_groups[1] = vec![1, 1]);
    check("ffn_groups[1]", |m| m.ffn_groups[1] = vec![1, 2]);
    check("ffn_groups[0]", |m| m.ffn_groups = vec![vec![1, 0]]);
}
