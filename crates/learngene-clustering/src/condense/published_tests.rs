//! Faults of the published code, replayed: what they change, and that they change nothing else.

use std::collections::BTreeSet;

use super::*;
use crate::{
    ClusteringError, Representative,
    test_ancestor::{EMBED_DIM, HEAD_DIM, ancestor, clusters, dbscan, distances},
    verify,
};

fn condensed(of: &Checkpoint, mixed_heads: bool, compat: &[Fault]) -> Learngene {
    let distances = MeanAttentionDistances { compat: compat.to_vec(), ..distances(of) };
    let clusters = clusters(of, dbscan(1e-6, Representative::Nearest));
    let options = CondenseOptions { mixed_heads, ..CondenseOptions::default() };
    condense(of, &distances, &clusters, options).expect("a good ancestor")
}

/// Names of tensors that differ.
fn differing(one: &Learngene, other: &Learngene) -> BTreeSet<String> {
    assert!(one.tensors().keys().eq(other.tensors().keys()));
    let tensors = one.tensors().iter();
    let differing = tensors.filter(|(name, tensor)| *tensor != &other.tensors()[*name]);
    differing.map(|(name, _)| name.clone()).collect()
}

/// Fault 1: rows `[heads, 3 * head_dim]`, a third each for query, key and value.
#[test]
fn mixed_heads_are_three_heads_of_one_role() {
    let ancestor = ancestor(0);
    let (sound, mixed) = (condensed(&ancestor, false, &[]), condensed(&ancestor, true, &[]));
    for (layer, heads) in [(0, 4), (1, 2)] {
        for (part, width) in [("weight", EMBED_DIM), ("bias", 1)] {
            let fused = format!("blocks.{layer}.attn.qkv.{part}");
            let fused = &ancestor.parameters.get(&fused).expect("a parameter").values;
            for (role, letter) in ["q", "k", "v"].into_iter().enumerate() {
                let name = format!("layers.{layer}.attn.{letter}.{part}");
                let kept = mixed.tensor(&name).expect("it is always there").to_f32();
                let length = HEAD_DIM * width;
                for head in 0..heads {
                    let published = &fused[(head * 3 + role) * length..][..length];
                    assert_eq!(&kept[head * length..][..length], published, "{name}, head {head}");
                }
            }
        }
    }
    let of_roles =
        |name: &String| ["attn.q.", "attn.k.", "attn.v."].map(|role| name.contains(role));
    let differing = differing(&sound, &mixed);
    assert!(differing.iter().all(|name| of_roles(name).contains(&true)), "{differing:?}");
    assert_eq!(differing.len(), 12, "weights and biases of three roles in two layers");
}

#[test]
fn the_manifest_tells_what_was_replayed() {
    let ancestor = ancestor(0);
    let sound = condensed(&ancestor, false, &[]);
    let written = serde_json::to_value(sound.manifest()).expect("plain data");
    assert_eq!(written.get("compat"), None);
    let both = condensed(&ancestor, true, &[Fault::BlankProbe]);
    assert_eq!(both.manifest().compat, [Fault::MixedHeads, Fault::BlankProbe]);
    let blank = condensed(&ancestor, false, &[Fault::BlankProbe]);
    assert_eq!(blank.manifest().compat, [Fault::BlankProbe]);
    assert!(differing(&sound, &blank).is_empty(), "these distances are the same");
    let manifest = Manifest { compat: Vec::new(), ..blank.manifest().clone() };
    assert_eq!(&manifest, sound.manifest());
}

/// The bytes are those that the manifest speaks of; those of a sound learngene they are not.
#[test]
fn mixed_heads_are_verified_as_such() {
    let ancestor = ancestor(0);
    let mixed = condensed(&ancestor, true, &[]);
    let is_verified = |learngene: &Learngene| {
        verify(learngene, &ancestor).expect("of the same shape").is_verified()
    };
    assert!(is_verified(&mixed));
    let (manifest, tensors) = mixed.into_parts();
    let taken_for_sound = Manifest { compat: Vec::new(), ..manifest };
    let taken_for_sound = Learngene::new(taken_for_sound, tensors).expect("as many tensors");
    assert!(!is_verified(&taken_for_sound));
}

#[test]
fn faults_of_distances_are_checked() {
    let ancestor = ancestor(0);
    let distances =
        MeanAttentionDistances { compat: vec![Fault::HalfEpochs], ..distances(&ancestor) };
    let clusters = clusters(&ancestor, dbscan(1.0, Representative::Nearest));
    let error = condense(&ancestor, &distances, &clusters, CondenseOptions::default());
    assert!(matches!(error, Err(ClusteringError::DistancesCompat(_))), "{error:?}");
}
