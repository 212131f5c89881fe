use std::sync::Arc;

use learngene_datasets::{BadImages, Preprocess, Split, Subset, open};
use learngene_models::{Classifier, Model};
use learngene_shape::{Family, Vit};

use super::{ridge::LinearProbe, *};

fn features<const D: usize>(rows: &[([f32; D], usize)]) -> Features {
    let values = rows.iter().flat_map(|(row, _)| *row).collect();
    let labels = rows.iter().map(|(_, label)| *label).collect();
    Features::new(values, D, labels).expect("finite features of the right number")
}

fn k(k: usize) -> NonZeroUsize {
    NonZeroUsize::new(k).expect("at least one neighbour")
}

/// Three classes, each around an axis of its own; deterministic noise of up to .2.
fn separable(images: usize) -> Features {
    let noise = |image: usize, axis: usize| ((image * 7 + axis * 13) % 11) as f32 / 55.0;
    let rows: Vec<([f32; 3], usize)> = (0..images)
        .map(|image| {
            let label = image % 3;
            let row = [0, 1, 2].map(|axis| f32::from(axis == label) + noise(image, axis));
            (row, label)
        })
        .collect();
    features(&rows)
}

#[test]
fn separable_classes_are_classified_without_error() {
    let (train, test) = (separable(60), separable(31));
    assert_eq!(knn(&train, &test, k(10)).expect("same width"), 100.0);
    assert_eq!(ridge_probe(&train, &test, DEFAULT_RIDGE).expect("regular"), 100.0);
}

#[test]
fn the_nearest_neighbours_vote() {
    // By angle from the test image: class 1 at 5 degrees, then twice class 0, then class 1.
    let at = |degrees: f32, length: f32| {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        [length * cosine, length * sine]
    };
    let train = features(&[
        (at(-30.0, 9.0), 1),
        (at(10.0, 0.1), 0),
        (at(5.0, 50.0), 1),
        (at(-20.0, 1.0), 0),
    ]);
    let right = |label, neighbours| {
        knn(&train, &features(&[(at(0.0, 3.0), label)]), k(neighbours)).expect("same width")
    };
    assert_eq!(right(1, 1), 100.0);
    assert_eq!(right(1, 2), 100.0, "one vote each: the nearer class wins");
    assert_eq!(right(0, 3), 100.0);
    assert_eq!(right(1, 4), 100.0, "two votes each: the nearer class wins");
    assert_eq!(right(1, 99), 100.0, "all four vote");
    assert_eq!(right(0, 4), 0.0);
}

#[test]
fn equally_near_training_images_count_in_their_order() {
    let train = features(&[([1.0, 0.0], 5), ([2.0, 0.0], 3), ([4.0, 0.0], 1)]);
    let test = features(&[([8.0, 0.0], 5)]);
    assert_eq!(knn(&train, &test, k(1)).expect("same width"), 100.0);
}

/// With one feature `z` of variance one the weight is `mean(y z) / (1 + lambda)`.
#[test]
fn ridge_on_one_feature_is_its_closed_form() {
    let train = features(&[([2.0], 0), ([4.0], 0), ([6.0], 1), ([12.0], 1)]);
    let lambda = 0.25;
    let probe = LinearProbe::fit(&train, lambda).expect("regular");
    // Mean 6, variance (16 + 4 + 0 + 36) / 4 = 14.
    let std = 14f64.sqrt();
    let mean_of_products = (0.0 + 6.0) / std / 4.0;
    let weight = mean_of_products / (1.0 + lambda);
    assert!((probe.weights[1][0] - weight).abs() < 1e-12, "{:?}", probe.weights);
    assert!((probe.weights[0][0] + weight).abs() < 1e-12, "{:?}", probe.weights);
    assert_eq!(probe.bias, [0.5, 0.5], "the bias is not penalised");
}

#[test]
fn the_bias_is_the_frequency_of_the_class_for_any_penalty() {
    let train = features(&[([1.0], 0), ([2.0], 1), ([3.0], 1), ([4.0], 1)]);
    let test = features(&[([1.0], 1)]);
    assert_eq!(ridge_probe(&train, &test, 1e9).expect("regular"), 100.0);
}

#[test]
fn a_constant_feature_is_ignored() {
    let rows = |value: f32| [([value, 0.0], 0), ([value, 1.0], 1), ([value, 0.1], 0)];
    for lambda in [0.0, DEFAULT_RIDGE] {
        let top1 = ridge_probe(&features(&rows(0.1)), &features(&rows(-3.0)), lambda);
        assert_eq!(top1.expect("regular without the constant feature"), 100.0);
    }
}

#[test]
fn dependent_features_need_a_penalty() {
    let train = features(&[([1.0, 2.0], 0), ([2.0, 4.0], 1), ([4.0, 8.0], 1)]);
    let error = ridge_probe(&train, &train, 0.0).expect_err("singular").to_string();
    assert!(error.starts_with("linear probe: found no solution for feature 1,"), "{error}");
    ridge_probe(&train, &train, DEFAULT_RIDGE).expect("the penalty makes it regular");
}

#[test]
fn an_impossible_penalty_is_refused() {
    for lambda in [-1.0, f64::NAN, f64::INFINITY] {
        let error = ridge_probe(&separable(9), &separable(9), lambda).expect_err("no penalty");
        assert!(error.to_string().starts_with("lambda: found "), "{error}");
    }
}

#[test]
fn features_of_another_model_are_refused() {
    let (train, test) = (separable(9), features(&[([1.0], 0)]));
    let want = "features of a test image: found 1, expected 3, as of the training images";
    assert_eq!(knn(&train, &test, k(1)).expect_err("another width").to_string(), want);
    assert_eq!(ridge_probe(&train, &test, 1.0).expect_err("another width").to_string(), want);
}

#[test]
fn a_feature_that_is_not_finite_is_refused() {
    let error = Features::new(vec![1.0, f32::NAN], 1, vec![0, 1]).expect_err("refused").to_string();
    assert_eq!(error, "image 1: feature 0: found NaN, expected a finite number");
}

#[test]
fn a_model_without_a_classifier_has_features() {
    let device = Device::flex();
    let vit = Vit { image_size: 16, patch_size: 8, num_classes: 0, ..Vit::uniform(24, 2, 3) };
    let model = Model::init(&vit.shape().expect("a possible shape"), &device);
    let images: Arc<dyn Dataset> =
        open("cifar10-sample", Split::Test, BadImages::Refuse).expect("it is embedded").into();
    let images: Arc<dyn Dataset> = Arc::new(Subset::first(images, 5));
    let preprocess = Preprocess::new(16).check().expect("16 pixels are possible");
    let mut seen = Vec::new();
    let mut compute = |batch_size| {
        frozen_features(
            |batch| model.features(batch),
            &images,
            &preprocess,
            k(batch_size),
            &device,
            &mut |done| {
                seen.push(done);
            },
        )
        .expect("the images are good")
    };
    let (by_two, at_once) = (compute(2), compute(8));
    assert_eq!(seen, [2, 4, 5, 5]);
    assert_eq!((by_two.images(), by_two.num_features()), (5, 24));
    assert_eq!(by_two.labels().len(), 5);
    for (left, right) in by_two.values.iter().zip(&at_once.values) {
        assert!((left - right).abs() < 1e-5, "batches change features: {left} and {right}");
    }
    assert_eq!(knn(&by_two, &by_two, k(1)).expect("same width"), 100.0);
}
