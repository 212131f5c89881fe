//! Logits and mean attention distances against what PyTorch computes; `learngene-checkpoints` tests
//! every dialect, `learngene-models` gradients.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor, TensorData};
use learngene_checkpoints::ReadOptions;
use learngene_condensing::probe;
use learngene_format::{Convention, Distances};
use learngene_tests::golden;
use serde_json::Value;

use crate::support::{GOLDEN_VITS, GoldenVit, largest_gap, load, logits, settings, tensors_of};

#[test]
fn logits_are_those_of_pytorch() {
    for golden in GOLDEN_VITS {
        let ancestor = golden.read();
        let (_, wanted) = tensors_of(&golden.bytes("expected.safetensors"))["logits"].clone();
        let input = golden.input(&Device::flex());
        let gap = largest_gap(&logits(&ancestor.shape, &ancestor.parameters, input), &wanted);
        assert!(gap <= 1e-4, "{golden:?}: logits differ by {gap}");
    }
}

#[test]
fn renormalized_distances_are_those_of_pytorch() {
    check(Convention::Renormalized, "renormalized");
}

#[test]
fn published_distances_are_those_of_pytorch() {
    check(Convention::Published, "published");
}

/// From the windows' attention that PyTorch computed, by the definition: the mean over windows and
/// queries of attention times distance in pixels; masked pairs hold no weight there.
#[test]
fn distances_of_a_swin_are_those_of_pytorchs_attention() {
    let device = Device::flex();
    let folder = golden("swin_tiny_golden");
    let expected = std::fs::read(folder.join("expected.safetensors")).expect("the fixture");
    let mut expected = tensors_of(&expected);
    let (shape, pixels) = expected.remove("input").expect("every fixture has it");
    let images: Tensor<4> = Tensor::from_data(TensorData::new(pixels, shape), &device);
    let options = ReadOptions { image_size: Some(32), ..ReadOptions::default() };
    let checkpoint = learngene_checkpoints::read(&folder.join("timm.safetensors"), &options);
    let checkpoint = checkpoint.expect("the fixture is a checkpoint");
    let swin = load(&checkpoint.shape, &checkpoint.parameters, &device);
    let batches = [Ok::<_, Infallible>(images)];
    let settings = settings(32, Convention::Renormalized);
    let found = probe(&swin, batches, settings, &device).expect("not blank");

    for (layer, name) in ["attention_block0", "attention_block1_shifted"].into_iter().enumerate() {
        let (shape, attention) = &expected[name];
        let &[windows, heads, tokens, _] = &shape[..] else { panic!("{name} has four axes") };
        // Windows of 4 x 4 tokens, 2 px apart.
        let pixels = |query: usize, key: usize| {
            let (down, right) = (query / 4, query % 4);
            let (down, right) = (down.abs_diff(key / 4) as f64, right.abs_diff(key % 4) as f64);
            2.0 * down.hypot(right)
        };
        for head in 0..heads {
            let mut sum = 0.0;
            for window in 0..windows {
                for (query, key) in (0..tokens).flat_map(|q| (0..tokens).map(move |k| (q, k))) {
                    let at = ((window * heads + head) * tokens + query) * tokens + key;
                    sum += f64::from(attention[at]) * pixels(query, key);
                }
            }
            let wanted = sum / (windows * tokens) as f64;
            let gap = (found.mean_attention_distance[layer][head] - wanted).abs();
            println!("layer {layer}, head {head}: {wanted:.4} px, {gap:e} px apart");
            assert!(gap <= 1e-4, "layer {layer}, head {head}: {gap} px apart");
        }
    }
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
) -> Distances {
    let checkpoint = golden.read();
    let vit = load(&checkpoint.shape, &checkpoint.parameters, device);
    let batches = batches.into_iter().map(Ok::<_, Infallible>);
    let settings = settings(checkpoint.shape.image().size, convention);
    probe(&vit, batches, settings, device).expect("the images are not blank")
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
    found: &Distances,
    expected: &[Vec<Vec<f64>>],
    of_images: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    let found = &found.mean_attention_distance;
    assert_eq!(found.len(), expected.len(), "{golden:?}");
    let mut worst = 0.0_f64;
    for (layer, (found, expected)) in found.iter().zip(expected).enumerate() {
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
