//! What does not belong together is refused.

use super::*;
use crate::{
    Representative,
    test_ancestor::{ancestor, clusters, dbscan, distances},
};

fn refusal(
    edit: impl FnOnce(&mut Checkpoint, &mut MeanAttentionDistances, &mut HeadClusters),
) -> String {
    let mut ancestor = ancestor(0);
    let (mut distances, mut clusters) =
        (distances(&ancestor), clusters(&ancestor, dbscan(1e-6, Representative::Nearest)));
    edit(&mut ancestor, &mut distances, &mut clusters);
    let refused = condense(&ancestor, &distances, &clusters, CondenseOptions::default());
    refused.expect_err("an edit that must be refused").to_string()
}

#[test]
fn distances_of_another_checkpoint_are_refused() {
    let (other, own) = ("f".repeat(64), "0".repeat(64));
    let message = |file| {
        format!("ancestor hash of the {file} is {other}, but that of the checkpoint is {own}")
    };
    assert_eq!(
        refusal(|_, distances, _| distances.ancestor_sha256 = Some(other.clone())),
        message("distances")
    );
    assert_eq!(
        refusal(|_, _, clusters| clusters.ancestor_sha256 = Some(other.clone())),
        message("clusters")
    );
}

#[test]
fn distances_of_another_shape_are_refused() {
    assert_eq!(
        refusal(|_, distances, _| {
            distances.mean_attention_distance.pop();
        }),
        "number of heads per layer of the distances is [4], but that of the checkpoint is [4, 2]"
    );
    assert_eq!(
        refusal(|_, _, clusters| {
            clusters.layers.pop();
        }),
        "number of heads per layer of the clusters is [4], but that of the checkpoint is [4, 2]"
    );
}

#[test]
fn distances_that_do_not_say_how_they_were_measured_are_refused() {
    let message = refusal(|_, distances, _| distances.preprocess = None);
    assert!(message.starts_with("the distances do not say their preprocess"), "{message}");
}

#[test]
fn clusters_of_other_distances_are_refused() {
    let refused = |what: &str, clusters: &str, distances: &str| {
        format!("{what} of the clusters is {clusters}, but that of the distances is {distances}")
    };
    assert_eq!(
        refusal(|_, _, clusters| clusters.convention = Some(Convention::Published)),
        refused("convention", "published", "renormalized")
    );
    assert_eq!(
        refusal(|_, _, clusters| clusters.images = Some(3)),
        refused("number of images", "3", "2")
    );
    let other = "f".repeat(64);
    assert_eq!(
        refusal(|_, _, clusters| clusters.images_sha256 = Some(other.clone())),
        refused("hash of the images", &other, &"0".repeat(64))
    );
}

#[test]
fn clusters_that_do_not_tell_of_which_distances_are_taken() {
    let ancestor = ancestor(0);
    let clusters = HeadClusters {
        convention: None,
        images: None,
        images_sha256: None,
        ancestor_sha256: None,
        ..clusters(&ancestor, dbscan(1e-6, Representative::Nearest))
    };
    condense(&ancestor, &distances(&ancestor), &clusters, CondenseOptions::default())
        .expect("nothing contradicts");
}

#[test]
fn clusters_that_contradict_themselves_are_refused() {
    let message = refusal(|_, _, clusters| clusters.layers[0].representatives.clear());
    assert!(message.starts_with("representatives of layer 0"), "{message}");
}

#[test]
fn a_checkpoint_that_lacks_a_parameter_is_refused() {
    let message = refusal(|ancestor, _, _| {
        ancestor.parameters.remove("blocks.1.attn.qkv.bias");
    });
    assert!(message.contains("missing: blocks.1.attn.qkv.bias"), "{message}");
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let message = refusal(|ancestor, _, _| {
        let name = "blocks.0.attn.qkv.bias";
        let mut bias = ancestor.parameters.get(name).expect("a bias").clone();
        bias.values[0] = f32::NAN;
        ancestor.parameters.insert(name, bias);
    });
    assert!(message.contains("layers.0.attn.q.bias") && message.contains("NaN"), "{message}");
}
