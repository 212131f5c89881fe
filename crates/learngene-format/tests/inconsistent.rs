//! A manifest whose fields contradict each other is refused with the field that is wrong.

mod common;

use std::slice;

use common::{tiny_manifest, tiny_swin_manifest};
use learngene_format::{Manifest, Refit};
use serde_json::{Value, json};

/// Replaces values of a manifest, each by its place in the JSON, and expects a message that begins
/// like this.
#[track_caller]
fn check(manifest: &Manifest, changes: &[(&str, Value)], message: &str) {
    manifest.check().expect("unchanged it is consistent");
    let mut json = serde_json::to_value(manifest).expect("a manifest is JSON");
    for (place, value) in changes {
        *json.pointer_mut(place).expect(place) = value.clone();
    }
    let changed: Manifest = serde_json::from_value(json).expect("fields of the right types");
    let error = changed.expected_tensors().expect_err(message).to_string();
    assert!(error.starts_with(message), "{changes:?}: {error}");
}

#[test]
fn of_a_vit() {
    let other = json!("cd".repeat(32));
    let cases: &[(&str, Value, &str)] = &[
        ("/version", json!(3), "format version: found 3, expected 5"),
        ("/ancestor/parameters", json!(5), "parameters of the ancestor: found 5, expected 320"),
        ("/ancestor/sha256", other.clone(), "ancestor of the distances: found ba78"),
        // Distances.
        (
            "/distances/mean_attention_distance",
            json!([]),
            "mean_attention_distance: found no layer",
        ),
        ("/distances/mean_attention_distance/1", json!([]), "mean_attention_distance[1]: found no"),
        (
            "/distances/mean_attention_distance/0/2",
            json!(-1.5),
            "mean_attention_distance[0][2]: found -1.5",
        ),
        (
            "/distances/mean_attention_distance/1",
            json!([1, 2, 3]),
            "std[1]: found 2 entries, expected 3",
        ),
        ("/distances/std", json!([[1, 1, 1]]), "std: found 1 entries, expected 2"),
        ("/distances/std/1/0", json!(-0.5), "std[1][0]: found -0.5, expected a finite number"),
        ("/distances/images", json!(0), "images: found 0, expected at least 1"),
        ("/distances/images_sha256", other.clone(), "images of the clusters: found e3b0"),
        ("/distances/preprocessing/image_size", json!(0), "preprocessing: image_size: found 0"),
        (
            "/distances/preprocessing/image_size",
            json!(8),
            "image_size of the distances: found 8, expected 4",
        ),
        ("/distances/preprocessing/crop_pct", json!(1.5), "preprocessing: crop_pct: found 1.5"),
        (
            "/distances/preprocessing/std/1",
            json!(0),
            "preprocessing: std[1]: found 0, expected a po",
        ),
        ("/distances/attended_side", json!([4]), "attended_side: found 1 entries, expected 2"),
        ("/distances/attended_side", json!([4, 8]), "attended_side: found [4,8], expected [4,4]"),
        ("/distances/attended_side", json!([4, 0]), "attended_side: found a side of 0"),
        (
            "/distances/depths",
            json!([2, 0]),
            "depths: found [2,0], expected stages of at least one",
        ),
        ("/distances/depths", json!([u64::MAX, 3]), "depths: found [18446744073709551615,3]"),
        ("/distances/depths", json!([1, 1]), "layers of each stage: found [1,1], expected [2]"),
        ("/distances/ancestor_sha256", other.clone(), "ancestor of the distances: found cdcd"),
        // Clusters of heads.
        ("/clusters/ancestor_sha256", other.clone(), "ancestor of the clusters: found cdcd"),
        ("/clusters/images_sha256", other, "images of the clusters: found cdcd"),
        ("/clusters/heads/layers", json!([]), "layers of the clusters: found none"),
        ("/clusters/heads/algorithm/min_points", json!(0), "min_points: found 0"),
        ("/clusters/heads/algorithm/eps", json!([1.0]), "eps: found 1 entries, expected 2"),
        ("/clusters/heads/algorithm/eps/1", json!(0.0), "eps[1]: found 0, expected a positive"),
        ("/clusters/heads/layers/0/labels", json!([1, 0, 1]), "layer 0: labels: found [1,0,1]"),
        ("/clusters/heads/layers/0/labels/2", json!(u64::MAX), "layer 0: labels: found [0,1,1844"),
        ("/clusters/heads/layers/0/labels/1", json!(null), "layer 0: clusters: found [0,1]"),
        ("/clusters/heads/layers/0/clusters", json!([1, 0]), "layer 0: clusters: found [1,0]"),
        ("/clusters/heads/layers/0/sizes", json!([2]), "layer 0: sizes: found [2]"),
        (
            "/clusters/heads/layers/0/representatives",
            json!([1, 0]),
            "layer 0: representatives: found [1,0], expected one head of each cluster [0,1]",
        ),
        ("/clusters/heads/layers/0/representatives", json!([0]), "layer 0: representatives"),
        ("/clusters/heads/layers/0/representatives", json!([0, 9]), "layer 0: representatives"),
        // Groups of FFNs.
        ("/clusters/ffn/groups", json!([]), "groups of FFNs: found [], expected runs of layers"),
        ("/clusters/ffn/groups/0/layers", json!([1]), "groups of FFNs: found [[1],[1]]"),
        ("/clusters/ffn/groups/0/layers", json!([]), "groups of FFNs: found [[],[1]]"),
        ("/clusters/ffn/groups/1/layers", json!([1, 2]), "groups of FFNs: found [[0],[1,2]]"),
        (
            "/clusters/ffn/groups/0/representative",
            json!(1),
            "representative of a group of FFNs: found 1, expected one of [0]",
        ),
    ];
    for (place, value, message) in cases {
        check(&tiny_manifest(), &[(place, value.clone())], message);
    }
}

#[test]
fn of_the_centroid_model() {
    let curve = |place: &str| format!("/curves/layers/0/{place}");
    let point = |kept: usize, error: f64| json!({"kept": kept, "error": error});
    let cases: &[(&str, Value, &str)] = &[
        ("/layers", json!([0]), "layers: found [0], expected 2 of the ancestor's 2 layers, rising"),
        ("/layers", json!([1, 0]), "layers: found [1,0]"),
        ("/layers", json!([0, 2]), "layers: found [0,2]"),
        ("/shape/embed_dim", json!(4), "embed_dim of the shape: found 4, expected 3, by the"),
        ("/shape/num_heads", json!([2, 1]), "num_heads of the shape: found [2,1], expected [2,2]"),
        ("/shape/hidden_dim", json!([4, 6]), "layer 1: hidden units: found 6, expected at most 5"),
        ("/curves/depth", json!([0.5]), "depth of the curves: found 1 entries, expected 2"),
        ("/curves/depth", json!([0.5, null]), "depth of the curves: found null at last"),
        ("/curves/depth", json!([-0.5, 0]), "depth of the curves[0]: found -0.5"),
        ("/curves/layers", json!([]), "layers of the curves: found 0 entries, expected 2"),
        (&curve("heads"), json!([]), "layer 0: curve of heads: found , expected rising numbers"),
        (&curve("heads"), json!([point(1, 0.0)]), "layer 0: curve of heads: found 1, expected"),
        (
            &curve("heads"),
            json!([point(0, 1.0), point(2, 0.0)]),
            "layer 0: curve of heads: found 0",
        ),
        (&curve("neurons"), json!([point(4, -1.0)]), "layer 0: curve of hidden units[0]: found -1"),
        (
            &curve("neurons"),
            json!([point(2, 0.0), point(4, 0.5)]),
            "layer 0: curve of hidden units: found an error that grows",
        ),
    ];
    for (place, value, message) in cases {
        check(&tiny_manifest(), &[(place, value.clone())], message);
    }
    let shared = [("/shape/hidden_dim", json!([4, 3, 3]))];
    let message =
        "layer 1: hidden units: found 3, expected all of the ancestor's, where layers share";
    check(&tiny_swin_manifest(), &shared, message);
}

#[test]
fn of_several_fields() {
    let check =
        |changes: &[(&str, Value)], message: &str| check(&tiny_manifest(), changes, message);
    let layer = json!({"labels": [0], "clusters": [0], "sizes": [1], "representatives": [0]});
    let message = "heads of the clusters: found [3,1], expected [3,2]";
    check(&[("/clusters/heads/layers/1", layer)], message);
    let distances = [
        ("/distances/mean_attention_distance/1", json!([1.0])),
        ("/distances/std/1", json!([null])),
    ];
    check(&distances, "heads of the distances: found [3,1], expected [3,2]");
    let algorithm = "/clusters/heads/algorithm";
    let kmeans = |k: &[usize]| (algorithm, json!({"name": "kmeans", "k": k, "seed": 0}));
    check(&[kmeans(&[2])], "k: found 1 entries, expected 2");
    check(&[kmeans(&[2, 1])], "layer 1: number of clusters: found 2, expected at most 1");
    let noise = json!({"labels": [null, 0], "clusters": [0], "sizes": [1], "representatives": [1]});
    let noise = ("/clusters/heads/layers/1", noise);
    let message = "layer 1: labels: found null, expected a label, since noise is not dropped";
    check(slice::from_ref(&noise), message);
    check(&[noise, kmeans(&[2, 2])], message);
    let drop = ("/clusters/heads/algorithm/noise", json!("drop"));
    let nothing =
        json!({"labels": [null, null], "clusters": [], "sizes": [], "representatives": []});
    let nothing = ("/clusters/heads/layers/1", nothing);
    check(&[drop.clone(), nothing], "layer 1: clusters: found none, expected at least one");

    let group = json!([{"layers": [0, 1], "representative": 1}]);
    let groups = ("/clusters/ffn/groups", group);
    check(slice::from_ref(&groups), "groups of FFNs: found [0,1], expected one layer each");
    let message = "layer 0: found stage 0, Mlp of 4 hidden units, expected stage 0, Mlp of 5 hidden \
                   units, as in layer 1, for a shared FFN";
    check(&[groups, ("/clusters/ffn/algorithm", json!({"name": "given"}))], message);
    let bare = [("/ancestor/shape/num_classes", json!(0)), ("/ancestor/parameters", json!(312))];
    check(&bare, "classifier: found true, expected false for no classes");
}

#[test]
fn of_a_swin_with_a_refit() {
    let across =
        json!([{"layers": [0], "representative": 0}, {"layers": [1, 2], "representative": 1}]);
    let cases: &[(&str, Value, &str)] = &[
        (
            "/clusters/ffn/algorithm/eps",
            json!([1.0]),
            "eps of the FFNs: found 1 entries, expected 3",
        ),
        (
            "/clusters/ffn/algorithm/eps/2",
            json!(-1.0),
            "eps of the FFNs[2]: found -1, expected a fin",
        ),
        (
            "/clusters/ffn/groups",
            across,
            "layer 2: found stage 1, Mlp of 3 hidden units, expected stage 0",
        ),
        ("/refit/ridge", json!(-1.0), "ridge[0]: found -1"),
        ("/refit/images", json!(0), "images of the refit: found 0"),
        ("/refit/layers", json!([]), "layers of the refit: found 0 entries, expected 3"),
        (
            "/refit/layers/0/attention/after/relative",
            json!(-0.5),
            "layer 0: fit of the attention[0]: found -0.5",
        ),
        (
            "/refit/layers/1/ffn/before/worst_channel",
            json!(-0.5),
            "layer 1: fit of the FFN[2]: found -0.5",
        ),
    ];
    for (place, value, message) in cases {
        check(&tiny_swin_manifest(), &[(place, value.clone())], message);
    }
}

/// JSON has no word for them, so they can come from programs alone.
#[test]
fn numbers_that_are_none() {
    fn refit(manifest: &mut Manifest) -> &mut Refit {
        manifest.refit.as_mut().expect("the small Swin has one")
    }
    let changes: [fn(&mut Manifest, f64); 6] = [
        |manifest, value| manifest.distances.mean_attention_distance[0][0] = value,
        |manifest, value| manifest.distances.std[0][0] = Some(value),
        |manifest, value| manifest.distances.preprocessing.mean[0] = value as f32,
        |manifest, value| manifest.distances.preprocessing.crop_pct = value as f32,
        |manifest, value| refit(manifest).ridge = value,
        |manifest, value| refit(manifest).layers[0].ffn.after.relative = value,
    ];
    for value in [f64::NAN, f64::INFINITY] {
        for (index, change) in changes.iter().enumerate() {
            let mut manifest = tiny_swin_manifest();
            change(&mut manifest, value);
            assert!(manifest.check().is_err(), "change {index} to {value}");
        }
    }
}
