//! A manifest whose fields contradict each other is refused with the field that is wrong.

mod common;

use common::{tiny_manifest, tiny_swin_manifest};
use learngene_format::{
    Architecture, ClusterAlgorithm, Error, FfnAlgorithm, FfnGroup, Fit, Manifest, NoisePolicy,
    ProjectionFit, Refit, SwinArchitecture, VitArchitecture,
};

/// Changes the small manifest and expects its check to name `place`.
#[track_caller]
fn check(place: &str, change: impl FnOnce(&mut Manifest)) {
    check_change(tiny_manifest(), place, change);
}

/// The same of the small Swin, which has shared feed-forward networks and a refit.
#[track_caller]
fn check_swin(place: &str, change: impl FnOnce(&mut Manifest)) {
    check_change(tiny_swin_manifest(), place, change);
}

#[track_caller]
fn check_change(mut manifest: Manifest, place: &str, change: impl FnOnce(&mut Manifest)) {
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
    match &mut manifest.architecture {
        Architecture::Vit(vit) => vit,
        other => panic!("not a ViT: {other:?}"),
    }
}

fn swin(manifest: &mut Manifest) -> &mut SwinArchitecture {
    match &mut manifest.architecture {
        Architecture::Swin(swin) => swin,
        other => panic!("not a Swin: {other:?}"),
    }
}

fn refit(manifest: &mut Manifest) -> &mut Refit {
    manifest.refit.as_mut().expect("the small Swin has one")
}

fn dbscan(eps: [f64; 2], min_points: usize, noise: NoisePolicy) -> ClusterAlgorithm {
    ClusterAlgorithm::Dbscan { eps: eps.to_vec(), min_points, noise }
}

fn group(layers: &[usize], representative: usize) -> FfnGroup {
    FfnGroup { layers: layers.to_vec(), representative }
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
    check("architecture.num_classes", |m| vit(m).num_classes = usize::MAX);
    check_swin("architecture.embed_dim", |m| swin(m).embed_dim = usize::MAX);
    check_swin("architecture.window_size", |m| swin(m).window_size = usize::MAX);
    check_swin("architecture.num_classes", |m| swin(m).num_classes = usize::MAX);
    check_swin("architecture.depths[1]", |m| swin(m).depths = vec![2, usize::MAX]);
    check_swin("architecture.head_dim[0]", |m| swin(m).head_dim[0] = usize::MAX);
    // The largest that one stage may have, which the second doubles.
    check_swin("architecture.embed_dim", |m| swin(m).embed_dim = 1 << 24);
}

#[test]
fn sizes_of_zero_in_a_swin() {
    check_swin("architecture.image_size", |m| swin(m).image_size = 0);
    check_swin("architecture.patch_size", |m| swin(m).patch_size = 0);
    check_swin("architecture.window_size", |m| swin(m).window_size = 0);
    check_swin("architecture.in_channels", |m| swin(m).in_channels = 0);
    check_swin("architecture.embed_dim", |m| swin(m).embed_dim = 0);
    check_swin("architecture.depths[0]", |m| swin(m).depths = vec![0, 3]);
    check_swin("architecture.num_heads[2]", |m| swin(m).num_heads[2] = 0);
    check_swin("architecture.head_dim[1]", |m| swin(m).head_dim[1] = 0);
    check_swin("architecture.mlp_hidden_dim[0]", |m| swin(m).mlp_hidden_dim[0] = 0);
}

#[test]
fn stages_that_do_not_halve_the_patches() {
    check_swin("architecture.depths", |m| swin(m).depths.clear());
    check_swin("architecture.depths", |m| swin(m).depths = vec![1; 4]);
    check_swin("architecture.depths", |m| swin(m).depths = vec![1; 1000]);
    check_swin("architecture.depths", |m| {
        // Three patches a side.
        swin(m).image_size = 6;
        swin(m).window_size = 3;
    });
}

#[test]
fn windows_that_do_not_fill_a_stage() {
    check_swin("architecture.window_size", |m| swin(m).window_size = 3);
    check_swin("architecture.window_size", |m| {
        // Twelve tokens a side, then six.
        swin(m).image_size = 24;
        swin(m).window_size = 4;
    });
}

#[test]
fn a_stage_of_less_resolution_than_a_window_is_one() {
    let mut manifest = tiny_swin_manifest();
    swin(&mut manifest).window_size = 1000;
    let tensors = manifest.expected_tensors().expect("one window of all tokens in each stage");
    let shapes = [0, 2].map(|layer| &tensors[&format!("layers.{layer}.attn.relative_position")]);
    assert_eq!(shapes, [&[2, 7 * 7], &[2, 3 * 3]]);
}

#[test]
fn lists_of_another_number_of_stages() {
    check_swin("architecture.head_dim", |m| swin(m).head_dim.truncate(1));
    check_swin("architecture.mlp_hidden_dim", |m| swin(m).mlp_hidden_dim.push(3));
    check_swin("architecture.num_heads", |m| swin(m).depths[1] = 2);
    check_swin("architecture.num_heads", |m| swin(m).num_heads.truncate(2));
}

#[test]
fn patches_that_do_not_fill_the_image() {
    check("architecture.image_size", |m| vit(m).image_size = 5);
    check_swin("architecture.image_size", |m| swin(m).image_size = 9);
}

#[test]
fn heads_of_another_number_of_layers() {
    check("architecture.num_heads", |m| vit(m).num_heads.push(2));
}

#[test]
fn epsilon_of_a_norm() {
    for eps in [0.0, -1e-6, f64::NAN, f64::INFINITY] {
        check("architecture.layer_norm_eps", |m| vit(m).layer_norm_eps = eps);
        check_swin("architecture.layer_norm_eps", |m| swin(m).layer_norm_eps = eps);
    }
}

#[test]
fn classifier_without_classes() {
    check("classifier", |m| vit(m).num_classes = 0);
    check_swin("classifier", |m| swin(m).num_classes = 0);
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
        check("clustering.algorithm.eps[1]", |m| {
            m.clustering.algorithm = dbscan([1.0, eps], 1, noise);
        });
    }
    for length in [0, 1, 3] {
        check("clustering.algorithm.eps", |m| {
            let eps = vec![1.0; length];
            m.clustering.algorithm = ClusterAlgorithm::Dbscan { eps, min_points: 1, noise };
        });
    }
    check("clustering.algorithm.min_points", |m| {
        m.clustering.algorithm = dbscan([1.0, 1.0], 0, noise);
    });
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
        m.clustering.algorithm = dbscan([0.25, 0.25], 2, NoisePolicy::Drop);
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
fn radii_of_the_feed_forward_networks() {
    for eps in [-0.125, f64::NAN, f64::INFINITY] {
        check_swin("ffn.algorithm.eps[2]", |m| {
            m.ffn.algorithm = FfnAlgorithm::Contiguous { eps: vec![0.125, 0.125, eps] };
        });
    }
    for length in [0, 2, 4] {
        check_swin("ffn.algorithm.eps", |m| {
            m.ffn.algorithm = FfnAlgorithm::Contiguous { eps: vec![0.125; length] };
        });
    }
    // Layers of one density join at a radius of nothing.
    let mut manifest = tiny_swin_manifest();
    manifest.ffn.algorithm = FfnAlgorithm::Contiguous { eps: vec![0.0; 3] };
    manifest.check().expect("zero is a distance");
}

#[test]
fn groups_that_are_not_all_layers_in_their_order() {
    check("ffn.groups", |m| m.ffn.groups.truncate(1));
    check("ffn.groups", |m| m.ffn.groups.clear());
    check("ffn.groups[0].layers", |m| m.ffn.groups.reverse());
    check("ffn.groups[1].layers", |m| m.ffn.groups[1].layers.clear());
    check_swin("ffn.groups[0].layers", |m| m.ffn.groups[0] = group(&[0, 0], 0));
    check_swin("ffn.groups[0].layers", |m| m.ffn.groups[0] = group(&[1, 0], 0));
    check_swin("ffn.groups[0].layers", |m| m.ffn.groups[0] = group(&[0, usize::MAX], 0));
    check_swin("ffn.groups[1].layers", |m| m.ffn.groups[1] = group(&[2, 3], 2));
    check_swin("ffn.groups[2].layers", |m| m.ffn.groups.push(group(&[3], 3)));
}

#[test]
fn a_group_across_stages() {
    check_swin("ffn.groups[0].layers", |m| m.ffn.groups = vec![group(&[0, 1, 2], 0)]);
    check_swin("ffn.groups[1].layers", |m| m.ffn.groups = vec![group(&[0], 0), group(&[1, 2], 1)]);
}

#[test]
fn a_representative_outside_its_group() {
    check("ffn.groups[0].representative", |m| m.ffn.groups[0].representative = 1);
    check_swin("ffn.groups[0].representative", |m| m.ffn.groups[0].representative = 2);
    check_swin("ffn.groups[1].representative", |m| m.ffn.groups[1].representative = usize::MAX);
}

#[test]
fn several_layers_where_nothing_joins_them() {
    check_swin("ffn.groups[0].layers", |m| m.ffn.algorithm = FfnAlgorithm::None);
}

#[test]
fn refit_without_images_or_with_a_ridge_of_no_size() {
    check_swin("refit.images", |m| refit(m).images = 0);
    for ridge in [-1.0, f64::NAN, f64::INFINITY] {
        check_swin("refit.ridge", |m| refit(m).ridge = ridge);
    }
}

/// Head counts of the fits of one layer, which has two centroids.
#[track_caller]
fn check_fits(heads: &[usize]) {
    check_swin("refit.attention[0]", |m| {
        let fits = &mut refit(m).attention[0];
        let fit = fits[0].fit.clone();
        *fits = heads.iter().map(|&heads| ProjectionFit { heads, fit: fit.clone() }).collect();
    });
}

#[test]
fn fits_of_no_falling_head_counts() {
    check_fits(&[]);
    check_fits(&[1]);
    check_fits(&[3, 2]);
    check_fits(&[1, 2]);
    check_fits(&[2, 2]);
    check_fits(&[2, 0]);
    check_fits(&[2, 1, 1]);
    check_fits(&[usize::MAX, 2, 1]);
}

#[test]
fn fits_of_another_number_of_layers_or_groups() {
    check_swin("refit.attention", |m| refit(m).attention.truncate(2));
    check_swin("refit.ffn", |m| refit(m).ffn.push(None));
}

#[test]
fn fits_where_a_feed_forward_network_has_one_layer_and_none_where_it_has_several() {
    check_swin("refit.ffn[0]", |m| refit(m).ffn[0] = None);
    check_swin("refit.ffn[1]", |m| refit(m).ffn[1] = refit(m).ffn[0].clone());
}

#[test]
fn errors_of_no_size() {
    let parts: [fn(&mut Fit) -> &mut f64; 6] = [
        |fit| &mut fit.before.relative,
        |fit| &mut fit.before.median_channel,
        |fit| &mut fit.before.worst_channel,
        |fit| &mut fit.after.relative,
        |fit| &mut fit.after.median_channel,
        |fit| &mut fit.after.worst_channel,
    ];
    for part in parts {
        for value in [-0.5, f64::NAN, f64::INFINITY] {
            check_swin("refit.attention[0]", |m| {
                *part(&mut refit(m).attention[0][1].fit) = value;
            });
            check_swin("refit.ffn[0]", |m| {
                *part(refit(m).ffn[0].as_mut().expect("its group has two layers")) = value;
            });
        }
    }
}
