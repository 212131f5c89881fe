use learngene_clustering::FfnParams;
use learngene_format::{
    FfnNorm,
    RepresentativePolicy::{self, Mean, Nearest},
    output_projections,
};
use learngene_shape::{Family, Head, Projection, Vit};

use super::*;
use crate::test_ancestor::{
    ancestors, condensed, dbscan, edited, scattered, shared_ffns, swin, values, vit,
};

/// Every head alone.
fn whole() -> Learngene {
    condensed(&vit(), dbscan(1e-6, Nearest), FfnParams::default())
}

fn paired(ancestor: &Checkpoint, representative: RepresentativePolicy) -> Learngene {
    condensed(ancestor, dbscan(10.0, representative), FfnParams::default())
}

fn verified(learngene: &Learngene, ancestor: &Checkpoint) -> Verification {
    verify(learngene, ancestor).expect("of the same shape")
}

/// The learngene with the heads of a tensor in another order.
fn reordered(learngene: &Learngene, name: &str, order: &[usize]) -> Learngene {
    let parameters = learngene.manifest().shape.parameters();
    let parameter = parameters.into_iter().find(|p| p.name == name).expect(name);
    edited(learngene, name, |tensor| *tensor = select_heads(&parameter, tensor, order))
}

fn unverified(verification: &Verification) -> Vec<(usize, usize)> {
    let heads = verification.heads.iter().filter(|head| !head.is_verified());
    heads.map(|head| (head.layer, head.centroid)).collect()
}

fn source(verification: &Verification, layer: usize, centroid: usize, part: &str) -> String {
    let mut heads = verification.heads.iter();
    let head = heads.find(|head| (head.layer, head.centroid) == (layer, centroid));
    let parts = &head.expect("a centroid of the learngene").parts;
    let found = parts.iter().find(|origin| origin.part.ends_with(part)).expect("a part");
    found.source.as_ref().map_or("nowhere".into(), HeadSource::to_string)
}

#[test]
fn what_was_condensed_is_verified() {
    for (ancestor, parts) in ancestors().into_iter().zip([3, 4]) {
        for dtype in [Dtype::F32, Dtype::F16] {
            for representative in [Nearest, Mean] {
                let ancestor = Checkpoint { dtype, ..ancestor.clone() };
                let learngene = paired(&ancestor, representative);
                let verification = verified(&learngene, &ancestor);
                assert!(verification.is_verified(), "{verification:?}");
                assert!(verification.is_named_file && verification.refitted.is_empty());
                assert!(verification.heads.iter().all(|head| head.parts.len() == parts));
                let others = learngene.tensors().iter().len() - parts * ancestor.shape.depth();
                assert_eq!(verification.shared.len(), others);
            }
        }
    }
}

#[test]
fn sources_are_named() {
    let verification = verified(&paired(&vit(), Nearest), &vit());
    let sources: Vec<_> = verification.heads.iter().filter_map(InheritedHead::source).collect();
    let head = |layer, head| HeadSource::Head { layer, head };
    assert_eq!(sources[..5], [&head(0, 0), &head(0, 1), &head(0, 3), &head(1, 0), &head(1, 2)]);
    let verification = verified(&paired(&vit(), Mean), &vit());
    assert_eq!(source(&verification, 0, 0, "qkv.bias"), "the average of heads 0, 2 of layer 0");
    assert_eq!(source(&verification, 0, 1, "proj.weight"), "head 1 of layer 0");
    assert_eq!(source(&verification, 2, 0, "qkv.weight"), "the average of heads 0, 1 of layer 2");
}

#[test]
fn ffns_of_groups_are_verified_with_their_norms() {
    let ancestor = swin();
    for representative in [Nearest, Mean] {
        for norm in [FfnNorm::Representative, FfnNorm::Own] {
            let ffn = FfnParams { representative, norm, ..shared_ffns(&ancestor) };
            let learngene = condensed(&ancestor, dbscan(10.0, Nearest), ffn);
            let differing = verified(&learngene, &ancestor).differing;
            assert_eq!(differing, [""; 0], "{representative:?}, {norm:?}");
            let name = "layers.1.blocks.1.norm2.weight";
            let forged = edited(&learngene, name, |norm| norm.values[0] += 0.5);
            assert_eq!(verified(&forged, &ancestor).differing, [name]);
        }
    }
}

#[test]
fn a_file_of_other_bytes_and_equal_weights_is_verified() {
    let learngene = paired(&vit(), Nearest);
    let ancestor = Checkpoint { sha256: swin().sha256, ..vit() };
    let verification = verified(&learngene, &ancestor);
    assert!(verification.is_verified() && !verification.is_named_file);
}

#[test]
fn parts_of_another_head_are_caught_and_named() {
    let forged = reordered(&whole(), "blocks.0.attn.qkv.weight", &[0, 3, 2, 1]);
    let verification = verified(&forged, &vit());
    assert_eq!(unverified(&verification), [(0, 1), (0, 3)]);
    assert_eq!(source(&verification, 0, 1, "qkv.weight"), "head 3 of layer 0");
    assert_eq!(source(&verification, 0, 1, "qkv.bias"), "head 1 of layer 0");
    assert_eq!(source(&verification, 0, 3, "qkv.weight"), "head 1 of layer 0");
    assert_eq!(verification.heads[1].source(), None);
}

#[test]
fn relative_positions_of_another_head_are_caught() {
    let learngene = condensed(&swin(), dbscan(1e-6, Nearest), FfnParams::default());
    let table = "layers.1.blocks.0.attn.relative_position_bias_table";
    let verification = verified(&reordered(&learngene, table, &[1, 0]), &swin());
    assert_eq!(unverified(&verification), [(2, 0), (2, 1)]);
    assert_eq!(source(&verification, 2, 0, table), "head 1 of layer 2");
}

#[test]
fn a_head_that_is_whole_but_not_the_one_named_is_caught() {
    let tensors = ["qkv.weight", "qkv.bias", "proj.weight"];
    let forged = tensors.into_iter().fold(whole(), |learngene, tensor| {
        reordered(&learngene, &format!("blocks.1.attn.{tensor}"), &[1, 0, 2])
    });
    let verification = verified(&forged, &vit());
    assert_eq!(unverified(&verification), [(1, 0), (1, 1)]);
    let found = verification.heads[4].source();
    assert_eq!(found, Some(&HeadSource::Head { layer: 1, head: 1 }));
}

#[test]
fn a_head_of_another_layer_is_named() {
    let (learngene, ancestor) = (whole(), vit());
    let other = values(&ancestor.parameters, "blocks.0.attn.qkv.bias");
    let forged = edited(&learngene, "blocks.1.attn.qkv.bias", |bias| {
        for role in Projection::ALL {
            let heads = |layer| ancestor.shape.layer(layer).heads.rows(role, Head(0));
            bias.values[heads(1)].copy_from_slice(&other[heads(0)]);
        }
    });
    let verification = verified(&forged, &ancestor);
    assert_eq!(unverified(&verification), [(1, 0)]);
    assert_eq!(source(&verification, 1, 0, "qkv.bias"), "head 0 of layer 0");
}

#[test]
fn a_changed_number_comes_from_nowhere() {
    let forged = edited(&whole(), "blocks.0.attn.proj.weight", |columns| columns.values[0] += 1e-3);
    let second = "blocks.1.mlp.fc2.weight";
    let forged = edited(&forged, second, |weight| weight.values[5] += 1e-3);
    let verification = verified(&forged, &vit());
    assert_eq!(unverified(&verification), [(0, 0)]);
    assert_eq!(source(&verification, 0, 0, "proj.weight"), "nowhere");
    assert_eq!(source(&verification, 0, 0, "qkv.weight"), "head 0 of layer 0");
    assert_eq!(verification.differing, [second]);
}

#[test]
fn another_ancestor_is_caught() {
    let verification = verified(&paired(&vit(), Nearest), &scattered(vit().shape, 4));
    assert!(!verification.is_verified() && !verification.is_named_file);
    assert_eq!(unverified(&verification).len(), verification.heads.len());
    assert!(verification.shared.is_empty(), "{:?}", verification.shared);
}

/// Fresh models have biases of zero: any head's would do, and the head at hand is named.
#[test]
fn biases_that_all_heads_share_belong_to_the_head_at_hand() {
    let mut ancestor = vit();
    for (name, tensor) in ancestor.parameters.iter_mut() {
        if name.ends_with("qkv.bias") {
            tensor.values.fill(0.0);
        }
    }
    let learngene = condensed(&ancestor, dbscan(1e-6, Nearest), FfnParams::default());
    let verification = verified(&learngene, &ancestor);
    assert!(verification.is_verified(), "{verification:?}");
}

#[test]
fn an_ancestor_of_another_shape_is_refused() {
    let other = vit().shape.with_num_heads(&[4, 3, 3]).expect("possible");
    let mut vit = vit().shape.get::<Vit>().expect("a ViT").clone();
    vit.layer_norm_eps *= 10.0;
    let of_other_eps = vit.shape().expect("possible");
    for other in [scattered(other, 3), scattered(of_other_eps, 7), swin()] {
        let message = verify(&whole(), &other).expect_err("another shape").to_string();
        assert!(message.contains(" of the checkpoint: found "), "{message}");
        assert!(message.ends_with(", as in the learngene's ancestor"), "{message}");
    }
}

/// The classifier was dropped, or serves other classes.
#[test]
fn an_ancestor_may_have_another_classifier() {
    let mut ancestor = vit();
    ancestor.shape = ancestor.shape.with_num_classes(0).expect("possible");
    for name in ["head.weight", "head.bias"] {
        ancestor.parameters.remove(name);
    }
    let verification = verified(&whole(), &ancestor);
    assert_eq!(verification.differing, ["head.bias", "head.weight"]);
    assert_eq!(unverified(&verification), []);
}

#[test]
fn a_program_reads_the_verification() {
    let json = serde_json::to_value(verified(&paired(&vit(), Mean), &vit())).expect("plain data");
    assert_eq!(json["heads"][0]["claimed"]["kind"], "average");
    let projection = &output_projections(&vit().shape)[0].name;
    assert_eq!(json["heads"][0]["parts"][2]["part"], *projection);
    assert_eq!(json["heads"][1]["parts"][2]["source"]["head"], 1);
}
