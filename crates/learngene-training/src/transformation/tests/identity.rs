//! What transformations are before training, and who may have them.

use std::collections::BTreeSet;

use learngene_models::{Classifier, ModelConfig, StateDict};

use super::support::*;
use crate::{
    FfnTransformation, NewLayers, Scope, TransformationConfig, TransformationError, attach,
};

fn check_identity(ancestor: &ModelConfig, wanted: &TransformationConfig, new_layers: NewLayers) {
    let descendant = descendant(ancestor, new_layers);
    let plain = logits(&load(&descendant));
    let transforming = transforming(&descendant, wanted);
    let apart = difference(&logits(&transforming), &plain);
    assert!(apart < 1e-6, "{wanted:?}: {apart}");
    assert_eq!(transforming.state_dict(), descendant.parameters, "{wanted:?}");
    assert_eq!(transforming.config(), descendant.config);

    let by_layer = difference(&logits_by_layer(&transforming), &plain);
    assert!(by_layer < 1e-6, "{wanted:?}: {by_layer}");

    let folded = transforming.fold();
    assert_eq!(folded.state_dict(), descendant.parameters);
    assert!(difference(&logits(&folded), &plain) < 1e-6, "{wanted:?}");
}

#[test]
fn every_transformation_of_a_vit_starts_as_the_identity() {
    for ffn in FFN {
        for heads in ["", "low-rank:2", "scale-shift"] {
            check_identity(&vit(), &wanted(ffn, heads), NewLayers::Copy);
        }
    }
    check_identity(&vit(), &wanted("", ""), NewLayers::Copy);
}

#[test]
fn every_transformation_of_a_swin_starts_as_the_identity() {
    for ffn in FFN {
        for heads in ["", "low-rank:2", "scale-shift"] {
            check_identity(&swin(), &wanted(ffn, heads), NewLayers::Copy);
        }
    }
}

/// A new layer that starts as the identity ends in zeros, so it cannot share its group's base.
#[test]
fn new_layers_stay_the_identity() {
    for ffn in FFN {
        let shared = TransformationConfig { scope: Scope::Shared, ..wanted(ffn, "low-rank:2") };
        check_identity(&vit(), &wanted(ffn, "low-rank:2"), NewLayers::Identity);
        check_identity(&vit(), &shared, NewLayers::Identity);
    }
}

/// First two parts of the names of what is learnt.
fn parts(transformations: &StateDict) -> BTreeSet<String> {
    let part = |name: &str| name.split('.').take(2).collect::<Vec<_>>().join(".");
    transformations.names().map(part).collect()
}

#[test]
fn the_scope_tells_which_networks_are_transformed() {
    let mut descendant = descendant(&vit(), NewLayers::Copy);
    descendant.ffn = vec![0, 0, 1, 2, 3, 3];
    let parts_of = |ffn: &str, scope| {
        let wanted = TransformationConfig { scope, ..wanted(ffn, "") };
        let transforming = transforming(&descendant, &wanted);
        assert!(difference(&logits(&transforming), &logits(&load(&descendant))) < 1e-6);
        parts(&transforming.transformations()).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(parts_of("scale-shift", Scope::Shared), ["ffn.0", "ffn.1", "ffn.4", "ffn.5"]);
    assert_eq!(parts_of("scale-shift", Scope::All).len(), 6);
    assert_eq!(parts_of("cross-layer", Scope::Shared), ["mixing.0"]);
}

#[test]
fn heads_are_transformed_where_there_are_copies() {
    let mut descendant = descendant(&vit(), NewLayers::Copy);
    for slots in &mut descendant.slots[2..] {
        for (head, slot) in slots.iter_mut().enumerate() {
            slot.head = head;
        }
    }
    let transforming = transforming(&descendant, &wanted("", "low-rank:2"));
    let transformations = transforming.transformations();
    let parts: Vec<String> = parts(&transformations).into_iter().collect();
    assert_eq!(parts, ["heads.0", "heads.1"]);
    let shape = |name: &str| transformations.get(name).map(|tensor| tensor.shape.as_slice());
    assert_eq!(shape("heads.0.qkv.a"), Some(&[6, 24, 2][..]));
    assert_eq!(shape("heads.0.qkv.b"), Some(&[6, 2, 24][..]));
    assert_eq!(shape("heads.0.proj.a"), Some(&[6, 8, 2][..]));
    assert_eq!(shape("heads.0.proj.b"), Some(&[6, 2, 24][..]));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    for ffn in FFN {
        let of_seed = |seed| {
            let wanted = TransformationConfig { seed, ..wanted(ffn, "low-rank:2") };
            transforming(&descendant, &wanted).transformations()
        };
        assert_eq!(of_seed(3), of_seed(3));
        assert_ne!(of_seed(3), of_seed(4));
    }
}

/// Otherwise copies would not part.
#[test]
fn every_slot_has_a_draw_of_its_own() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    let transformations = transforming(&descendant, &wanted("", "low-rank:2")).transformations();
    for name in ["heads.0.qkv.a", "heads.0.proj.a"] {
        let a = transformations.get(name).expect("a drawn tensor");
        let slots: Vec<&[f32]> = a.values.chunks(a.values.len() / a.shape[0]).collect();
        for (slot, draw) in slots.iter().enumerate() {
            assert!(!slots[..slot].contains(draw), "{name}: slot {slot}");
        }
    }
}

#[test]
fn another_models_plan_is_refused() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    let refuse = |plan| {
        let attached = attach(load(&descendant), &plan, &wanted("low-rank", ""));
        attached.map(drop).expect_err("another model's plan")
    };
    let mut plan = descendant.plan();
    plan.ffn.pop();
    assert_eq!(refuse(plan), TransformationError::Depth { part: "FFNs", got: 5, want: 6 });
    let mut plan = descendant.plan();
    plan.heads[3].pop();
    assert_eq!(refuse(plan), TransformationError::Heads { layer: 3, got: 7, want: 8 });
    let rank = FfnTransformation::LowRank { rank: 0 };
    let none = TransformationConfig { ffn: Some(rank), ..wanted("low-rank", "") };
    let error = attach(load(&descendant), &descendant.plan(), &none);
    let message = "rank of FFNs must be 1 to 1024, got 0";
    assert_eq!(error.map(drop).expect_err("rank 0").to_string(), message);
}

#[test]
fn other_transformations_are_refused() {
    let descendant = descendant(&vit(), NewLayers::Copy);
    let low_rank = transforming(&descendant, &wanted("low-rank:2", ""));
    let scale_shift = transforming(&descendant, &wanted("scale-shift", ""));
    let error = scale_shift.with_transformations(&low_rank.transformations());
    let error = error.map(drop).expect_err("other tensors");
    assert!(error.missing.contains(&"ffn.0.fc1.scale".into()), "{error}");
    assert!(error.unused.contains(&"ffn.0.fc1.a".into()), "{error}");
}
