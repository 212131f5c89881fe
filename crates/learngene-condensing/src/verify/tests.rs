use std::collections::BTreeMap;

use learngene_models::{ModelConfig, checkpoint::Dtype};

use super::*;
use crate::{
    FfnNorm, FfnParams, Representative,
    test_ancestor::{ancestor, clusters_with_ffns, condensed, condensed_as, dbscan, swin_ancestor},
};

/// The same learngene with other bytes in its tensors, and hashes that belong to them.
fn rebuilt(learngene: &Learngene, edit: impl FnOnce(&mut BTreeMap<String, Vec<f32>>)) -> Learngene {
    let (manifest, tensors) = learngene.clone().into_parts();
    let mut values: BTreeMap<String, Vec<f32>> =
        tensors.iter().map(|(name, tensor)| (name.clone(), tensor.to_f32())).collect();
    edit(&mut values);
    let tensors = tensors.into_iter().map(|(name, tensor)| {
        let values = &values[&name];
        let edited = Tensor::from_f32(tensor.dtype(), tensor.shape().to_vec(), values);
        (name, edited.expect("as many values as before"))
    });
    Learngene::new(manifest, tensors.collect()).expect("a valid learngene")
}

fn swap(values: &mut [f32], left: usize, right: usize, count: usize) {
    let length = values.len() / count;
    for place in 0..length {
        values.swap(left * length + place, right * length + place);
    }
}

fn unverified(verification: &Verification) -> Vec<(usize, usize)> {
    let heads = verification.heads.iter().filter(|head| !head.is_verified());
    heads.map(|head| (head.layer, head.centroid)).collect()
}

fn source(verification: &Verification, layer: usize, centroid: usize, part: &str) -> String {
    let mut heads = verification.heads.iter();
    let head = heads.find(|head| (head.layer, head.centroid) == (layer, centroid));
    let parts = &head.expect("a centroid of the learngene").parts;
    let found = parts.iter().find(|origin| origin.part.to_string() == part).expect("a part");
    found.source.as_ref().map_or("nowhere".into(), HeadSource::to_string)
}

#[test]
fn what_was_condensed_is_verified() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let mut ancestor = ancestor(3);
        ancestor.dtype = dtype;
        let learngene = condensed(&ancestor, dbscan(10.0, Representative::Nearest));
        let verification = verify(&learngene, &ancestor).expect("of the same shape");
        assert!(verification.is_verified(), "{verification:?}");
        assert!(verification.is_named_file);
        let sources: Vec<_> = verification.heads.iter().filter_map(InheritedHead::source).collect();
        let head = |layer, head| HeadSource::Head { layer, head };
        assert_eq!(sources, [&head(0, 0), &head(0, 1), &head(0, 3), &head(1, 0)]);
        assert_eq!(verification.differing, [""; 0]);
        // All tensors but seven of each of the two layers.
        assert_eq!(verification.shared.len(), learngene.tensors().len() - 14);
    }
}

#[test]
fn a_swin_is_verified_with_its_relative_positions() {
    let ancestor = swin_ancestor(3);
    for representative in [Representative::Nearest, Representative::Mean] {
        let learngene = condensed(&ancestor, dbscan(10.0, representative));
        let verification = verify(&learngene, &ancestor).expect("of the same shape");
        assert!(verification.is_verified(), "{verification:?}");
        // All tensors but eight of each of the four layers.
        assert_eq!(verification.shared.len(), learngene.tensors().len() - 32);
    }
    let learngene = condensed(&ancestor, dbscan(1e-6, Representative::Nearest));
    let forged = rebuilt(&learngene, |tensors| {
        let positions = tensors.get_mut("layers.2.attn.relative_position").expect("positions");
        swap(positions, 0, 1, 2);
    });
    let verification = verify(&forged, &ancestor).expect("of the same shape");
    assert_eq!(unverified(&verification), [(2, 0), (2, 1)]);
    assert_eq!(source(&verification, 2, 0, "relative_position"), "head 1 of layer 2");
}

#[test]
fn feed_forward_networks_of_groups_are_verified_with_their_norms() {
    let ancestor = swin_ancestor(3);
    for representative in [Representative::Nearest, Representative::Mean] {
        for norm in [FfnNorm::Representative, FfnNorm::Own] {
            let given = FfnParams::given(vec![vec![0, 1], vec![2, 3]]);
            let params = FfnParams { representative, norm, ..given };
            let learngene = condensed_as(&ancestor, &clusters_with_ffns(&ancestor, params));
            let verification = verify(&learngene, &ancestor).expect("of the same shape");
            assert_eq!(verification.differing, [""; 0], "{representative:?}, {norm:?}");
            let forged = rebuilt(&learngene, |tensors| {
                tensors.get_mut("layers.3.norm2.weight").expect("a norm")[0] += 0.5;
            });
            let verification = verify(&forged, &ancestor).expect("of the same shape");
            assert_eq!(verification.differing, ["layers.3.norm2.weight"]);
        }
    }
}

#[test]
fn a_file_of_other_bytes_and_equal_weights_is_verified() {
    let mut ancestor = ancestor(3);
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Nearest));
    ancestor.sha256 = "e".repeat(64);
    let verification = verify(&learngene, &ancestor).expect("of the same shape");
    assert!(verification.is_verified());
    assert!(!verification.is_named_file);
}

#[test]
fn averages_are_named_as_such() {
    let ancestor = ancestor(3);
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Mean));
    let verification = verify(&learngene, &ancestor).expect("of the same shape");
    assert!(verification.is_verified(), "{verification:?}");
    assert_eq!(source(&verification, 0, 0, "q.bias"), "the average of heads 0, 2 of layer 0");
    assert_eq!(source(&verification, 0, 1, "proj.weight"), "head 1 of layer 0");
    assert_eq!(source(&verification, 1, 0, "v.weight"), "the average of heads 0, 1 of layer 1");
}

#[test]
fn value_weights_of_another_head_are_caught_and_named() {
    let ancestor = ancestor(3);
    let learngene = condensed(&ancestor, dbscan(1e-6, Representative::Nearest));
    let forged = rebuilt(&learngene, |tensors| {
        let weights = tensors.get_mut("layers.0.attn.v.weight").expect("value weights");
        swap(weights, 1, 3, 4);
    });
    let verification = verify(&forged, &ancestor).expect("of the same shape");
    assert_eq!(unverified(&verification), [(0, 1), (0, 3)]);
    assert_eq!(source(&verification, 0, 1, "v.weight"), "head 3 of layer 0");
    assert_eq!(source(&verification, 0, 1, "v.bias"), "head 1 of layer 0");
    assert_eq!(source(&verification, 0, 3, "v.weight"), "head 1 of layer 0");
    assert_eq!(verification.heads[1].source(), None);
}

#[test]
fn a_head_that_is_whole_but_not_the_one_named_is_caught() {
    let ancestor = ancestor(3);
    let learngene = condensed(&ancestor, dbscan(1e-6, Representative::Nearest));
    let forged = rebuilt(&learngene, |tensors| {
        for part in HeadPart::of(ancestor.config.layer(1)) {
            let name = part.tensor_name(1);
            swap(tensors.get_mut(&name).expect("a part"), 0, 1, 2);
        }
    });
    let verification = verify(&forged, &ancestor).expect("of the same shape");
    assert_eq!(unverified(&verification), [(1, 0), (1, 1)]);
    let found = verification.heads[4].source();
    assert_eq!(found, Some(&HeadSource::Head { layer: 1, head: 1 }));
}

#[test]
fn a_head_of_another_layer_is_named() {
    let ancestor = ancestor(3);
    let learngene = condensed(&ancestor, dbscan(1e-6, Representative::Nearest));
    let forged = rebuilt(&learngene, |tensors| {
        let from = tensors["layers.0.attn.k.bias"][..2].to_vec();
        tensors.get_mut("layers.1.attn.k.bias").expect("key biases")[..2].copy_from_slice(&from);
    });
    let verification = verify(&forged, &ancestor).expect("of the same shape");
    assert_eq!(unverified(&verification), [(1, 0)]);
    assert_eq!(source(&verification, 1, 0, "k.bias"), "head 0 of layer 0");
}

#[test]
fn a_changed_number_comes_from_nowhere() {
    let ancestor = ancestor(3);
    let learngene = condensed(&ancestor, dbscan(1e-6, Representative::Nearest));
    let forged = rebuilt(&learngene, |tensors| {
        tensors.get_mut("layers.0.attn.proj.weight").expect("columns")[0] += 1e-3;
        tensors.get_mut("ffn.1.fc2.weight").expect("an FFN")[5] += 1e-3;
    });
    let verification = verify(&forged, &ancestor).expect("of the same shape");
    assert_eq!(unverified(&verification), [(0, 0)]);
    assert_eq!(source(&verification, 0, 0, "proj.weight"), "nowhere");
    assert_eq!(source(&verification, 0, 0, "q.weight"), "head 0 of layer 0");
    assert_eq!(verification.differing, ["ffn.1.fc2.weight"]);
}

#[test]
fn another_ancestor_is_caught() {
    let learngene = condensed(&ancestor(3), dbscan(10.0, Representative::Nearest));
    let verification = verify(&learngene, &ancestor(4)).expect("of the same shape");
    assert!(!verification.is_verified() && !verification.is_named_file);
    assert_eq!(unverified(&verification).len(), verification.heads.len());
    assert!(verification.shared.is_empty(), "{:?}", verification.shared);
}

/// Fresh models have biases of zero: any head's would do, and the head at hand is named.
#[test]
fn biases_that_all_heads_share_belong_to_the_head_at_hand() {
    let mut ancestor = ancestor(3);
    for layer in 0..2 {
        let name = format!("blocks.{layer}.attn.qkv.bias");
        let mut bias = ancestor.parameters.get(&name).expect("a bias").clone();
        bias.values.fill(0.0);
        ancestor.parameters.insert(name, bias);
    }
    let learngene = condensed(&ancestor, dbscan(1e-6, Representative::Nearest));
    let verification = verify(&learngene, &ancestor).expect("of the same shape");
    assert!(verification.is_verified(), "{verification:?}");
}

#[test]
fn an_ancestor_of_another_shape_is_refused() {
    let learngene = condensed(&ancestor(3), dbscan(10.0, Representative::Nearest));
    let mut other = ancestor(3);
    let ModelConfig::Vit(vit) = &mut other.config else { unreachable!("the config of a ViT") };
    vit.num_heads = vec![4, 3];
    let message = verify(&learngene, &other).expect_err("another shape").to_string();
    let wanted = "number of heads per layer of the learngene is [4, 2], but that of the checkpoint is [4, 3]";
    assert_eq!(message, wanted);
}

#[test]
fn an_ancestor_of_another_family_is_refused() {
    let learngene = condensed(&ancestor(3), dbscan(10.0, Representative::Nearest));
    let message = verify(&learngene, &swin_ancestor(3)).expect_err("a Swin").to_string();
    assert_eq!(message, "family of the learngene is vit, but that of the checkpoint is swin");
}

#[test]
fn a_program_reads_the_verification() {
    let ancestor = ancestor(3);
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Mean));
    let verification = verify(&learngene, &ancestor).expect("of the same shape");
    let json = serde_json::to_value(&verification).expect("plain data");
    assert_eq!(json["heads"][0]["claimed"]["kind"], "average");
    assert_eq!(json["heads"][0]["parts"][0]["part"], "q.weight");
    assert_eq!(json["heads"][1]["parts"][6]["source"]["head"], 1);
}
