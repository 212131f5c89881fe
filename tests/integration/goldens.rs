//! Mean attention distances against what PyTorch computes; `learngene-models` tests the models.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor};
use learngene_clustering::{Convention, HeadStatistics, probe};
use serde_json::Value;

use crate::support::{GOLDEN_VITS, GoldenVit};

#[test]
fn renormalized_distances_are_those_of_pytorch() {
    check(Convention::Renormalized, "renormalized");
}

#[test]
fn published_distances_are_those_of_pytorch() {
    check(Convention::Published, "published");
}

/// Checks every head, image by image and both images at once.
fn check(convention: Convention, name: &str) {
    let device = Device::flex();
    for golden in GOLDEN_VITS {
        let expected = expected(golden, name);
        let images = golden.input(&device);
        for image in 0..2 {
            let one = images.clone().slice_dim(0, image..image + 1); // [1, 3, image_size, image_size]
            let found = measure(golden, [one], convention, &device);
            compare(golden, &found, &expected, |images| images[image].clone());
        }
        let mean = |images: &[Vec<f64>]| {
            images[0].iter().zip(&images[1]).map(|(a, b)| (a + b) / 2.0).collect()
        };
        compare(golden, &measure(golden, [images], convention, &device), &expected, mean);
    }
}

fn measure(
    golden: GoldenVit,
    batches: impl IntoIterator<Item = Tensor<4>>,
    convention: Convention,
    device: &Device,
) -> HeadStatistics {
    let vit = golden.read().load(device).expect("a checkpoint fits its configuration");
    let batches = batches.into_iter().map(Ok::<_, Infallible>);
    probe(&vit, batches, convention, device).expect("the images are not blank").heads
}

/// `[layer][image][head]`, in pixels.
fn expected(golden: GoldenVit, convention: &str) -> Vec<Vec<Vec<f64>>> {
    let mut json: Value =
        serde_json::from_slice(&golden.bytes("expected.json")).expect("the fixture is JSON");
    serde_json::from_value(json["mean_attention_distance"][convention].take())
        .expect("the fixture has both conventions")
}

fn compare(
    golden: GoldenVit,
    found: &HeadStatistics,
    expected: &[Vec<Vec<f64>>],
    of_images: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    assert_eq!(found.mean.len(), expected.len(), "{golden:?}");
    let mut worst = 0.0_f64;
    for (layer, (found, expected)) in found.mean.iter().zip(expected).enumerate() {
        let expected = of_images(expected);
        assert_eq!(found.len(), expected.len(), "{golden:?}, layer {layer}");
        for (head, (found, expected)) in found.iter().zip(expected).enumerate() {
            let gap = (found - expected).abs();
            assert!(gap <= 1e-3, "{golden:?}, layer {layer}, head {head}: {gap} px apart");
            worst = worst.max(gap);
        }
    }
    println!("{golden:?}: at most {worst:e} px apart");
}
