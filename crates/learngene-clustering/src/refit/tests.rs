use std::{cell::Cell, convert::Infallible, io};

use burn::tensor::{Device, Tensor, TensorData};
use learngene_format::{Fit, Refit, RefitInputs, Residual};
use learngene_models::{
    Classifier, Head, HeadLayout, Model, ModelConfig, Projection, SwinConfig, VitConfig,
    checkpoint::{Checkpoint, Dtype},
};

use super::{streams::half_layers, *};
use crate::{
    FfnNorm, FfnParams, HeadClusters, Representative,
    test_ancestor::{clusters, clusters_with_ffns, condensed_as, dbscan, scattered},
    verify,
};

const WAYS: [RefitInputs; 2] = [RefitInputs::Ancestor, RefitInputs::Own];
const SIDE: usize = 16;
const SHA256: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Of the first layer heads 0 and 2 are one cluster, of the second heads 0 and 1.
fn vit() -> Checkpoint {
    let config = VitConfig::new(24, vec![4, 3], 6, 20).with_image_size(SIDE).with_patch_size(4);
    scattered(config.with_num_classes(3).into(), 7)
}

/// Of the first layer heads 0 and 2 are one cluster, of all others heads 0 and 1.
fn swin() -> Checkpoint {
    let config = SwinConfig::new(12, vec![vec![3, 2], vec![2, 4]], vec![6, 6], vec![16, 20])
        .with_window_size(2)
        .with_image_size(SIDE)
        .with_patch_size(2)
        .with_num_classes(3);
    scattered(config.into(), 8)
}

fn ancestors() -> [Checkpoint; 2] {
    [vit(), swin()]
}

/// Pixels without pattern, from -1 to 1, in batches of four images.
fn images(count: usize) -> Vec<Result<Tensor<4>, Infallible>> {
    let mut state = 5_u64;
    let mut pixel = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) % 2047) as f32 / 1023.0 - 1.0
    };
    let values: Vec<f32> = (0..count * 3 * SIDE * SIDE).map(|_| pixel()).collect();
    let batches = values.chunks(4 * 3 * SIDE * SIDE).map(|pixels| {
        let batch = pixels.len() / (3 * SIDE * SIDE);
        let data = TensorData::new(pixels.to_vec(), [batch, 3, SIDE, SIDE]);
        Ok(Tensor::from_data(data, &Device::flex()))
    });
    batches.collect()
}

fn params(inputs: RefitInputs, ridge: f64) -> RefitParams {
    RefitParams { inputs, ridge, target_heads: vec![] }
}

fn refitted(ancestor: &Checkpoint, learngene: &Learngene, params: RefitParams) -> Refitted {
    let params = params.check().expect("possible parameters");
    let images = || images(10);
    refit(learngene, ancestor, images, SHA256, &params, &Device::flex()).expect("good images")
}

fn condensed(ancestor: &Checkpoint, eps: f64, representative: Representative) -> Learngene {
    condensed_as(ancestor, &clusters(ancestor, dbscan(eps, representative)))
}

fn record(refitted: &Refitted) -> &Refit {
    refitted.learngene.manifest().refit.as_ref().expect("a learngene that was refitted")
}

fn fits(refitted: &Refitted) -> Vec<&Fit> {
    let record = record(refitted);
    let attention = record.attention.iter().flatten().map(|fit| &fit.fit);
    attention.chain(record.ffn.iter().flatten()).collect()
}

fn values(learngene: &Learngene, name: &str) -> Vec<f32> {
    learngene.tensor(name).unwrap_or_else(|| panic!("no tensor {name}")).to_f32()
}

fn edited(learngene: &Learngene, name: &str, edit: impl FnOnce(&mut [f32])) -> Learngene {
    let (manifest, mut tensors) = learngene.clone().into_parts();
    let tensor = &tensors[name];
    let mut values = tensor.to_f32();
    edit(&mut values);
    let tensor = format::Tensor::from_f32(tensor.dtype(), tensor.shape().to_vec(), &values);
    tensors.insert(name.to_owned(), tensor.expect("as many values"));
    Learngene::new(manifest, tensors).expect("a valid learngene")
}

#[test]
fn heads_that_stand_for_themselves_alone_stay_as_they_are() {
    for ancestor in ancestors() {
        let learngene = condensed(&ancestor, 1e-6, Representative::Nearest);
        for inputs in WAYS {
            let refitted = refitted(&ancestor, &learngene, params(inputs, 1e-2));
            assert_eq!(refitted.learngene.tensors(), learngene.tensors());
            for fit in fits(&refitted) {
                assert!(fit.before.relative < 1e-10, "{fit:?}");
                assert_eq!(fit.before, fit.after);
            }
        }
    }
}

/// Not only left out: the fit itself finds the ancestor's columns.
#[test]
fn the_fit_of_all_heads_is_the_ancestors_projection() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 1e-6, Representative::Nearest);
    let shifted = edited(&learngene, "layers.1.attn.proj.weight", |columns| {
        columns.iter_mut().for_each(|value| *value += 0.125);
    });
    let refitted = refitted(&ancestor, &shifted, params(RefitInputs::Ancestor, 0.0));
    let (got, want) = ("layers.1.attn.proj.weight", learngene);
    let pairs = values(&refitted.learngene, got).into_iter().zip(values(&want, got));
    let worst = pairs.fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-4, "{worst}");
    let fit = &record(&refitted).attention[1][0].fit;
    assert!(fit.before.relative > 1e-2 && fit.after.relative < 1e-9, "{fit:?}");
}

#[test]
fn a_copy_of_a_head_is_absorbed_exactly() {
    let mut ancestor = vit();
    let layout = HeadLayout { num_heads: 4, head_dim: 6 };
    for (name, width) in [("blocks.0.attn.qkv.weight", 24), ("blocks.0.attn.qkv.bias", 1)] {
        let mut fused = ancestor.parameters.get(name).expect("a parameter").clone();
        for projection in Projection::ALL {
            let (from, to) = (layout.rows(projection, Head(0)), layout.rows(projection, Head(2)));
            fused.values.copy_within(from.start * width..from.end * width, to.start * width);
        }
        ancestor.parameters.insert(name, fused);
    }
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Ancestor, 0.0));
    let fit = &record(&refitted).attention[0][0].fit;
    assert!(fit.before.relative > 1e-2 && fit.after.worst_channel < 1e-9, "{fit:?}");

    let projection = ancestor.parameters.get("blocks.0.attn.proj.weight").expect("a parameter");
    let columns = values(&refitted.learngene, "layers.0.attn.proj.weight");
    for output in 0..24 {
        for dim in 0..6 {
            let at = |head: usize| projection.values[output * 24 + head * 6 + dim];
            let both = at(0) + at(2);
            let got = columns[output * 6 + dim];
            assert!((got - both).abs() < 1e-4, "output {output}, {dim}: {got}, wanted {both}");
        }
    }
}

fn check_smaller(after: &Residual, before: &Residual) {
    for (after, before) in [
        (after.relative, before.relative),
        (after.median_channel, before.median_channel),
        (after.worst_channel, before.worst_channel),
    ] {
        assert!(after <= before * (1.0 + 1e-9), "{after} after, {before} before");
    }
}

#[test]
fn errors_never_grow() {
    for ancestor in ancestors() {
        for representative in [Representative::Nearest, Representative::Mean] {
            let learngene = condensed(&ancestor, 10.0, representative);
            for inputs in WAYS {
                for ridge in [0.0, 1e-2] {
                    let refitted = refitted(&ancestor, &learngene, params(inputs, ridge));
                    for fit in fits(&refitted) {
                        check_smaller(&fit.after, &fit.before);
                        assert!(fit.after.relative < fit.before.relative, "{fit:?}");
                    }
                    assert_eq!(refitted.rescaled.len(), ancestor.config.depth());
                }
            }
        }
    }
}

#[test]
fn what_is_not_fitted_stays() {
    for ancestor in ancestors() {
        let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
        let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Own, 1e-2)).learngene;
        for (name, tensor) in learngene.tensors() {
            let is_fitted = name.contains("attn.proj") && !name.ends_with("origin");
            assert_eq!(refitted.tensors()[name] != *tensor, is_fitted, "{name}");
        }
    }
}

fn model(learngene: &Learngene, config: &ModelConfig) -> Model {
    centroid_model(learngene, config, &Device::flex()).expect("a learngene of this shape")
}

/// Squared difference of tokens after some halves of layers, summed over all images.
fn stream_error(ancestor: &Checkpoint, learngene: &Learngene, halves: usize) -> f64 {
    let own = model(learngene, &ancestor.config);
    let ancestor = ancestor.load(&Device::flex()).expect("good parameters");
    let of_batch = |images: Tensor<4>| {
        let run = |model: &Model| half_layers(model, model.embed(images.clone()), 0..halves);
        f64::from((run(&own) - run(&ancestor)).powi_scalar(2).sum().into_scalar::<f32>())
    };
    images(10).into_iter().map(|images| of_batch(images.expect("infallible"))).sum()
}

/// Both ways begin with the same layer; of the last layer's inputs, `own` makes the best.
#[test]
fn own_inputs_repair_what_came_before() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let [on_ancestors, on_own] =
        WAYS.map(|inputs| refitted(&ancestor, &learngene, params(inputs, 0.0)).learngene);
    let first = "layers.0.attn.proj.weight";
    assert_eq!(on_ancestors.tensor(first), on_own.tensor(first));
    let error = |learngene| stream_error(&ancestor, learngene, 3);
    let errors = [&learngene, &on_ancestors, &on_own].map(error);
    assert!(errors[2] <= errors[1] * (1.0 + 1e-6), "{errors:?}");
    assert!(errors[2] < errors[0], "{errors:?}");
}

#[test]
fn tokens_made_again_give_the_same_bytes() {
    for ancestor in ancestors() {
        let last = ancestor.config.depth() - 1;
        let given = FfnParams::given(vec![vec![last - 1, last]]);
        let learngene = condensed_as(&ancestor, &clusters_with_ffns(&ancestor, given));
        let params = params(RefitInputs::Own, 1e-2).check().expect("possible parameters");
        let run = |budget: usize| {
            let images = || images(10);
            let device = Device::flex();
            refit_within(budget, &learngene, &ancestor, images, SHA256, &params, &device)
                .expect("good images")
                .learngene
                .to_bytes()
        };
        assert_eq!(run(0), run(BUDGET));
    }
}

#[test]
fn fewer_heads_have_projections_of_their_own() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    for inputs in WAYS {
        let target_heads = vec![1, 5, 2, 1];
        let params = RefitParams { target_heads, ..params(inputs, 0.0) };
        let refitted = refitted(&ancestor, &learngene, params);
        let fits = &record(&refitted).attention;
        let heads: Vec<Vec<usize>> =
            fits.iter().map(|fits| fits.iter().map(|fit| fit.heads).collect()).collect();
        assert_eq!(heads, [vec![3, 2, 1], vec![2, 1]]);
        for fits in fits {
            for pair in fits.windows(2) {
                assert!(pair[0].fit.after.relative <= pair[1].fit.after.relative, "{pair:?}");
            }
        }
        let first = refitted.learngene.tensor("layers.0.attn.proj.first.2.weight");
        assert_eq!(first.expect("two of three heads").shape(), [2, 24, 6]);
        assert!(refitted.learngene.tensor("layers.0.attn.proj.first.1.bias").is_some());
        assert!(refitted.learngene.tensor("layers.1.attn.proj.first.2.weight").is_none());
    }
}

/// Clusters of heads at 10 px, and all layers of a stage with one feed-forward network.
fn with_shared_ffns(
    ancestor: &Checkpoint,
    representative: Representative,
    norm: FfnNorm,
) -> HeadClusters {
    let stages = ancestor.config.stages();
    let given = FfnParams::given(stages.into_iter().map(Iterator::collect).collect());
    clusters_with_ffns(ancestor, FfnParams { representative, norm, ..given })
}

#[test]
fn a_shared_feed_forward_network_is_fitted_to_all_its_layers() {
    for ancestor in ancestors() {
        for representative in [Representative::Nearest, Representative::Mean] {
            for norm in [FfnNorm::Representative, FfnNorm::Own] {
                let clusters = with_shared_ffns(&ancestor, representative, norm);
                let learngene = condensed_as(&ancestor, &clusters);
                for inputs in WAYS {
                    let refitted = refitted(&ancestor, &learngene, params(inputs, 0.0));
                    for fit in record(&refitted).ffn.iter().flatten() {
                        check_smaller(&fit.after, &fit.before);
                        assert!(fit.after.relative < 0.9 * fit.before.relative, "{fit:?}");
                    }
                    let changed =
                        |name: &str| values(&refitted.learngene, name) != values(&learngene, name);
                    assert!(changed("ffn.0.fc2.weight") && changed("ffn.0.fc2.bias"));
                    assert!(!changed("ffn.0.fc1.weight") && !changed("layers.1.norm2.weight"));
                }
            }
        }
    }
}

/// Squared difference of feed-forward networks on the ancestor's tokens, over all layers.
fn ffn_error(ancestor: &Checkpoint, learngene: &Learngene) -> f64 {
    let own = model(learngene, &ancestor.config);
    let of_ancestor = ancestor.load(&Device::flex()).expect("good parameters");
    let mut error = 0.0;
    for images in images(10) {
        let tokens = of_ancestor.embed(images.expect("infallible"));
        for layer in 0..ancestor.config.depth() {
            let tokens = half_layers(&of_ancestor, tokens.clone(), 0..2 * layer + 1);
            let wanted = of_ancestor.feed_forward(layer, tokens.clone());
            let rest = own.feed_forward(layer, tokens) - wanted;
            error += f64::from(rest.powi_scalar(2).sum().into_scalar::<f32>());
        }
    }
    error
}

#[test]
fn no_other_matrix_serves_the_layers_of_a_group_better() {
    let ancestor = vit();
    let clusters = with_shared_ffns(&ancestor, Representative::Nearest, FfnNorm::Own);
    let learngene = condensed_as(&ancestor, &clusters);
    let best = refitted(&ancestor, &learngene, params(RefitInputs::Ancestor, 0.0)).learngene;
    let least = ffn_error(&ancestor, &best);
    assert!(least < ffn_error(&ancestor, &learngene));
    for (name, at) in [("ffn.0.fc2.weight", 3), ("ffn.0.fc2.weight", 400), ("ffn.0.fc2.bias", 9)] {
        for change in [-0.05, 0.05] {
            let other = edited(&best, name, |values| values[at] += change);
            assert!(ffn_error(&ancestor, &other) > least, "{name} {at} {change}");
        }
    }
}

#[test]
fn numbers_are_those_that_the_file_holds() {
    let mut ancestor = vit();
    ancestor.dtype = Dtype::F16;
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Own, 1e-2));
    assert!(refitted.learngene.tensors().values().all(|t| t.dtype() == format::Dtype::F16));
    for fit in fits(&refitted) {
        check_smaller(&fit.after, &fit.before);
    }
}

#[test]
fn the_manifest_tells_of_the_fit() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Own, 0.5));
    let record = record(&refitted);
    assert_eq!((record.inputs, record.ridge, record.images), (RefitInputs::Own, 0.5, 10));
    assert_eq!(record.images_sha256.to_string(), SHA256);
    assert_eq!(record.ffn, [None, None]);
    let bytes = refitted.learngene.to_bytes();
    assert_eq!(Learngene::from_bytes(&bytes).expect("a valid file"), refitted.learngene);
}

#[test]
fn refitted_tensors_are_reported_and_the_rest_is_verified() {
    for ancestor in ancestors() {
        let clusters = with_shared_ffns(&ancestor, Representative::Mean, FfnNorm::Representative);
        let learngene = condensed_as(&ancestor, &clusters);
        let params = RefitParams { target_heads: vec![1], ..params(RefitInputs::Own, 1e-2) };
        let learngene = refitted(&ancestor, &learngene, params).learngene;
        let verification = verify(&learngene, &ancestor).expect("of the same shape");
        assert!(verification.is_verified(), "{verification:?}");
        for name in [
            "ffn.0.fc2.weight",
            "ffn.0.fc2.bias",
            "layers.0.attn.proj.weight",
            "layers.0.attn.proj.bias",
            "layers.0.attn.proj.first.1.weight",
        ] {
            assert!(verification.refitted.iter().any(|refitted| refitted == name), "{name}");
        }
        assert!(verification.shared.iter().any(|name| name == "ffn.0.fc1.weight"));

        let forged = edited(&learngene, "layers.0.attn.v.bias", |values| values[0] += 0.5);
        assert!(!verify(&forged, &ancestor).expect("of the same shape").is_verified());
        let forged = edited(&learngene, "ffn.0.fc1.bias", |values| values[0] += 0.5);
        let verification = verify(&forged, &ancestor).expect("of the same shape");
        assert_eq!(verification.differing, ["ffn.0.fc1.bias"]);
    }
}

#[test]
fn columns_that_were_not_changed_are_still_verified() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 1e-6, Representative::Nearest);
    let learngene = refitted(&ancestor, &learngene, params(RefitInputs::Own, 1e-2)).learngene;
    let verification = verify(&learngene, &ancestor).expect("of the same shape");
    assert!(verification.is_verified() && verification.refitted.is_empty());
    assert!(verification.heads.iter().all(|head| head.parts.len() == 7));
}

fn refusal<I, E>(inputs: RefitInputs, images: impl Fn() -> I) -> String
where
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError + Send + Sync + 'static,
{
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let params = params(inputs, 0.0).check().expect("possible parameters");
    let device = Device::flex();
    let refused = refit_within(0, &learngene, &ancestor, images, SHA256, &params, &device);
    refused.expect_err("images that must be refused").to_string()
}

#[test]
fn images_that_cannot_be_had_are_refused() {
    for inputs in WAYS {
        let nothing = refusal(inputs, || images(0));
        assert_eq!(nothing, "there must be at least one image to look at, got none");
        let broken = refusal(inputs, || [Err(io::Error::other("torn"))]);
        assert_eq!(broken, "the probe images cannot be read");
        let blank = refusal(inputs, || {
            [Ok::<_, Infallible>(Tensor::ones([2, 3, SIDE, SIDE], &Device::flex()))]
        });
        assert!(blank.starts_with("the 2 probe images are nearly blank"), "{blank}");
    }
}

#[test]
fn images_that_are_no_numbers_are_refused() {
    for inputs in WAYS {
        let message = refusal(inputs, || {
            [Ok::<_, Infallible>(Tensor::full([2, 3, SIDE, SIDE], f32::NAN, &Device::flex()))]
        });
        assert_eq!(message, "layer 0 makes tokens that are not finite of the images");
    }
}

#[test]
fn other_images_the_next_time_are_refused() {
    let calls = Cell::new(0);
    let message = refusal(RefitInputs::Own, || {
        calls.set(calls.get() + 1);
        images(10 - calls.get())
    });
    assert_eq!(
        message,
        "the images were 9 the first time, but are 8 now; they must be the same ones"
    );
}

fn refused(
    edit: impl FnOnce(&mut Checkpoint, &mut Learngene),
    images_sha256: &str,
) -> ClusteringError {
    let mut ancestor = vit();
    let mut learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    edit(&mut ancestor, &mut learngene);
    let params = params(RefitInputs::Ancestor, 0.0).check().expect("possible parameters");
    let images = || images(4);
    refit(&learngene, &ancestor, images, images_sha256, &params, &Device::flex())
        .expect_err("must be refused")
}

#[test]
fn learngenes_that_cannot_be_refitted_are_refused() {
    let twice = refused(
        |ancestor, learngene| {
            *learngene = refitted(ancestor, learngene, params(RefitInputs::Own, 0.0)).learngene;
        },
        SHA256,
    );
    assert!(matches!(twice, ClusteringError::AlreadyRefitted), "{twice}");
    let other = refused(|ancestor, _| ancestor.sha256 = "e".repeat(64), SHA256);
    assert!(matches!(other, ClusteringError::Mismatch { what: "ancestor hash", .. }), "{other}");
    let lacking = refused(
        |ancestor, _| {
            ancestor.parameters.remove("norm.bias");
        },
        SHA256,
    );
    assert!(matches!(lacking, ClusteringError::Parameters(_)), "{lacking}");
    let unhashed = refused(|_, _| {}, "abc");
    assert!(matches!(unhashed, ClusteringError::Hash { .. }), "{unhashed}");
}
