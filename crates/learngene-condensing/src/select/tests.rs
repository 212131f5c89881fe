//! Small ancestors condensed to a size.

use burn::tensor::{Device, Tensor};
use learngene_budget::choose;
use learngene_checkpoints::Checkpoint;
use learngene_clustering::FfnParams;
use learngene_expansion::{DescendantConfig, expand};
use learngene_format::{Fit, Store, is_nested};
use learngene_models::{Classifier, Model};
use learngene_shape::Shape;
use learngene_tensors::Sha256;

use super::*;
use crate::{
    measure, refit,
    test_ancestor::{all_ancestors, ancestors, condensed, dbscan, images, running, settings, vit},
    verify,
};

const IMAGES: usize = 40;

fn shown() -> Images<'static> {
    Images::new(|| images(IMAGES))
}

fn worth(ancestor: &Checkpoint, heads_by: HeadOrder) -> Worth {
    let settings = settings(&ancestor.shape, ancestor.sha256);
    let worth = measure(&running(ancestor), settings, heads_by, &mut shown());
    worth.expect("good images")
}

fn condensed_to(ancestor: &Checkpoint, worth: &Worth, sizes: &[LayerSizes]) -> Learngene {
    let options = FitOptions { ridge: 1e-6, ..FitOptions::default() };
    let learngene = condense_to(running(ancestor), worth, sizes, &mut shown(), options);
    learngene.expect("good images")
}

fn fits(learngene: &Learngene) -> Vec<&Fit> {
    let refit = learngene.manifest().refit.as_ref().expect("it was fitted");
    refit.layers.iter().flat_map(|layer| [&layer.attention, &layer.ffn]).collect()
}

/// Features of the images by a learngene's own model.
fn features(learngene: &Learngene) -> Tensor<2> {
    let config = DescendantConfig { num_classes: Some(0), ..DescendantConfig::default() };
    let descendant = expand(learngene, &config).expect("as it is");
    let model = Model::load(&descendant.shape, &descendant.parameters, &Device::flex());
    let images = images(8).into_iter().map(|batch| batch.expect("infallible")).collect();
    model.expect("its own parameters").features(Tensor::cat(images, 0))
}

/// Whatever is kept in another order, values are the ancestor's to the bit.
#[test]
fn keeping_all_is_the_identity() {
    for ancestor in all_ancestors() {
        let worth = worth(&ancestor, HeadOrder::Output);
        let learngene = condensed_to(&ancestor, &worth, &ancestor.shape.layer_sizes());
        for fit in fits(&learngene) {
            assert_eq!(fit.before, fit.after);
            // Sums in f32 of numbers far from 0.
            assert!(fit.before.relative < 1e-3, "{fit:?}");
        }
        for parameter in learngene.manifest().shape.parameters() {
            let Some(kept) = learngene.tensors().get(&parameter.name) else { continue };
            let sorted = |tensor: &learngene_tensors::Tensor| {
                let mut values = tensor.values.clone();
                values.sort_by(f32::total_cmp);
                values
            };
            let whole = ancestor.parameters.get(&parameter.name).expect("an ancestor's name");
            assert_eq!(sorted(kept), sorted(whole), "{}", parameter.name);
        }
        let verification = verify(&learngene, &ancestor).expect("of the same shape");
        assert!(verification.is_verified(), "{verification:?}");
        let model = Model::load(&ancestor.shape, &ancestor.parameters, &Device::flex());
        let images = images(8).into_iter().map(|batch| batch.expect("infallible")).collect();
        let expected = model.expect("good parameters").features(Tensor::cat(images, 0));
        let worst = (features(&learngene) - expected).abs().max().into_scalar::<f32>();
        assert!(worst < 1e-4, "{worst}");
    }
}

#[test]
fn smaller_learngenes_are_fitted_and_stay_the_ancestors_parts() {
    for heads_by in [HeadOrder::Output, HeadOrder::Density] {
        for ancestor in all_ancestors() {
            let worth = worth(&ancestor, heads_by);
            let half = ancestor.shape.layer_sizes().into_iter().map(|sizes| LayerSizes {
                num_heads: sizes.num_heads.div_ceil(2),
                hidden_dim: sizes.hidden_dim / 2,
            });
            let half: Vec<LayerSizes> = half.collect();
            let learngene = condensed_to(&ancestor, &worth, &half);
            assert_eq!(learngene.manifest().shape.layer_sizes(), half);
            for fit in fits(&learngene) {
                assert!(fit.after.relative < 0.999 * fit.before.relative, "{fit:?}");
            }
            let verification = verify(&learngene, &ancestor).expect("of the same shape");
            assert!(verification.is_verified(), "{verification:?}");
            let names = learngene.manifest().shape.parameters().into_iter().filter(is_nested);
            for weight in names {
                assert!(verification.refitted.contains(&weight.name), "{}", weight.name);
            }
        }
    }
}

/// In the first layer the inputs are the ancestor's, whatever is kept.
#[test]
fn matrices_for_fewer_inputs_are_those_that_would_be_fitted() {
    for ancestor in all_ancestors() {
        let worth = worth(&ancestor, HeadOrder::Output);
        let all = ancestor.shape.layer_sizes();
        let mut fewer = all.clone();
        fewer[0] =
            LayerSizes { num_heads: all[0].num_heads - 1, hidden_dim: all[0].hidden_dim / 2 };
        let direct = condensed_to(&ancestor, &worth, &fewer);
        let mut held = all.clone();
        held[0].num_heads = fewer[0].num_heads;
        let held = condensed_to(&ancestor, &worth, &held);
        let config = DescendantConfig {
            hidden_dim: Some(fewer.iter().map(|sizes| sizes.hidden_dim).collect()),
            num_classes: Some(0),
            ..DescendantConfig::default()
        };
        let derived = expand(&held, &config).expect("fewer hidden units");
        for parameter in direct.manifest().shape.layer_parameters(0) {
            let got = derived.parameters.get(&parameter.name).expect("of the same shape");
            let expected = direct.tensors().get(&parameter.name).expect("its own");
            let largest = expected.values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            for (got, expected) in got.values.iter().zip(&expected.values) {
                let name = &parameter.name;
                assert!((got - expected).abs() < 1e-2 * largest, "{name}: {got}, {expected}");
            }
        }
    }
}

#[test]
fn files_are_no_larger_than_asked() {
    for ancestor in all_ancestors() {
        let worth = worth(&ancestor, HeadOrder::Output);
        let within = |bytes, options| worth.within(&ancestor, bytes, options);
        for (any_size, store) in
            [(true, None), (false, None), (true, Some(Store::Int8)), (false, Some(Store::Int4))]
        {
            let options = FitOptions { any_size, store, ..FitOptions::default() };
            let refused = within(1000, options).expect_err("too small").to_string();
            let message = "largest size: found 1000 bytes, expected at least ";
            assert!(refused.starts_with(message), "{refused}");
            let least: u64 = refused[message.len()..]
                .split(' ')
                .next()
                .expect("a number")
                .parse()
                .expect("a number");
            for bytes in [least, least + 4000, 1 << 30] {
                let sizes = within(bytes, options).expect("large enough");
                let ancestor = running(&ancestor);
                let learngene = condense_to(ancestor, &worth, &sizes, &mut shown(), options);
                let length = learngene.expect("good images").to_bytes().len() as u64;
                assert!(length <= bytes, "{length} of {bytes}");
            }
            let all = within(1 << 30, options).expect("large enough");
            assert_eq!(all, ancestor.shape.layer_sizes());
        }
    }
}

#[test]
fn curves_end_at_nothing_and_choose_what_loses_least() {
    for ancestor in all_ancestors() {
        let Worth { curves, .. } = worth(&ancestor, HeadOrder::Output);
        assert_eq!(curves.depth.last(), Some(&Some(0.0)));
        for layer in &curves.layers {
            for points in [&layer.heads, &layer.neurons] {
                assert!(points.is_sorted_by(|one, next| one.error >= next.error));
                assert_eq!(points.last().map(|point| point.error), Some(0.0));
            }
        }
        let whole = ancestor.shape.count_parameters();
        let choice = choose(&ancestor.shape, &curves, whole, &Shape::count_parameters);
        assert_eq!(choice.expect("all").sizes, ancestor.shape.layer_sizes());
    }
}

#[test]
fn heads_of_clusters_are_fitted_too() {
    for ancestor in ancestors() {
        let nearest = dbscan(10.0, RepresentativePolicy::Nearest);
        let learngene = condensed(&ancestor, nearest, FfnParams::default());
        let options = FitOptions { any_size: false, ..FitOptions::default() };
        let refitted = |learngene: Learngene| {
            let sha256 = Sha256::of(b"images");
            refit(learngene, running(&ancestor), &mut shown(), sha256, options)
        };
        let fitted = refitted(learngene.clone()).expect("good images");
        assert!(fits(&fitted).iter().any(|fit| fit.after.relative < fit.before.relative));
        assert_eq!(fitted.manifest().shape, learngene.manifest().shape);
        assert!(verify(&fitted, &ancestor).expect("of the same shape").is_verified());
        let again = refitted(fitted).expect_err("fitted already").to_string();
        let message = "learngene: found one that is refitted, expected one as condensed";
        assert_eq!(again, message);
    }
    let ancestor = vit();
    let nearest = dbscan(10.0, RepresentativePolicy::Nearest);
    let shared = crate::test_ancestor::shared_ffns(&ancestor);
    let learngene = condensed(&ancestor, nearest, shared);
    let refused = refit(
        learngene,
        running(&ancestor),
        &mut shown(),
        Sha256::of(b"images"),
        FitOptions::default(),
    );
    let message = "learngene to refit: found layers that share an FFN, expected an FFN of its own \
                   for each layer";
    assert_eq!(refused.expect_err("shared").to_string(), message);
}

#[test]
fn few_images_are_refused() {
    let ancestor = vit();
    let settings = settings(&ancestor.shape, ancestor.sha256);
    let measured =
        measure(&running(&ancestor), settings, HeadOrder::Output, &mut Images::new(|| images(31)));
    assert_eq!(
        measured.err().expect("too few").to_string(),
        "number of images: found 31, expected at least 32 to measure what a layer is worth"
    );
}

#[test]
fn a_ridge_that_means_nothing_is_refused() {
    for ridge in [-1e-9, f64::NAN, f64::INFINITY] {
        let refused = FitOptions { ridge, ..FitOptions::default() }.check().expect_err("refused");
        assert!(refused.to_string().starts_with("ridge: found "), "{refused}");
    }
}
