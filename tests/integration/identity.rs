//! With every head its own cluster, a descendant as deep as the ancestor computes what it does.

use std::{env, path::PathBuf};

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::{Checkpoint, ReadOptions};
use learngene_expansion::{DescendantConfig, Order, ProjectionPolicy};
use learngene_format::Distances;
use learngene_tests::{golden, repository};

use crate::support::{
    GOLDEN_VITS, NOTHING_JOINED, condensed, descendant, images, largest_gap, logits, measure,
};

/// Largest difference of outputs that counts as none.
const BOUND: f32 = 1e-5;

#[test]
fn golden_vits_come_back() {
    for golden in GOLDEN_VITS {
        let ancestor = golden.read();
        let input = golden.input(&Device::flex());
        check(&ancestor, &measure(&ancestor, 8, 8), input);
    }
}

#[test]
fn golden_swin_comes_back() {
    let options = ReadOptions { image_size: Some(32), ..ReadOptions::default() };
    let path = golden("swin_tiny_golden").join("timm.safetensors");
    let ancestor =
        learngene_checkpoints::read(&path, &options).expect("the fixture is a checkpoint");
    check(&ancestor, &measure(&ancestor, 8, 8), images(4, 32, &Device::flex()));
}

/// Heads may stand in any order, as their sum does not depend on it.
#[test]
fn golden_vits_come_back_in_every_order_and_projection() {
    use ProjectionPolicy::{Centroid, Origin, Rescaled};

    let device = Device::flex();
    for golden in GOLDEN_VITS {
        let ancestor = golden.read();
        let learngene = condensed(&ancestor, &measure(&ancestor, 8, 8), NOTHING_JOINED);
        let wanted = logits(&ancestor.shape, &ancestor.parameters, golden.input(&device));
        let cases = [
            (Order::Priority, Origin),
            (Order::Priority, Rescaled),
            (Order::Origin, Origin),
            (Order::Increasing, Centroid),
            (Order::Increasing, Rescaled),
            (Order::Decreasing, Centroid),
        ];
        for (order, projection) in cases {
            let config =
                DescendantConfig { order, projection: Some(projection), ..Default::default() };
            let whole = descendant(&learngene, config);
            let found = logits(&whole.shape, &whole.parameters, golden.input(&device));
            let gap = largest_gap(&found, &wanted);
            assert!(gap <= BOUND, "{golden:?}, {order}, {projection}: logits differ by {gap}");
        }
    }
}

#[test]
fn desk_ancestor_comes_back() {
    let ancestor = read(repository().join("datasets/desk_ancestor/desk_ancestor.safetensors"));
    let input = images(8, ancestor.shape.image().size, &Device::flex());
    check(&ancestor, &measure(&ancestor, 32, 16), input);
}

#[test]
fn desk_swin_comes_back() {
    let ancestor = read(repository().join("datasets/desk_swin/desk_swin.safetensors"));
    let input = images(8, ancestor.shape.image().size, &Device::flex());
    check(&ancestor, &measure(&ancestor, 32, 16), input);
}

/// Its outputs are features. `cargo xtask test` runs this where the file is found and reports it as
/// skipped where it is not.
#[test]
#[ignore = "needs the real ViT-S: run by `cargo xtask test` where LEARNGENE_VITS14 names it"]
fn real_vits14_comes_back() {
    let path = env::var_os("LEARNGENE_VITS14").map_or_else(
        || repository().join("../shared/data/dinov2_vits14_224.f16.safetensors"),
        PathBuf::from,
    );
    let ancestor = read(path);
    let input = images(2, ancestor.shape.image().size, &Device::flex());
    check(&ancestor, &measure(&ancestor, 2, 1), input);
}

fn read(path: PathBuf) -> Checkpoint {
    learngene_checkpoints::read(&path, &ReadOptions::default())
        .expect("a checkpoint that needs no options")
}

/// Checks that nothing was joined and that outputs are equal.
fn check(ancestor: &Checkpoint, distances: &Distances, input: Tensor<4>) {
    let learngene = condensed(ancestor, distances, NOTHING_JOINED);
    for (layer, clusters) in learngene.manifest().clusters.heads.layers.iter().enumerate() {
        assert_eq!(clusters.sizes, vec![1; ancestor.shape.num_heads()[layer]], "layer {layer}");
    }
    let whole = descendant(&learngene, DescendantConfig::default());
    assert_eq!(whole.shape, ancestor.shape);

    let wanted = logits(&ancestor.shape, &ancestor.parameters, input.clone());
    let found = logits(&whole.shape, &whole.parameters, input);
    let gap = largest_gap(&found, &wanted);
    println!("{} layers: outputs differ by {gap:e}", ancestor.shape.depth());
    assert!(gap <= BOUND, "outputs differ by {gap}");
}
