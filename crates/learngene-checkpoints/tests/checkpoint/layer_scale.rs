//! Checkpoints with LayerScale that do not fit the model.

use learngene_checkpoints::read;

use super::common::{LAYER_SCALE, Tensors, folder, refused};

#[test]
fn the_mask_token_is_left_out_with_a_note() {
    let folder = folder();
    let tensors = LAYER_SCALE.tensors("timm.safetensors").with_zeros("mask_token", &[1, 24]);
    let read = read(&tensors.save(&folder), &LAYER_SCALE.options()).expect("a checkpoint");
    assert_eq!(read.notes[0], "left out what no classifier uses: mask_token");
    assert_eq!(read.notes.len(), 2);
}

/// Checks the error for scales that do not fit the model.
#[track_caller]
fn check(change: impl FnOnce(Tensors) -> Tensors, wanted: &str) {
    let folder = folder();
    let path = change(LAYER_SCALE.tensors("timm.safetensors")).save(&folder);
    refused(&path, &LAYER_SCALE.options(), &[wanted]);
}

#[test]
fn scales_that_do_not_fit_are_named() {
    check(|tensors| tensors.without("blocks.1.ls2.gamma"), "; missing: blocks.1.ls2.gamma");
    check(
        |tensors| tensors.with_zeros("blocks.0.ls1.gamma", &[23]),
        "; wrong shape: blocks.0.ls1.gamma is [23], expected [24]",
    );
    check(
        |tensors| tensors.with_zeros("blocks.x.ls1.gamma", &[24]),
        "; unused: blocks.x.ls1.gamma",
    );
}
