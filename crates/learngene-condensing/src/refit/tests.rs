//! Small ancestors, and learngenes of them that are fitted.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor};
use learngene_clustering::FfnParams;
use learngene_format::{
    FfnNorm, Fit,
    RepresentativePolicy::{self, Mean, Nearest},
    Residual, bias_name, first_names, output_projections,
};
use learngene_models::Classifier;
use learngene_shape::{Head, Projection};
use learngene_tensors::Dtype;

use super::{streams::half_layers, *};
use crate::{
    tensor_sources::second_matrix,
    test_ancestor::{
        EMBED_DIM, HEAD_DIM, ancestors, condensed, dbscan, edited, images, shared_ffns, swin,
        values, vit,
    },
    verify,
};

const WAYS: [RefitInputs; 2] = [RefitInputs::Ancestor, RefitInputs::Own];

fn params(inputs: RefitInputs, ridge: f64) -> RefitParams {
    RefitParams { inputs, ridge, target_heads: vec![] }
}

fn images_sha256() -> Sha256 {
    Sha256::of(b"images")
}

fn refitted(ancestor: &Checkpoint, learngene: &Learngene, params: RefitParams) -> Learngene {
    let params = params.check().expect("possible parameters");
    let images = || images(10);
    refit(learngene, ancestor, images, images_sha256(), &params, &Device::flex())
        .expect("good images")
}

/// Every FFN alone.
fn of_heads(ancestor: &Checkpoint, eps: f64, representative: RepresentativePolicy) -> Learngene {
    condensed(ancestor, dbscan(eps, representative), FfnParams::default())
}

/// Pairs of heads together, and all layers of a stage with one FFN.
fn of_ffns(
    ancestor: &Checkpoint,
    representative: RepresentativePolicy,
    norm: FfnNorm,
) -> Learngene {
    let ffn = FfnParams { representative, norm, ..shared_ffns(ancestor) };
    condensed(ancestor, dbscan(10.0, Nearest), ffn)
}

fn record(refitted: &Learngene) -> &Refit {
    refitted.manifest().refit.as_ref().expect("a learngene that was refitted")
}

fn fits(refitted: &Learngene) -> Vec<&Fit> {
    let record = record(refitted);
    let attention = record.attention.iter().flatten().map(|fit| &fit.fit);
    attention.chain(record.ffn.iter().flatten()).collect()
}

/// Names of the second matrix and bias of the first group's FFN.
fn second_names(learngene: &Learngene) -> [String; 2] {
    let manifest = learngene.manifest();
    let second = second_matrix(&manifest.ancestor.shape, manifest.ffn_layer(0));
    [second.name.clone(), bias_name(&second)]
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
fn heads_that_stand_for_themselves_alone_stay_as_they_are() {
    for ancestor in ancestors() {
        let learngene = of_heads(&ancestor, 1e-6, Nearest);
        for inputs in WAYS {
            let refitted = refitted(&ancestor, &learngene, params(inputs, 1e-2));
            assert_eq!(refitted.tensors(), learngene.tensors());
            for fit in fits(&refitted) {
                assert!(fit.before.relative < 1e-10, "{fit:?}");
                assert_eq!(fit.before, fit.after);
            }
            let verification = verify(&refitted, &ancestor).expect("of the same shape");
            assert!(verification.is_verified() && verification.refitted.is_empty());
        }
    }
}

/// Not only left out: the fit itself finds the ancestor's columns.
#[test]
fn the_fit_of_all_heads_is_the_ancestors_projection() {
    let (ancestor, name) = (vit(), "blocks.1.attn.proj.weight");
    let learngene = of_heads(&ancestor, 1e-6, Nearest);
    let shifted = edited(&learngene, name, |columns| {
        columns.values.iter_mut().for_each(|value| *value += 0.125);
    });
    let refitted = refitted(&ancestor, &shifted, params(RefitInputs::Ancestor, 0.0));
    let (got, want) = (values(refitted.tensors(), name), values(learngene.tensors(), name));
    let worst = got.iter().zip(want).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-4, "{worst}");
    let fit = &record(&refitted).attention[1][0].fit;
    assert!(fit.before.relative > 1e-2 && fit.after.relative < 1e-9, "{fit:?}");
}

#[test]
fn a_copy_of_a_head_is_absorbed_exactly() {
    let mut ancestor = vit();
    let layout = ancestor.shape.layer(0).heads;
    for (name, width) in [("blocks.0.attn.qkv.weight", EMBED_DIM), ("blocks.0.attn.qkv.bias", 1)] {
        let mut fused = ancestor.parameters.remove(name).expect("a parameter");
        for projection in Projection::ALL {
            let (from, to) = (layout.rows(projection, Head(0)), layout.rows(projection, Head(2)));
            fused.values.copy_within(from.start * width..from.end * width, to.start * width);
        }
        ancestor.parameters.insert(name, fused);
    }
    let learngene = of_heads(&ancestor, 10.0, Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Ancestor, 0.0));
    let fit = &record(&refitted).attention[0][0].fit;
    assert!(fit.before.relative > 1e-2 && fit.after.worst_channel < 1e-9, "{fit:?}");

    let name = "blocks.0.attn.proj.weight";
    let projection = values(&ancestor.parameters, name);
    let columns = values(refitted.tensors(), name);
    for output in 0..EMBED_DIM {
        for dim in 0..HEAD_DIM {
            let at = |head: usize| projection[output * 4 * HEAD_DIM + head * HEAD_DIM + dim];
            let both = at(0) + at(2);
            let got = columns[output * 3 * HEAD_DIM + dim];
            assert!((got - both).abs() < 1e-4, "output {output}, {dim}: {got}, wanted {both}");
        }
    }
}

#[test]
fn errors_shrink_and_nothing_but_projections_changes() {
    for ancestor in ancestors() {
        let projections = output_projections(&ancestor.shape);
        let fitted: Vec<String> =
            projections.iter().flat_map(|p| [p.name.clone(), bias_name(p)]).collect();
        for representative in [Nearest, Mean] {
            let learngene = of_heads(&ancestor, 10.0, representative);
            for inputs in WAYS {
                for ridge in [0.0, 1e-2] {
                    let refitted = refitted(&ancestor, &learngene, params(inputs, ridge));
                    for fit in fits(&refitted) {
                        check_smaller(&fit.after, &fit.before);
                        assert!(fit.after.relative < fit.before.relative, "{fit:?}");
                    }
                    for (name, tensor) in learngene.tensors().iter() {
                        let is_same = refitted.tensors().get(name) == Some(tensor);
                        assert_eq!(is_same, !fitted.iter().any(|other| other == name), "{name}");
                    }
                }
            }
        }
    }
}

fn ancestors_model(ancestor: &Checkpoint) -> Model {
    Model::load(&ancestor.shape, &ancestor.parameters, &Device::flex()).expect("good parameters")
}

/// Squared difference of tokens after some halves of layers, summed over all images.
fn stream_error(ancestor: &Checkpoint, learngene: &Learngene, halves: usize) -> f64 {
    let own = centroid_model(learngene, &Device::flex()).expect("a learngene");
    let ancestor = ancestors_model(ancestor);
    let of_batch = |images: Tensor<4>| {
        let run = |model: &Model| half_layers(model, model.embed(images.clone()), 0..halves);
        f64::from((run(&own) - run(&ancestor)).powi_scalar(2).sum().into_scalar::<f32>())
    };
    images(10).into_iter().map(|images| of_batch(images.expect("infallible"))).sum()
}

/// Both ways begin with the same layer; of the inputs of the next, `own` makes the best.
#[test]
fn own_inputs_repair_what_came_before() {
    let ancestor = vit();
    let learngene = of_heads(&ancestor, 10.0, Nearest);
    let [on_ancestors, on_own] =
        WAYS.map(|inputs| refitted(&ancestor, &learngene, params(inputs, 0.0)));
    let first = "blocks.0.attn.proj.weight";
    assert_eq!(values(on_ancestors.tensors(), first), values(on_own.tensors(), first));
    let errors =
        [&learngene, &on_ancestors, &on_own].map(|learngene| stream_error(&ancestor, learngene, 3));
    assert!(errors[2] <= errors[1] * (1.0 + 1e-6), "{errors:?}");
    assert!(errors[2] < errors[0], "{errors:?}");
}

#[test]
fn tokens_made_again_give_the_same_bytes() {
    for ancestor in ancestors() {
        let learngene = of_ffns(&ancestor, Nearest, FfnNorm::Representative);
        let params = params(RefitInputs::Own, 1e-2).check().expect("possible parameters");
        let run = |budget: usize| {
            let (images, device) = (|| images(10), Device::flex());
            refit_within(budget, &learngene, &ancestor, images, images_sha256(), &params, &device)
                .expect("good images")
                .to_bytes()
        };
        assert_eq!(run(0), run(BUDGET));
    }
}

#[test]
fn fewer_heads_have_projections_of_their_own() {
    let ancestor = vit();
    let learngene = of_heads(&ancestor, 10.0, Nearest);
    let projections = output_projections(&ancestor.shape);
    for inputs in WAYS {
        let target_heads = vec![1, 5, 2, 1];
        let refitted =
            refitted(&ancestor, &learngene, RefitParams { target_heads, ..params(inputs, 0.0) });
        let fits = &record(&refitted).attention;
        let heads: Vec<Vec<usize>> =
            fits.iter().map(|fits| fits.iter().map(|fit| fit.heads).collect()).collect();
        assert_eq!(heads, [vec![3, 2, 1], vec![2, 1], vec![3, 2, 1]]);
        for pair in fits.iter().flat_map(|fits| fits.windows(2)) {
            assert!(pair[0].fit.after.relative <= pair[1].fit.after.relative, "{pair:?}");
        }
        let first = |layer: usize, heads| {
            let [weight, _] = first_names(&projections[layer], heads);
            refitted.tensors().get(&weight).map(|tensor| tensor.shape.clone())
        };
        assert_eq!(first(0, 2), Some(vec![EMBED_DIM, 2 * HEAD_DIM]));
        assert_eq!(first(1, 1), Some(vec![EMBED_DIM, HEAD_DIM]));
        assert_eq!(first(1, 2), None);
    }
}

#[test]
fn a_shared_ffn_is_fitted_to_all_its_layers() {
    for ancestor in ancestors() {
        for representative in [Nearest, Mean] {
            for norm in [FfnNorm::Representative, FfnNorm::Own] {
                let learngene = of_ffns(&ancestor, representative, norm);
                for inputs in WAYS {
                    let refitted = refitted(&ancestor, &learngene, params(inputs, 0.0));
                    for fit in record(&refitted).ffn.iter().flatten() {
                        check_smaller(&fit.after, &fit.before);
                        assert!(fit.after.relative < 0.9 * fit.before.relative, "{fit:?}");
                    }
                    let changed = |name: &str| {
                        values(refitted.tensors(), name) != values(learngene.tensors(), name)
                    };
                    let [weight, bias] = second_names(&learngene);
                    assert!(changed(&weight) && changed(&bias));
                    assert!(!changed(&weight.replace("fc2", "fc1")));
                    assert!(!changed(&weight.replace("mlp.fc2", "norm2")));
                }
            }
        }
    }
}

/// Squared difference of FFNs on the ancestor's tokens, over all layers.
fn ffn_error(ancestor: &Checkpoint, learngene: &Learngene) -> f64 {
    let own = centroid_model(learngene, &Device::flex()).expect("a learngene");
    let of_ancestor = ancestors_model(ancestor);
    let mut error = 0.0;
    for images in images(10) {
        let tokens = of_ancestor.embed(images.expect("infallible"));
        for layer in 0..ancestor.shape.depth() {
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
    let learngene = of_ffns(&ancestor, Nearest, FfnNorm::Own);
    let best = refitted(&ancestor, &learngene, params(RefitInputs::Ancestor, 0.0));
    let least = ffn_error(&ancestor, &best);
    assert!(least < ffn_error(&ancestor, &learngene));
    let [weight, bias] = second_names(&learngene);
    for (name, at) in [(&weight, 3), (&weight, 400), (&bias, 9)] {
        for change in [-0.05, 0.05] {
            let other = edited(&best, name, |tensor| tensor.values[at] += change);
            assert!(ffn_error(&ancestor, &other) > least, "{name} {at} {change}");
        }
    }
}

#[test]
fn the_file_tells_of_the_fit_in_its_own_numbers() {
    let ancestor = Checkpoint { dtype: Dtype::F16, ..vit() };
    let learngene = of_heads(&ancestor, 10.0, Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Own, 0.5));
    for fit in fits(&refitted) {
        check_smaller(&fit.after, &fit.before);
    }
    let record = record(&refitted);
    assert_eq!((record.inputs, record.ridge, record.images), (RefitInputs::Own, 0.5, 10));
    assert_eq!(record.images_sha256, images_sha256());
    assert_eq!(record.ffn, [None, None, None]);
    let bytes = refitted.to_bytes();
    assert_eq!(Learngene::from_bytes(&bytes).expect("a valid file"), refitted);
}

#[test]
fn refitted_tensors_are_reported_and_the_rest_is_verified() {
    for ancestor in ancestors() {
        let learngene = of_ffns(&ancestor, Mean, FfnNorm::Representative);
        let params = RefitParams { target_heads: vec![1], ..params(RefitInputs::Own, 1e-2) };
        let learngene = refitted(&ancestor, &learngene, params);
        let verification = verify(&learngene, &ancestor).expect("of the same shape");
        assert!(verification.is_verified(), "{verification:?}");
        let projection = &output_projections(&ancestor.shape)[0];
        let [second, second_bias] = second_names(&learngene);
        let [first, _] = first_names(projection, 1);
        for name in [&second, &second_bias, &projection.name, &bias_name(projection), &first] {
            assert!(verification.refitted.contains(name), "{name}");
        }
        let fc1 = second.replace("fc2", "fc1");
        assert!(verification.shared.contains(&fc1));

        let qkv = projection.name.replace("proj", "qkv");
        let forged = edited(&learngene, &qkv, |tensor| tensor.values[0] += 0.5);
        assert!(!verify(&forged, &ancestor).expect("of the same shape").is_verified());
        let forged = edited(&learngene, &fc1, |tensor| tensor.values[0] += 0.5);
        let verification = verify(&forged, &ancestor).expect("of the same shape");
        assert_eq!(verification.differing, [fc1]);
    }
}

#[test]
fn images_that_are_no_numbers_are_refused() {
    let (ancestor, device) = (vit(), Device::flex());
    let learngene = of_heads(&ancestor, 10.0, Nearest);
    for inputs in WAYS {
        let params = params(inputs, 0.0).check().expect("possible parameters");
        let images = || [Ok::<_, Infallible>(Tensor::full([2, 3, 16, 16], f32::NAN, &device))];
        let refused =
            refit_within(0, &learngene, &ancestor, images, images_sha256(), &params, &device);
        let message = refused.expect_err("NaN").to_string();
        assert!(message.starts_with("tokens that layer 0 makes of the images:"), "{message}");
    }
}

#[test]
fn learngenes_that_cannot_be_refitted_are_refused() {
    let ancestor = vit();
    let learngene = of_heads(&ancestor, 10.0, Nearest);
    let params = || params(RefitInputs::Ancestor, 0.0);
    let refused = |learngene: &Learngene, ancestor: &Checkpoint| {
        let (images, checked) = (|| images(4), params().check().expect("possible parameters"));
        refit(learngene, ancestor, images, images_sha256(), &checked, &Device::flex())
            .expect_err("refused")
            .to_string()
    };
    let twice = refitted(&ancestor, &learngene, params());
    let message = refused(&twice, &ancestor);
    assert_eq!(message, "learngene: found one that is refitted, expected one as condensed");
    let message = refused(&learngene, &swin());
    assert!(message.starts_with("hash of the checkpoint: found"), "{message}");
    let mut lacking = ancestor;
    lacking.parameters.remove("norm.bias");
    assert!(refused(&learngene, &lacking).contains("missing: norm.bias"));
}
