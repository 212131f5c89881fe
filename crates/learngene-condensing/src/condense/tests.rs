use learngene_clustering::{ClusterParams, FfnParams};
use learngene_format::{
    ClusterAlgorithm, FfnNorm, NoisePolicy,
    RepresentativePolicy::{self, Mean, Nearest},
};
use learngene_shape::Place;
use learngene_tensors::Dtype;

use super::*;
use crate::test_ancestor::{
    EMBED_DIM, HEAD_DIM, ancestors, clusters, condensed, dbscan, distances, shared_ffns, swin,
    values, vit,
};

fn alone() -> ClusterParams {
    dbscan(1e-6, Nearest)
}

/// Pairs of heads joined, every FFN alone.
fn paired(ancestor: &Checkpoint, representative: RepresentativePolicy) -> Learngene {
    condensed(ancestor, dbscan(10.0, representative), FfnParams::default())
}

/// Layers share FFNs, every head alone.
fn joined(ancestor: &Checkpoint, representative: RepresentativePolicy, norm: FfnNorm) -> Learngene {
    condensed(ancestor, alone(), FfnParams { representative, norm, ..shared_ffns(ancestor) })
}

/// Rows of a role of a head in a fused `qkv`, `[3, heads, head_dim]` in timm.
fn fused_rows(heads: usize, role: usize, head: usize) -> std::ops::Range<usize> {
    let start = (role * heads + head) * HEAD_DIM;
    start..start + HEAD_DIM
}

/// Checks the parts of a head in a layer of the ViT against the ancestor's heads, whose average it
/// shall be.
fn check_head(learngene: &Learngene, layer: usize, centroid: usize, heads: &[usize]) {
    let ancestor = vit();
    let counts = learngene.manifest().clusters.heads.num_centroids();
    let (kept, all) = (counts[layer], ancestor.shape.num_heads()[layer]);
    let check = |tensor: &str, at: &dyn Fn(usize, usize) -> usize| {
        let name = format!("blocks.{layer}.attn.{tensor}");
        let (got, source) =
            (values(learngene.tensors(), &name), values(&ancestor.parameters, &name));
        let sum = heads.iter().map(|head| f64::from(source[at(all, *head)])).sum::<f64>();
        let want = (sum / heads.len() as f64) as f32;
        assert_eq!(got[at(kept, centroid)], want, "{name}, centroid {centroid}");
    };
    for role in 0..3 {
        for row in 0..HEAD_DIM {
            check("qkv.bias", &|heads, head| fused_rows(heads, role, head).start + row);
            for column in 0..EMBED_DIM {
                let at =
                    |heads, head| (fused_rows(heads, role, head).start + row) * EMBED_DIM + column;
                check("qkv.weight", &at);
                check("proj.weight", &|heads, head| {
                    column * heads * HEAD_DIM + head * HEAD_DIM + row
                });
            }
        }
    }
}

/// The published code reads the fused rows as `[heads, 3 * head_dim]`, so that what it calls a head
/// is three heads of one role, and it drops the fused bias.
#[test]
fn a_head_is_its_own_query_key_and_value_with_their_biases() {
    let learngene = condensed(&vit(), alone(), FfnParams::default());
    for (layer, heads) in [4, 3, 4].into_iter().enumerate() {
        (0..heads).for_each(|head| check_head(&learngene, layer, head, &[head]));
    }
}

#[test]
fn the_nearest_member_stands_for_its_cluster() {
    let learngene = paired(&vit(), Nearest);
    let layer = &learngene.manifest().clusters.heads.layers[0];
    assert_eq!((&layer.sizes, &layer.representatives), (&vec![2, 1, 1], &vec![0, 1, 3]));
    [0, 1, 3].into_iter().enumerate().for_each(|(at, head)| check_head(&learngene, 0, at, &[head]));
    check_head(&learngene, 1, 1, &[2]);
}

#[test]
fn the_mean_is_over_every_part_of_the_cluster() {
    let learngene = paired(&vit(), Mean);
    check_head(&learngene, 0, 0, &[0, 2]);
    check_head(&learngene, 0, 1, &[1]);
    check_head(&learngene, 2, 0, &[0, 1]);
}

#[test]
fn dropped_noise_is_not_in_the_learngene() {
    let noise = NoisePolicy::Drop;
    let algorithm = ClusterAlgorithm::Dbscan { eps: vec![10.0], min_points: 2, noise };
    let params = ClusterParams { algorithm, representative: Nearest };
    let learngene = condensed(&vit(), params, FfnParams::default());
    let projection = learngene.tensors().get("blocks.0.attn.proj.weight").expect("of layer 0");
    assert_eq!(projection.shape, [EMBED_DIM, HEAD_DIM]);
}

#[test]
fn everything_but_heads_is_kept_whole() {
    for ancestor in ancestors() {
        let learngene = paired(&ancestor, Nearest);
        for parameter in ancestor.shape.parameters() {
            let kept = learngene.tensors().get(&parameter.name).expect(&parameter.name);
            let is_whole = Some(kept) == ancestor.parameters.get(&parameter.name);
            assert_eq!(is_whole, parameter.head_axis().is_none(), "{}", parameter.name);
        }
    }
}

#[test]
fn relative_positions_travel_with_their_head() {
    let ancestor = swin();
    // Of the last layer heads 0 and 1 are one cluster, heads 2 and 3 alone.
    let name = "layers.1.blocks.1.attn.relative_position_bias_table";
    let table = values(&ancestor.parameters, name);
    let learngene = paired(&ancestor, Nearest);
    let want = table.chunks(4).flat_map(|row| [row[0], row[2], row[3]]);
    assert_eq!(values(learngene.tensors(), name), want.collect::<Vec<_>>());
    let learngene = paired(&ancestor, Mean);
    let want = table.chunks(4).flat_map(|row| [(row[0] + row[1]) / 2.0, row[2], row[3]]);
    assert_eq!(values(learngene.tensors(), name), want.collect::<Vec<_>>());
}

/// What a layer of the Swin's second stage reads under the name of a tensor.
fn of_block<'a>(tensors: &'a StateDict, block: usize, tensor: &str) -> &'a [f32] {
    values(tensors, &format!("layers.1.blocks.{block}.{tensor}"))
}

#[test]
fn layers_of_a_group_have_one_ffn() {
    let ancestor = swin();
    let learngene = joined(&ancestor, Nearest, FfnNorm::Representative);
    let group = &learngene.manifest().clusters.ffn.groups[1];
    assert_eq!((group.layers.clone(), group.representative), (vec![2, 3], 2));
    let (kept, source) = (learngene.tensors(), &ancestor.parameters);
    assert!(kept.get("layers.1.blocks.1.mlp.fc1.weight").is_none());
    for tensor in ["mlp.fc1.weight", "mlp.fc2.bias", "norm2.weight"] {
        assert_eq!(of_block(kept, 0, tensor), of_block(source, 0, tensor), "{tensor}");
    }
    assert_eq!(of_block(kept, 1, "norm2.weight"), of_block(source, 0, "norm2.weight"));
    assert_eq!(of_block(kept, 1, "norm1.weight"), of_block(source, 1, "norm1.weight"));
}

#[test]
fn each_layer_of_a_group_may_keep_its_own_norm() {
    let ancestor = swin();
    let learngene = joined(&ancestor, Nearest, FfnNorm::Own);
    let own = of_block(&ancestor.parameters, 1, "norm2.bias");
    assert_eq!(of_block(learngene.tensors(), 1, "norm2.bias"), own);
}

#[test]
fn the_mean_of_a_group_averages_ffns_and_norms() {
    let ancestor = swin();
    let learngene = joined(&ancestor, Mean, FfnNorm::Representative);
    let mean = |tensor: &str| -> Vec<f32> {
        let of = |block| of_block(&ancestor.parameters, block, tensor);
        of(0).iter().zip(of(1)).map(|(a, b)| (a + b) / 2.0).collect()
    };
    let kept = learngene.tensors();
    assert_eq!(of_block(kept, 0, "mlp.fc1.weight"), mean("mlp.fc1.weight"));
    assert_eq!(of_block(kept, 0, "norm2.weight"), mean("norm2.weight"));
    assert_eq!(of_block(kept, 1, "norm2.weight"), mean("norm2.weight"));
}

#[test]
fn projection_and_classifier_are_kept_on_request_only() {
    for ancestor in ancestors() {
        let clusters = clusters(&ancestor, dbscan(10.0, Nearest), FfnParams::default());
        let keep = |options| {
            condense(&ancestor, &distances(&ancestor), &clusters, options).expect("a good ancestor")
        };
        let bare = keep(CondenseOptions::default());
        let (bare, full) = (bare.tensors(), paired(&ancestor, Nearest));
        for projection in learngene_format::output_projections(&ancestor.shape) {
            let origin = learngene_format::origin_name(&projection);
            assert!(bare.get(&origin).is_none());
            let whole = ancestor.parameters.get(&projection.name);
            assert_eq!(full.tensors().get(&origin), whole);
        }
        for parameter in ancestor.shape.classifier_parameters() {
            assert_eq!(parameter.place, Place::Classifier);
            assert!(bare.get(&parameter.name).is_none());
        }
    }
}

#[test]
fn a_backbone_has_no_classifier_to_keep() {
    let mut ancestor = vit();
    ancestor.shape = ancestor.shape.with_num_classes(0).expect("possible");
    ancestor.parameters.remove("head.weight");
    ancestor.parameters.remove("head.bias");
    assert!(!paired(&ancestor, Nearest).manifest().classifier);
}

#[test]
fn the_number_format_of_the_checkpoint_is_kept() {
    for dtype in [Dtype::F16, Dtype::F32] {
        let ancestor = Checkpoint { dtype, ..vit() };
        let learngene = condensed(&ancestor, alone(), FfnParams::default());
        assert_eq!(learngene.manifest().store, dtype.into());
        let name = "blocks.1.attn.qkv.bias";
        let kept = learngene.tensors().get(name);
        assert_eq!(kept, ancestor.parameters.get(name), "f16 holds these numbers exactly");
    }
}

#[test]
fn the_same_ancestor_gives_the_same_file() {
    for ancestor in ancestors() {
        let learngene = paired(&ancestor, Mean);
        let bytes = learngene.to_bytes();
        assert_eq!(bytes, paired(&ancestor, Mean).to_bytes());
        assert_eq!(Learngene::from_bytes(&bytes).expect("a valid file"), learngene);
        assert_eq!(learngene.manifest().producer, PRODUCER);
    }
}

fn refusal(edit: impl FnOnce(&mut Checkpoint, &mut Distances)) -> String {
    let mut ancestor = vit();
    let mut distances = distances(&ancestor);
    let clusters = clusters(&ancestor, alone(), FfnParams::default());
    edit(&mut ancestor, &mut distances);
    let refused = condense(&ancestor, &distances, &clusters, CondenseOptions::default());
    refused.expect_err("an edit that must be refused").to_string()
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let message = refusal(|ancestor, _| ancestor.sha256 = swin().sha256);
    assert!(message.starts_with("ancestor of the distances: found"), "{message}");
    let message = refusal(|_, distances| distances.images_sha256 = swin().sha256);
    assert!(message.starts_with("images of the clusters: found"), "{message}");
}

#[test]
fn parameters_that_are_missing_or_not_finite_are_refused() {
    let message = refusal(|ancestor, _| {
        ancestor.parameters.remove("blocks.1.attn.qkv.bias");
    });
    assert!(message.contains("missing: blocks.1.attn.qkv.bias"), "{message}");
    let message = refusal(|ancestor, _| {
        let name = "blocks.0.attn.qkv.bias";
        let mut bias = ancestor.parameters.remove(name).expect("a bias");
        bias.values[0] = f32::NAN;
        ancestor.parameters.insert(name, bias);
    });
    assert!(message.contains("blocks.0.attn.qkv.bias") && message.contains("NaN"), "{message}");
}
