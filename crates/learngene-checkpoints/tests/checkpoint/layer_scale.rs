//! Checkpoints with LayerScale.

use burn::tensor::{Device, Tensor, TensorData};
use learngene_models::{
    Classifier,
    checkpoint::{self, CheckpointError, Note},
};

use super::common::{Golden, LAYER_SCALE, Tensors, folder, largest_gap};

const GOLDEN: Golden = LAYER_SCALE;

#[test]
fn folded_scales_give_the_logits_of_timm() {
    let read = GOLDEN.read("timm.safetensors");
    assert_eq!(read.notes, [Note::LayerScaleFolded]);
    let expected = GOLDEN.tensors("expected.safetensors");
    let device = Device::flex();
    let model = read.load(&device).expect("a plain ViT");
    let (shape, values) = expected.f32("input");
    let logits = model.forward(Tensor::<4>::from_data(TensorData::new(values, shape), &device));
    let logits: Vec<f32> = logits.into_data().try_into_vec().expect("flex computes in f32");
    let gap = largest_gap(&logits, &expected.f32("logits").1);
    println!("logits differ by {gap:e}");
    assert!(gap <= 1e-5, "logits differ by {gap}");
}

#[test]
fn the_mask_token_is_left_out_with_a_note() {
    let folder = folder();
    let tensors = GOLDEN.tensors("timm.safetensors").with_zeros("mask_token", &[1, 24]);
    let read = checkpoint::read(&tensors.save(&folder), &GOLDEN.options()).expect("a checkpoint");
    let keys = vec!["mask_token".into()];
    assert_eq!(read.notes, [Note::LeftOut { keys }, Note::LayerScaleFolded]);
}

/// Checks the error for scales that do not fit the model.
#[track_caller]
fn check(change: impl FnOnce(Tensors) -> Tensors, wanted: &str) {
    let folder = folder();
    let path = change(GOLDEN.tensors("timm.safetensors")).save(&folder);
    let error = checkpoint::read(&path, &GOLDEN.options()).expect_err("not a model");
    let CheckpointError::Keys { source, .. } = &error else { panic!("{error}") };
    assert!(source.to_string().ends_with(wanted), "{source}");
}

#[test]
fn a_scale_that_is_missing_is_named() {
    check(|tensors| tensors.without("blocks.1.ls2.gamma"), "; missing: blocks.1.ls2.gamma");
}

#[test]
fn a_scale_of_another_width_is_named() {
    check(
        |tensors| tensors.with_zeros("blocks.0.ls1.gamma", &[23]),
        "; wrong shape: blocks.0.ls1.gamma: found [23], wanted [24]",
    );
}

#[test]
fn a_scale_of_no_layer_is_named() {
    check(
        |tensors| tensors.with_zeros("blocks.x.ls1.gamma", &[24]),
        "; unused: blocks.x.ls1.gamma",
    );
}
