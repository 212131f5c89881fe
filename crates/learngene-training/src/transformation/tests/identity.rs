//! What transformations are before training, and which models may have them.

use std::collections::BTreeSet;

use learngene_models::Classifier;
use learngene_shape::Vit;
use learngene_tensors::StateDict;

use super::support::*;
use crate::{FfnTransformation, Scope, TransformationConfig, attach};

fn check_identity(descendant: &Descendant, config: &TransformationConfig) {
    let plain = logits(&descendant.load());
    let transforming = descendant.attach(config);
    let apart = difference(&logits(&transforming), &plain);
    assert!(apart < 1e-6, "{config:?}: {apart}");
    assert_eq!(transforming.state_dict(), descendant.parameters, "{config:?}");
    assert_eq!(transforming.shape(), descendant.shape);

    let by_layer = difference(&logits_by_layer(&transforming), &plain);
    assert!(by_layer < 1e-6, "{config:?}: {by_layer}");

    let folded = transforming.fold();
    assert_eq!(folded.state_dict(), descendant.parameters);
    assert!(difference(&logits(&folded), &plain) < 1e-6, "{config:?}");
}

#[test]
fn every_transformation_starts_as_the_identity() {
    for descendant in [vit(), swin()] {
        check_identity(&descendant, &config("", ""));
        for ffn in FFN {
            for heads in ["", "low-rank:2", "scale-shift"] {
                check_identity(&descendant, &config(ffn, heads));
            }
        }
    }
}

/// A new layer that starts as the identity ends in zeros, so it cannot share the base of its group.
#[test]
fn layers_that_differ_within_their_group_stay_as_they_are() {
    let mut descendant = vit();
    for (name, tensor) in descendant.parameters.iter_mut() {
        let is_new =
            ["blocks.1.", "blocks.3.", "blocks.5."].iter().any(|new| name.starts_with(new));
        if is_new && (name.contains("attn.proj") || name.contains("mlp.fc2")) {
            tensor.values.fill(0.0);
        }
    }
    for ffn in FFN {
        let all = config(ffn, "low-rank:2");
        check_identity(&descendant, &all);
        check_identity(&descendant, &TransformationConfig { scope: Scope::Shared, ..all });
    }
}

/// First two parts of the names of what is learnt.
fn parts(transformations: &StateDict) -> Vec<String> {
    let part = |name: &str| name.split('.').take(2).collect::<Vec<_>>().join(".");
    let parts: BTreeSet<String> = transformations.names().map(part).collect();
    parts.into_iter().collect()
}

#[test]
fn the_scope_decides_which_ffns_are_transformed() {
    let mut descendant = vit();
    descendant.plan.ffn = vec![0, 0, 1, 2, 3, 3];
    let parts_of = |ffn: &str, scope| {
        let transforming = descendant.attach(&TransformationConfig { scope, ..config(ffn, "") });
        assert!(difference(&logits(&transforming), &logits(&descendant.load())) < 1e-6);
        parts(&transforming.transformations())
    };
    assert_eq!(parts_of("scale-shift", Scope::Shared), ["ffn.0", "ffn.1", "ffn.4", "ffn.5"]);
    assert_eq!(parts_of("scale-shift", Scope::All).len(), 6);
    assert_eq!(parts_of("cross-layer", Scope::Shared), ["mixing.0"]);
}

#[test]
fn heads_are_transformed_where_there_are_copies() {
    let mut descendant = vit();
    for heads in &mut descendant.plan.heads[2..] {
        *heads = (0..heads.len()).collect();
    }
    let transformations = descendant.attach(&config("", "low-rank:2")).transformations();
    assert_eq!(parts(&transformations), ["heads.0", "heads.1"]);
    let shape = |name: &str| transformations.get(name).map(|tensor| tensor.shape.as_slice());
    assert_eq!(shape("heads.0.qkv.a"), Some(&[6, 24, 2][..]));
    assert_eq!(shape("heads.0.qkv.b"), Some(&[6, 2, 24][..]));
    assert_eq!(shape("heads.0.proj.a"), Some(&[6, 8, 2][..]));
    assert_eq!(shape("heads.0.proj.b"), Some(&[6, 2, 24][..]));
}

#[test]
fn draws_follow_from_the_seed_and_differ_by_head() {
    let descendant = vit();
    for ffn in FFN {
        let of_seed = |seed| {
            let config = TransformationConfig { seed, ..config(ffn, "low-rank:2") };
            descendant.attach(&config).transformations()
        };
        assert_eq!(of_seed(3), of_seed(3));
        assert_ne!(of_seed(3), of_seed(4));
    }
    // Copies of a head with equal draws would stay equal.
    let transformations = descendant.attach(&config("", "low-rank:2")).transformations();
    for name in ["heads.0.qkv.a", "heads.0.proj.a"] {
        let a = transformations.get(name).expect("a drawn tensor");
        let slots: Vec<&[f32]> = a.values.chunks(a.values.len() / a.shape[0]).collect();
        for (slot, draw) in slots.iter().enumerate() {
            assert!(!slots[..slot].contains(draw), "{name}: slot {slot}");
        }
    }
}

fn refused(descendant: &Descendant, config: &TransformationConfig, message: &str) {
    let attached = attach(descendant.load(), &descendant.plan, config);
    assert_eq!(attached.map(drop).expect_err(message).to_string(), message);
}

#[test]
fn impossible_transformations_are_refused() {
    let rank = FfnTransformation::LowRank { rank: 0 };
    let none = TransformationConfig { ffn: Some(rank), ..config("", "") };
    refused(&vit(), &none, "rank of FFNs: found 0, expected 1 to 1024");

    let mut other = vit();
    other.plan.heads[3].pop();
    let message = "layer 3: heads of the transformation plan: found 7, expected 8";
    refused(&other, &config("low-rank", ""), message);

    let low_rank = vit().attach(&config("low-rank:2", "")).transformations();
    let error = vit().attach(&config("scale-shift", "")).with_transformations(&low_rank);
    let error = error.map(drop).expect_err("other tensors").to_string();
    assert!(error.contains("missing: ffn.0.fc1.scale, "), "{error}");
    assert!(error.contains("unused: ffn.0.fc1.a, "), "{error}");
}

/// FFNs that differ in width cannot be mixed, but all else can be learnt of them.
#[test]
fn widths_of_ffns_may_differ() {
    let vit = Vit::new(24, vec![2; 3], 8, vec![40, 24, 40]);
    let vit = Vit { image_size: 16, patch_size: 4, num_classes: 5, ..vit };
    let descendant = doubled(&vit);
    for ffn in ["scale-shift", "low-rank:2"] {
        check_identity(&descendant, &config(ffn, "low-rank:2"));
    }
    let message = "layer 2: hidden width of the FFN: found 24, expected 40, as the cross-layer \
                   transformation needs";
    refused(&descendant, &config("cross-layer", ""), message);
}
