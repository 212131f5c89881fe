//! One test per way in which a Swin's checkpoint alone can be wrong.

use std::fs;

use learngene_checkpoints::{Dialect, ReadOptions, read};
use learngene_shape::Swin;

use super::common::{SWIN, Tensors, folder, holds, read_beside, refused, shape, write_zeros};

const TABLE: &str = "layers.0.blocks.0.attn.relative_position_bias_table";

fn timm() -> Tensors {
    SWIN.tensors("timm.safetensors")
}

#[track_caller]
fn refused_tensors(tensors: &Tensors, wanted: &[&str]) {
    let folder = folder();
    refused(&tensors.save(&folder), &SWIN.options(), wanted);
}

/// A config.json beside the tiny model is refused.
#[track_caller]
fn refused_config(json: &str, wanted: &str) {
    let read = read_beside(SWIN, &[("config.json", json)], &ReadOptions::default());
    holds(&read.expect_err(json), &["config.json: ", wanted]);
}

#[track_caller]
fn refused_options(options: ReadOptions, wanted: &[&str]) {
    refused(&SWIN.path("timm.safetensors"), &options, wanted);
}

/// A model of zeros is not written in Hugging Face's names.
#[track_caller]
fn refused_by_transformers(swin: Swin, reason: &str) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let error = write_zeros(&path, &shape(swin), Dialect::HuggingFace).expect_err(reason);
    holds(&error, &[&format!("Hugging Face's Swin: found {reason}, expected"), "--format timm"]);
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 0);
}

#[test]
fn wrong_names_are_listed_in_the_spelling_of_the_file() {
    let [key, merging] = [
        "swin.encoder.layers.0.blocks.1.attention.self.key.bias",
        "swin.encoder.layers.0.downsample.norm.bias",
    ];
    let tensors = SWIN.tensors("hf.safetensors").without(key).with_zeros(merging, &[60]);
    let wrong = format!("wrong shape: {merging} is [60], expected [64]");
    refused_tensors(&tensors, &[&format!("missing: {key}"), &wrong]);
}

#[test]
fn tables_that_no_layer_has() {
    for rows in [0, 48, 16] {
        let wanted = format!("stage 0: table of relative positions: found {rows} positions");
        let tensors = timm().with_zeros(TABLE, &[rows, 2]);
        refused_tensors(&tensors, &[&wanted, "expected the square of an odd number"]);
    }
    for heads in [0, 5] {
        let table = "layers.1.blocks.0.attn.relative_position_bias_table";
        let wanted = format!("layer 2: table of relative positions: found {heads} heads");
        let tensors = timm().with_zeros(table, &[49, heads]);
        refused_tensors(&tensors, &[&wanted, "divides its attention of 32"]);
    }
}

#[test]
fn tables_of_windows_that_no_image_has() {
    let swin = Swin { window_size: 2, image_size: 32, ..Swin::uniform(8, &[1, 1, 1], &[1, 1, 1]) };
    let zeros = Tensors::zeros(&shape(swin));
    let refused = |windows: [usize; 3], wanted: &[&str]| {
        let tables = windows.into_iter().enumerate().map(|(stage, window)| {
            let name = format!("layers.{stage}.blocks.0.attn.relative_position_bias_table");
            (name, [(2 * window - 1).pow(2), 1])
        });
        let tensors =
            tables.fold(zeros.clone(), |all, (name, shape)| all.with_zeros(&name, &shape));
        let folder = folder();
        refused(&tensors.save(&folder), &ReadOptions::default(), wanted);
    };
    let says = "the table of relative positions of stage 1: found images of";
    // A window of one token in a stage of 2 x 2 would have to be the whole image of that stage.
    refused([2, 1, 2], &[says, "8 px, with windows of 0 tokens in stage 2, expected windows of 2"]);
    refused([3, 2, 1], &["stage 0: found 4 tokens a side, expected whole windows of 3"]);
}

#[test]
fn patches_of_no_pixel() {
    let tensors = timm().with_zeros("patch_embed.proj.weight", &[16, 3, 0, 0]);
    refused_tensors(&tensors, &["patch_size: found 0, expected at least 1"]);
}

#[test]
fn images_of_unknown_size() {
    let folder = folder();
    let swin = Swin { window_size: 5, image_size: 20, ..Swin::uniform(8, &[1], &[1]) };
    let path = Tensors::zeros(&shape(swin)).save(&folder);
    let wanted = ["image size: found none", "pass --image-size"];
    refused(&path, &ReadOptions::default(), &wanted);
}

#[test]
fn images_that_would_change_a_window() {
    let images = |side| ReadOptions { image_size: Some(side), ..ReadOptions::default() };
    let wanted = ["--image-size: found images of 8 px, with windows of 2 tokens in stage 1"];
    refused_options(images(8), &[wanted[0], "expected windows of 4"]);
    refused_options(images(33), &["image_size: found 33, expected a multiple of the patch size"]);
    refused_options(images(36), &["stage 0: found 18 tokens a side, expected whole windows of 4"]);
}

#[test]
fn heads_that_are_given_but_not_there() {
    for heads in [&[3][..], &[2, 2], &[2, 2, 4, 8], &[2, 4, 8]] {
        let options = ReadOptions { num_heads: Some(heads.into()), ..SWIN.options() };
        let wanted = format!("--num-heads: found {heads:?}, expected [2, 2, 4, 4] to match");
        refused_options(options, &[&wanted]);
    }
}

#[test]
fn an_architecture_of_another_shape() {
    let options =
        || ReadOptions { arch: Some("swin_tiny_patch4_window7_224".into()), ..SWIN.options() };
    let wanted = "--arch swin_tiny_patch4_window7_224: embed_dim: found 96, expected 16 to match";
    refused_options(options(), &[wanted]);

    let folder = folder();
    let swin = Swin { window_size: 14, image_size: 448, ..Swin::swin_tiny() };
    let path = Tensors::zeros(&shape(swin)).save(&folder);
    let options = ReadOptions { image_size: Some(448), ..options() };
    refused(&path, &options, &["window_size: found 7, expected 14 to match the tensors"]);
}

#[test]
fn configuration_fields_of_a_wrong_type() {
    refused_config(r#"{"num_heads": [[2, 2], "4"]}"#, "expected a whole number or a list of them");
    let json = r#"{"pretrained_cfg": {"input_size": [3, 32, 64]}}"#;
    refused_config(json, "input_size: found [3,32,64], expected [channels, side, side]");
}

#[test]
fn a_configuration_that_contradicts_the_tensors() {
    for (json, wanted) in [
        (r#"{"embed_dim": 96}"#, "embed_dim: found 96, expected 16"),
        (r#"{"hidden_size": 64}"#, "hidden_size: found 64, expected 32"),
        (r#"{"num_layers": 4}"#, "num_layers: found 4, expected 2"),
        (r#"{"depths": [2, 6]}"#, "depths[1]: found 6, expected 2"),
        (r#"{"depths": [2, 2, 6, 2]}"#, "depths: found 4 entries, expected 2"),
        (r#"{"num_heads": [2, 8]}"#, "num_heads[2]: found 8, expected 4"),
        (r#"{"num_heads": [[2, 1], [4, 4]]}"#, "num_heads[1]: found 1, expected 2"),
        (r#"{"num_heads": [[2], [4, 4]]}"#, "num_heads: found 3 entries, expected 4"),
        (r#"{"head_dim": [8, 16]}"#, "head_dim[1]: found 16, expected 8"),
        (r#"{"hidden_dim": [64, 64, 64, 128]}"#, "hidden_dim[2]: found 64, expected 128"),
        (r#"{"mlp_ratio": 2.0}"#, "mlp_ratio: found 2, expected hidden widths of [64, 64, 128"),
        (r#"{"window_size": 7, "image_size": 32}"#, "window_size: found 7, expected 4"),
        (r#"{"num_classes": 1000}"#, "num_classes: found 1000, expected 6"),
        (r#"{"image_size": 8}"#, "found images of 8 px, with windows of 2 tokens in stage 1"),
    ] {
        refused_config(json, wanted);
    }
}

#[test]
fn a_configuration_of_other_images_than_the_masks() {
    let folder = folder();
    let path = folder.path().join("official.pth");
    fs::copy(SWIN.path("official.pth"), &path).expect("writable");
    fs::write(folder.path().join("config.json"), r#"{"image_size": 64}"#).expect("writable");
    let wanted = "image_size: found 64, expected 32 to match the mask of shifted windows in";
    refused(&path, &ReadOptions::default(), &[wanted]);
}

#[test]
fn an_epsilon_that_transformers_has_in_part_of_the_norms() {
    let folder = folder();
    let path = SWIN.tensors("hf.safetensors").save(&folder);
    fs::write(folder.path().join("config.json"), r#"{"layer_norm_eps": 1e-12}"#).expect("writable");
    refused(&path, &SWIN.options(), &["layer_norm_eps", "expected 1e-5, which transformers has"]);
    let options = ReadOptions { layer_norm_eps: Some(1e-5), ..SWIN.options() };
    read(&path, &options).expect("the caller knows better");
}

#[test]
fn models_that_hugging_face_cannot_express_are_not_written() {
    let tiny = || Swin { window_size: 2, image_size: 16, ..Swin::uniform(16, &[2, 2], &[2, 4]) };
    refused_by_transformers(
        Swin { num_heads: vec![2, 2, 4, 3], ..tiny() },
        "4 heads in layer 2 and 3 in layer 3",
    );
    refused_by_transformers(
        Swin { layer_norm_eps: 1e-6, ..tiny() },
        "a layer_norm_eps of 1e-6 in place of 1e-5",
    );
    refused_by_transformers(
        Swin { window_size: 4, ..tiny() },
        "stage 1 of 2 tokens a side, less than its windows of 4",
    );
}
