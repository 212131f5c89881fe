//! Small ancestors, and learngenes of them that are fitted.

mod files;
mod fits;
mod refusals;

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

fn refitted(ancestor: &Checkpoint, learngene: &Learngene, params: RefitParams) -> Learngene {
    let params = params.check().expect("possible parameters");
    let images = || images(10);
    refit(learngene, ancestor, images, SHA256, &params, &Device::flex()).expect("good images")
}

fn condensed(ancestor: &Checkpoint, eps: f64, representative: Representative) -> Learngene {
    condensed_as(ancestor, &clusters(ancestor, dbscan(eps, representative)))
}

fn record(refitted: &Learngene) -> &Refit {
    refitted.manifest().refit.as_ref().expect("a learngene that was refitted")
}

fn fits(refitted: &Learngene) -> Vec<&Fit> {
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

fn check_smaller(after: &Residual, before: &Residual) {
    for (after, before) in [
        (after.relative, before.relative),
        (after.median_channel, before.median_channel),
        (after.worst_channel, before.worst_channel),
    ] {
        assert!(after <= before * (1.0 + 1e-9), "{after} after, {before} before");
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
