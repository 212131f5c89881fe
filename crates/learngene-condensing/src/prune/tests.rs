//! Small ancestors, pruned.

use burn::tensor::TensorData;
use learngene_models::Classifier;
use learngene_shape::{Family, FfnKind, Vit};

use super::*;
use crate::test_ancestor::{ancestors, images, scattered, vit};

const IMAGES: usize = 24;

const CRITERIA: [Criterion; 5] = [
    Criterion::First,
    Criterion::Magnitude,
    Criterion::Random { seed: 3 },
    Criterion::Variance,
    Criterion::Taylor,
];

fn swiglu() -> Checkpoint {
    let vit = Vit {
        image_size: 16,
        patch_size: 4,
        ffn: FfnKind::SwiGlu,
        ..Vit::new(24, vec![3, 2], 6, vec![20, 12])
    };
    scattered(vit.shape().expect("possible"), 9)
}

fn all_ancestors() -> Vec<Checkpoint> {
    ancestors().into_iter().chain([swiglu()]).collect()
}

/// Images of three classes in turn.
fn labelled() -> Vec<Result<(Tensor<4>, Vec<usize>)>> {
    let mut first = 0;
    let batches = images(IMAGES).into_iter().map(|batch| {
        let batch = batch.expect("infallible");
        let labels = first..first + batch.dims()[0];
        first = labels.end;
        Ok((batch, labels.map(|image| image % 3).collect()))
    });
    batches.collect()
}

fn pruned(ancestor: &Checkpoint, options: PruneOptions) -> Result<Pruned> {
    prune(ancestor, labelled, options, &Device::flex())
}

fn to(criterion: Criterion, max_params: u64) -> PruneOptions {
    PruneOptions { criterion, max_params, refit: None, classifier: true }
}

fn features(shape: &Shape, parameters: &StateDict) -> Tensor<2> {
    let model = Model::load(shape, parameters, &Device::flex()).expect("its own parameters");
    let images = images(8).into_iter().map(|batch| batch.expect("infallible")).collect();
    model.features(Tensor::cat(images, 0))
}

/// Mean square of what a pruned model changes of the ancestor's features.
fn distance(ancestor: &Checkpoint, pruned: &Pruned) -> f32 {
    let of_ancestor = features(&ancestor.shape, &ancestor.parameters);
    let of_pruned = features(&pruned.shape, &pruned.parameters);
    (of_pruned - of_ancestor).powi_scalar(2).mean().into_scalar()
}

#[test]
fn a_number_of_parameters_is_reached_and_not_exceeded() {
    for ancestor in all_ancestors() {
        let all = ancestor.shape.count_parameters();
        for criterion in CRITERIA {
            // The smallest Swin of these widths has 87.6 % of the whole one's.
            for max_params in [95, 88].map(|percent| percent * all / 100) {
                for refit in [None, Some(0.1)] {
                    let options = PruneOptions { refit, ..to(criterion, max_params) };
                    let pruned = pruned(&ancestor, options).expect("large enough");
                    let found = pruned.shape.count_parameters();
                    // The smallest part of a layer is a head.
                    let range = max_params - all / 10..=max_params;
                    assert!(range.contains(&found), "{criterion:?}: {found} of {max_params}");
                    let names = pruned.shape.parameter_shapes();
                    pruned.parameters.check_against(&names).expect("all of them");
                }
            }
        }
    }
}

#[test]
fn keeping_all_changes_nothing() {
    for ancestor in all_ancestors() {
        for criterion in CRITERIA {
            for refit in [None, Some(0.1)] {
                let options = PruneOptions { refit, ..to(criterion, u64::MAX) };
                let pruned = pruned(&ancestor, options).expect("large enough");
                assert_eq!(pruned.shape, ancestor.shape, "{criterion:?}");
                assert_eq!(pruned.parameters, ancestor.parameters, "{criterion:?}");
            }
        }
    }
}

#[test]
fn a_seed_decides_what_is_kept_at_random() {
    let ancestor = vit();
    let max_params = ancestor.shape.count_parameters() * 7 / 10;
    let random =
        |seed| pruned(&ancestor, to(Criterion::Random { seed }, max_params)).expect("large enough");
    assert_eq!(random(0), random(0));
    assert_ne!(random(0), random(1));
}

/// What is fitted is closer to the ancestor than what is only cut.
#[test]
fn a_refit_brings_features_closer() {
    for ancestor in all_ancestors() {
        let max_params = ancestor.shape.count_parameters() * 88 / 100;
        for criterion in [Criterion::Magnitude, Criterion::Variance, Criterion::Taylor] {
            let distance = |refit| {
                let options = PruneOptions { refit, ..to(criterion, max_params) };
                distance(&ancestor, &pruned(&ancestor, options).expect("large enough"))
            };
            let (cut, fitted) = (distance(None), distance(Some(0.1)));
            assert!(fitted < cut, "{criterion:?}: {fitted}, without a fit {cut}");
        }
    }
}

/// The ancestor with a quarter of its hidden units in another state, and the largest number of
/// parameters of a model without them.
fn with_idle_units(change: impl Fn(&str) -> Option<f32>) -> (Checkpoint, u64) {
    let mut ancestor = vit();
    let sizes = ancestor.shape.layer_sizes();
    let fewer = sizes.iter().map(|sizes| LayerSizes { hidden_dim: 15, ..*sizes });
    let shape = ancestor.shape.with_layer_sizes(&fewer.collect::<Vec<_>>()).expect("possible");
    for parameter in ancestor.shape.parameters() {
        let Some(value) = change(&parameter.name) else { continue };
        let mut tensor = ancestor.parameters.remove(&parameter.name).expect("its own");
        let width = tensor.values.len() / 20;
        tensor.values[5 * width..10 * width].fill(value);
        ancestor.parameters.insert(parameter.name, tensor);
    }
    (ancestor, shape.count_parameters())
}

/// Units that are the same for every token leave through the bias.
#[test]
fn by_variance_constants_move_into_the_bias() {
    let (ancestor, max_params) = with_idle_units(|name| match name {
        name if name.ends_with("fc1.weight") => Some(0.0),
        name if name.ends_with("fc1.bias") => Some(0.8),
        _ => None,
    });
    let variance = pruned(&ancestor, to(Criterion::Variance, max_params)).expect("large enough");
    assert_eq!(variance.shape.count_parameters(), max_params);
    let distance = distance(&ancestor, &variance);
    assert!(distance < 1e-4, "{distance}");
}

#[test]
fn by_magnitude_units_without_weights_go_first() {
    let (ancestor, max_params) =
        with_idle_units(|name| name.ends_with("fc1.weight").then_some(1e-4));
    let magnitude = pruned(&ancestor, to(Criterion::Magnitude, max_params)).expect("large enough");
    let bias = magnitude.parameters.get("blocks.1.mlp.fc1.bias").expect("its own");
    let whole = ancestor.parameters.get("blocks.1.mlp.fc1.bias").expect("its own");
    assert_eq!(bias.values, [&whole.values[..5], &whole.values[10..]].concat());
}

/// Scores are squared derivatives of the cross-entropy by a factor of a head or hidden unit.
#[test]
fn taylor_scores_are_derivatives_by_a_gate() {
    const STEP: f32 = 1e-2;
    let device = Device::flex();
    for ancestor in ancestors() {
        let shape = &ancestor.shape;
        let model = Model::load(shape, &ancestor.parameters, &device).expect("its own");
        let image = images(1).remove(0).expect("infallible");
        let batch = || [Ok::<_, learngene_tensors::Error>((image.clone(), vec![1]))];
        let scores = taylor::scores(&ancestor, &model, &batch, &device).expect("of its classes");
        let loss = |layer: usize, half: Half, group: usize, factor: f32| {
            let weight = half.weight(shape, layer);
            let mut parameters = ancestor.parameters.clone();
            let mut tensor = parameters.remove(&weight.name).expect("its own");
            let width = tensor.shape[1];
            for feature in half.features_of(shape, layer, &[group]) {
                tensor.values.iter_mut().skip(feature).step_by(width).for_each(|w| *w *= factor);
            }
            parameters.insert(weight.name, tensor);
            let model = Model::load(shape, &parameters, &device).expect("of the same shape");
            let logits: TensorData = model.forward(image.clone()).into_data();
            let logits: Vec<f32> = logits.convert::<f32>().try_into_vec().expect("numbers");
            let sum: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
            sum.ln() - f64::from(logits[1])
        };
        let last = shape.depth() - 1;
        for (layer, half, group) in [
            (0, Half::Attention, 2),
            (0, Half::Ffn, 7),
            (last, Half::Attention, 0),
            (last, Half::Ffn, 3),
        ] {
            let more = loss(layer, half, group, 1.0 + STEP);
            let less = loss(layer, half, group, 1.0 - STEP);
            let expected = ((more - less) / f64::from(2.0 * STEP)).powi(2);
            let got = scores[layer][half as usize][group];
            let place = format!("layer {layer}, {half:?} {group}");
            assert!((got - expected).abs() < 0.02 * expected, "{place}: {got}, {expected}");
        }
    }
}

fn check_refused(got: Result<Pruned>, message: &str) {
    assert_eq!(got.expect_err(message).to_string(), message);
}

#[test]
fn what_cannot_be_pruned_is_refused() {
    let ancestor = vit();
    let whole = PruneOptions { classifier: false, ..to(Criterion::Taylor, 100) };
    let message = "largest number of parameters: found 100, expected at least 4017, which the smallest \
                   model has";
    check_refused(pruned(&ancestor, whole), message);
    let batches = || images(4).into_iter().map(|batch| batch.map(|images| (images, vec![])));
    let options = to(Criterion::Taylor, u64::MAX);
    let refused = prune(&ancestor, batches, options, &Device::flex());
    check_refused(refused, "classes: found 0 for 4 images, expected one for each image");
    let batches =
        || images(4).into_iter().map(|batch| batch.map(|images| (images, vec![0, 3, 1, 0])));
    let refused = prune(&ancestor, batches, options, &Device::flex());
    let message = "class of an image: found 3, expected one of the ancestor's 3, counted from 0";
    check_refused(refused, message);
    let options = PruneOptions { refit: Some(-1.0), ..options };
    check_refused(
        pruned(&ancestor, options),
        "ridge: found -1, expected a finite number of 0 or more",
    );
}
