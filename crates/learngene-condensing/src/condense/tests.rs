use learngene_format::{ClusterAlgorithm, Dtype};
use learngene_models::checkpoint::Dtype as CheckpointDtype;

use super::*;
use crate::{
    Algorithm, ClusterParams, FfnNorm, FfnParams, KMeansLibrary, NoisePolicy, Representative,
    test_ancestor::{
        EMBED_DIM, HEAD_DIM, ancestor, clusters, clusters_with_ffns, condensed, condensed_as,
        dbscan, distances, swin_ancestor,
    },
};

fn singletons() -> ClusterParams {
    dbscan(1e-6, Representative::Nearest)
}

fn values(learngene: &Learngene, name: &str) -> Vec<f32> {
    learngene.tensor(name).unwrap_or_else(|| panic!("no tensor {name}")).to_f32()
}

fn parameter<'a>(ancestor: &'a Checkpoint, name: &str) -> &'a [f32] {
    &ancestor.parameters.get(name).unwrap_or_else(|| panic!("no parameter {name}")).values
}

/// Where `[role, head, row]` of a fused `qkv` stands, by timm's order `[3, heads, head_dim]`.
fn fused_row(heads: usize, role: usize, head: usize, row: usize) -> usize {
    (role * heads + head) * HEAD_DIM + row
}

const ROLES: [&str; 3] = ["q", "k", "v"];

/// The published code reads the fused rows as `[heads, 3 * head_dim]`, so that what it calls a
/// head is three heads of one role.
#[test]
fn a_head_is_its_own_query_key_and_value() {
    let ancestor = ancestor(0);
    let learngene = condensed(&ancestor, singletons());
    for (layer, heads) in [(0, 4), (1, 2)] {
        let fused = parameter(&ancestor, &format!("blocks.{layer}.attn.qkv.weight"));
        for (role, letter) in ROLES.into_iter().enumerate() {
            let weight = values(&learngene, &format!("layers.{layer}.attn.{letter}.weight"));
            for head in 0..heads {
                for row in 0..HEAD_DIM {
                    let from = fused_row(heads, role, head, row);
                    let published = head * 3 * HEAD_DIM + role * HEAD_DIM + row;
                    let kept = &weight[(head * HEAD_DIM + row) * EMBED_DIM..][..EMBED_DIM];
                    assert_eq!(kept, &fused[from * EMBED_DIM..][..EMBED_DIM]);
                    if from != published {
                        assert_ne!(kept, &fused[published * EMBED_DIM..][..EMBED_DIM]);
                    }
                }
            }
        }
    }
}

/// The published code inherits weights and drops the fused bias.
#[test]
fn biases_are_inherited_with_their_heads() {
    let ancestor = ancestor(0);
    let learngene = condensed(&ancestor, singletons());
    for (layer, heads) in [(0, 4), (1, 2)] {
        let fused = parameter(&ancestor, &format!("blocks.{layer}.attn.qkv.bias"));
        for (role, letter) in ROLES.into_iter().enumerate() {
            let bias = values(&learngene, &format!("layers.{layer}.attn.{letter}.bias"));
            for head in 0..heads {
                for row in 0..HEAD_DIM {
                    let from = fused_row(heads, role, head, row);
                    assert_eq!(bias[head * HEAD_DIM + row], fused[from]);
                }
            }
        }
        let bias = values(&learngene, &format!("layers.{layer}.attn.proj.bias"));
        assert_eq!(bias, parameter(&ancestor, &format!("blocks.{layer}.attn.proj.bias")));
    }
}

#[test]
fn projection_columns_follow_their_head() {
    let ancestor = ancestor(0);
    let learngene = condensed(&ancestor, singletons());
    for (layer, heads) in [(0, 4), (1, 2)] {
        let projection = parameter(&ancestor, &format!("blocks.{layer}.attn.proj.weight"));
        let columns = values(&learngene, &format!("layers.{layer}.attn.proj.weight"));
        for head in 0..heads {
            for output in 0..EMBED_DIM {
                let kept = &columns[(head * EMBED_DIM + output) * HEAD_DIM..][..HEAD_DIM];
                let from = output * heads * HEAD_DIM + head * HEAD_DIM;
                assert_eq!(kept, &projection[from..][..HEAD_DIM]);
            }
        }
    }
}

#[test]
fn the_nearest_member_stands_for_its_cluster() {
    let ancestor = ancestor(0);
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Nearest));
    let layer = &learngene.manifest().layers[0];
    assert_eq!((&layer.sizes, &layer.representatives), (&vec![2, 1, 1], &vec![0, 1, 3]));
    let kept = values(&learngene, "layers.0.attn.k.bias");
    let fused = parameter(&ancestor, "blocks.0.attn.qkv.bias");
    let wanted: Vec<f32> = [0, 1, 3]
        .into_iter()
        .flat_map(|head| (0..HEAD_DIM).map(move |row| fused[fused_row(4, 1, head, row)]))
        .collect();
    assert_eq!(kept, wanted);
}

#[test]
fn mean_averages_every_part_over_the_cluster() {
    let ancestor = ancestor(0);
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Mean));
    let half_sum = |values: &[f32], left: usize, right: usize| (values[left] + values[right]) / 2.0;

    let fused = parameter(&ancestor, "blocks.0.attn.qkv.weight");
    let queries = values(&learngene, "layers.0.attn.q.weight");
    for place in 0..HEAD_DIM * EMBED_DIM {
        let second = 2 * HEAD_DIM * EMBED_DIM + place;
        assert_eq!(queries[place], half_sum(fused, place, second), "heads 0 and 2");
        let alone = HEAD_DIM * EMBED_DIM + place;
        assert_eq!(queries[alone], fused[alone], "head 1 is alone in its cluster");
    }
    let fused = parameter(&ancestor, "blocks.0.attn.qkv.bias");
    let bias = values(&learngene, "layers.0.attn.v.bias");
    assert_eq!(bias[0], half_sum(fused, fused_row(4, 2, 0, 0), fused_row(4, 2, 2, 0)));
    let projection = parameter(&ancestor, "blocks.0.attn.proj.weight");
    let columns = values(&learngene, "layers.0.attn.proj.weight");
    assert_eq!(columns[0], half_sum(projection, 0, 2 * HEAD_DIM));
}

#[test]
fn dropped_noise_is_not_in_the_learngene() {
    let ancestor = ancestor(0);
    let (eps, noise) = (vec![10.0], NoisePolicy::Drop);
    let algorithm = Algorithm::Dbscan { eps, min_points: 2, noise };
    let params = ClusterParams { algorithm, representative: Representative::Nearest };
    let learngene = condensed(&ancestor, params);
    let shape = learngene.tensors()["layers.0.attn.q.weight"].shape();
    assert_eq!(shape, [1, HEAD_DIM, EMBED_DIM]);
}

#[test]
fn everything_but_heads_is_kept_whole() {
    let ancestor = ancestor(0);
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Nearest));
    for (kept, source) in [
        ("patch_embed.proj.weight", "patch_embed.proj.weight"),
        ("cls_token", "cls_token"),
        ("pos_embed", "pos_embed"),
        ("norm.bias", "norm.bias"),
        ("head.weight", "head.weight"),
        ("layers.1.norm1.weight", "blocks.1.norm1.weight"),
        ("layers.0.norm2.bias", "blocks.0.norm2.bias"),
        ("layers.1.attn.proj.bias", "blocks.1.attn.proj.bias"),
        ("layers.1.attn.proj.origin", "blocks.1.attn.proj.weight"),
        ("ffn.0.fc1.weight", "blocks.0.mlp.fc1.weight"),
        ("ffn.1.fc2.bias", "blocks.1.mlp.fc2.bias"),
    ] {
        assert_eq!(values(&learngene, kept), parameter(&ancestor, source), "{kept}");
    }
}

#[test]
fn a_swin_keeps_its_parts_by_the_names_of_the_format() {
    let ancestor = swin_ancestor(0);
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Nearest));
    for (kept, source) in [
        ("patch_embed.norm.weight", "patch_embed.norm.weight"),
        ("downsample.1.norm.bias", "layers.1.downsample.norm.bias"),
        ("downsample.1.reduction.weight", "layers.1.downsample.reduction.weight"),
        ("head.bias", "head.fc.bias"),
        ("layers.2.norm1.weight", "layers.1.blocks.0.norm1.weight"),
        ("layers.1.norm2.bias", "layers.0.blocks.1.norm2.bias"),
        ("layers.3.attn.proj.origin", "layers.1.blocks.1.attn.proj.weight"),
        ("ffn.3.fc1.weight", "layers.1.blocks.1.mlp.fc1.weight"),
    ] {
        assert_eq!(values(&learngene, kept), parameter(&ancestor, source), "{kept}");
    }
}

#[test]
fn relative_positions_travel_with_their_head() {
    let ancestor = swin_ancestor(0);
    // Of the last layer heads 0 and 1 are one cluster, heads 2 and 3 alone.
    let table = parameter(&ancestor, "layers.1.blocks.1.attn.relative_position_bias_table");
    let column = |head: usize| table.iter().skip(head).step_by(4).copied();
    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Nearest));
    let kept = values(&learngene, "layers.3.attn.relative_position");
    assert_eq!(kept, [0, 2, 3].into_iter().flat_map(column).collect::<Vec<_>>());

    let learngene = condensed(&ancestor, dbscan(10.0, Representative::Mean));
    let kept = values(&learngene, "layers.3.attn.relative_position");
    let mean: Vec<f32> = column(0).zip(column(1)).map(|(a, b)| (a + b) / 2.0).collect();
    assert_eq!(kept[..9], mean);
    assert_eq!(kept[9..18], column(2).collect::<Vec<_>>());
}

/// Both layers of the second stage, one of those of the first.
fn shared(representative: Representative, norm: FfnNorm) -> FfnParams {
    FfnParams { representative, norm, ..FfnParams::given(vec![vec![2, 3]]) }
}

#[test]
fn layers_of_a_group_have_one_feed_forward_network() {
    let ancestor = swin_ancestor(0);
    let params = shared(Representative::Nearest, FfnNorm::Representative);
    let learngene = condensed_as(&ancestor, &clusters_with_ffns(&ancestor, params));
    let group = &learngene.manifest().ffn.groups[2];
    assert_eq!((group.layers.clone(), group.representative), (vec![2, 3], 2));
    assert!(learngene.tensor("ffn.3.fc1.weight").is_none());
    for (kept, source) in [
        ("ffn.1.fc1.weight", "layers.0.blocks.1.mlp.fc1.weight"),
        ("ffn.2.fc2.bias", "layers.1.blocks.0.mlp.fc2.bias"),
        ("layers.1.norm2.weight", "layers.0.blocks.1.norm2.weight"),
        ("layers.2.norm2.weight", "layers.1.blocks.0.norm2.weight"),
        ("layers.3.norm2.weight", "layers.1.blocks.0.norm2.weight"),
        ("layers.3.norm1.weight", "layers.1.blocks.1.norm1.weight"),
    ] {
        assert_eq!(values(&learngene, kept), parameter(&ancestor, source), "{kept}");
    }
}

#[test]
fn each_layer_of_a_group_may_keep_its_own_norm() {
    let ancestor = swin_ancestor(0);
    let params = shared(Representative::Nearest, FfnNorm::Own);
    let learngene = condensed_as(&ancestor, &clusters_with_ffns(&ancestor, params));
    let own = parameter(&ancestor, "layers.1.blocks.1.norm2.bias");
    assert_eq!(values(&learngene, "layers.3.norm2.bias"), own);
}

#[test]
fn the_mean_of_a_group_averages_networks_and_norms() {
    let ancestor = swin_ancestor(0);
    let params = shared(Representative::Mean, FfnNorm::Representative);
    let learngene = condensed_as(&ancestor, &clusters_with_ffns(&ancestor, params));
    let mean = |tensor: &str| -> Vec<f32> {
        let of = |block| parameter(&ancestor, &format!("layers.1.blocks.{block}.{tensor}"));
        of(0).iter().zip(of(1)).map(|(a, b)| (a + b) / 2.0).collect()
    };
    assert_eq!(values(&learngene, "ffn.2.fc1.weight"), mean("mlp.fc1.weight"));
    assert_eq!(values(&learngene, "layers.2.norm2.weight"), mean("norm2.weight"));
    assert_eq!(values(&learngene, "layers.3.norm2.weight"), mean("norm2.weight"));
}

#[test]
fn the_differences_of_a_group_are_written_for_each_layer() {
    let ancestor = swin_ancestor(0);
    let clusters = clusters_with_ffns(&ancestor, FfnParams::contiguous(vec![200.0]));
    let manifest = condensed_as(&ancestor, &clusters).into_parts().0;
    let wanted = format::FfnAlgorithm::Contiguous { eps: vec![200.0; 4] };
    assert_eq!(manifest.ffn.algorithm, wanted);
    let groups: Vec<_> = manifest.ffn.groups.iter().map(|group| group.layers.clone()).collect();
    assert_eq!(groups, [[0, 1], [2, 3]]);
}

#[test]
fn projection_and_classifier_are_kept_on_request_only() {
    let ancestor = ancestor(0);
    let clusters = clusters(&ancestor, singletons());
    let keep = |options| {
        condense(&ancestor, &distances(&ancestor), &clusters, options).expect("a good ancestor")
    };
    let bare = keep(CondenseOptions::default());
    assert!(bare.tensor("layers.0.attn.proj.origin").is_none());
    assert!(bare.tensor("head.weight").is_none());
    let projection = keep(CondenseOptions { keep_projection: true, ..CondenseOptions::default() });
    let origin = projection.tensor("layers.0.attn.proj.origin").expect("it was asked for");
    assert_eq!(origin.shape(), [EMBED_DIM, 4 * HEAD_DIM]);
}

#[test]
fn a_backbone_has_no_classifier_to_keep() {
    let mut ancestor = ancestor(0);
    ancestor.config = ancestor.config.with_num_classes(0);
    ancestor.parameters.remove("head.weight");
    ancestor.parameters.remove("head.bias");
    let learngene = condensed(&ancestor, singletons());
    assert!(!learngene.manifest().classifier);
}

#[test]
fn the_number_format_of_the_checkpoint_is_kept() {
    for (checkpoint, stored) in
        [(CheckpointDtype::F16, Dtype::F16), (CheckpointDtype::F32, Dtype::F32)]
    {
        let mut ancestor = ancestor(0);
        ancestor.dtype = checkpoint;
        let learngene = condensed(&ancestor, singletons());
        assert_eq!(learngene.manifest().dtype, stored);
        assert!(learngene.tensors().values().all(|tensor| tensor.dtype() == stored));
        let fused = parameter(&ancestor, "blocks.1.attn.qkv.bias");
        let queries = values(&learngene, "layers.1.attn.q.bias");
        assert_eq!(queries, fused[..2 * HEAD_DIM], "f16 holds these numbers exactly");
    }
}

#[test]
fn one_k_for_all_layers_is_written_for_each() {
    let ancestor = ancestor(0);
    let algorithm = Algorithm::KMeans { k: vec![2], seed: 7, library: KMeansLibrary::Linfa };
    let params = ClusterParams { algorithm, representative: Representative::Nearest };
    let learngene = condensed(&ancestor, params);
    let wanted = ClusterAlgorithm::Kmeans { k: vec![2, 2], seed: 7 };
    assert_eq!(learngene.manifest().clustering.algorithm, wanted);
}

/// As `FORMAT.md` has it, whatever program condensed.
#[test]
fn this_crate_is_named_as_the_producer() {
    let ancestor = ancestor(0);
    let producer = concat!("learngene-clustering ", env!("CARGO_PKG_VERSION"));
    assert_eq!(condensed(&ancestor, singletons()).manifest().producer, producer);
    assert_eq!(clusters(&ancestor, singletons()).producer.as_deref(), Some(producer));
}

#[test]
fn the_same_ancestor_gives_the_same_bytes() {
    let bytes = || condensed(&ancestor(0), dbscan(10.0, Representative::Mean)).to_bytes();
    assert_eq!(bytes(), bytes());
}
