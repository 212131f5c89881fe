//! One test per way in which a checkpoint that is read can be wrong.

use std::{fs, path::Path};

use learngene_checkpoints::{ReadOptions, read};
use proptest::prelude::*;

use super::common::{Golden, PRUNED, SWIN, TINY, Tensors, folder, holds, read_beside, refused};

#[track_caller]
fn refused_tensors(tensors: &Tensors, wanted: &[&str]) {
    let folder = folder();
    let path = tensors.save(&folder);
    refused(&path, &TINY.options(), &[&["model.safetensors: "], wanted].concat());
}

#[track_caller]
fn refused_bytes(bytes: &[u8], wanted: &[&str]) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, bytes).expect("the folder is writable");
    refused(&path, &TINY.options(), &[&["model.safetensors: "], wanted].concat());
}

/// A config.json beside the tiny model is refused.
#[track_caller]
fn refused_config(json: &str, wanted: &str) {
    let read = read_beside(TINY, &[("config.json", json)], &ReadOptions::default());
    holds(&read.expect_err(json), &["config.json: ", wanted]);
}

#[track_caller]
fn refused_options(options: ReadOptions, wanted: &[&str]) {
    refused(&TINY.path("timm.safetensors"), &options, wanted);
}

fn heads(heads: &[usize]) -> ReadOptions {
    ReadOptions { num_heads: Some(heads.into()), ..ReadOptions::default() }
}

fn timm() -> Tensors {
    TINY.tensors("timm.safetensors")
}

#[test]
fn a_missing_file_or_a_folder() {
    let missing = Path::new("no/such.safetensors");
    refused(missing, &ReadOptions::default(), &["cannot read no/such.safetensors: "]);
    refused(folder().path(), &ReadOptions::default(), &["cannot read "]);
}

#[test]
fn a_file_that_is_no_checkpoint() {
    let expected = "expected a safetensors file or a PyTorch checkpoint (.pth)";
    refused_bytes(b"", &["found an empty file", expected]);
    refused_bytes(b"\x89PNG\r\n\x1a\n and some pixels", &["that begins with `\\x89PNG", expected]);
}

#[test]
fn a_truncated_file() {
    for file in ["timm.safetensors", "deit.pth"] {
        let whole = fs::read(TINY.path(file)).expect("the fixture is there");
        let offsets = (1..60).chain((60..whole.len()).step_by(5_003));
        for offset in offsets.chain(whole.len() - 60..whole.len()) {
            refused_bytes(&whole[..offset], &["expected "]);
        }
    }
}

#[test]
fn models_of_other_kinds() {
    let mlp = "layers.0.blocks.0.attn.cpb_mlp.0.weight";
    let swin = SWIN.tensors("timm.safetensors").with_zeros(mlp, &[512, 2]);
    refused_tensors(&swin, &["model: found a Swin V2", mlp, "expected a ViT, DeiT or Swin"]);
    let distilled = timm().with_zeros("dist_token", &[1, 1, 48]);
    refused_tensors(&distilled, &["model: found a distilled DeiT (it has `dist_token`)"]);
    let resnet = Tensors::default().with_zeros("layer1.0.conv1.weight", &[64, 64, 3, 3]);
    refused_tensors(&resnet, &["tensors: found [layer1.0.conv1.weight], expected names that timm"]);
    // What pickle.dumps({}, protocol=2) gives.
    refused_bytes(b"\x80\x02}q\x00.", &["tensors: found [], expected names that timm"]);
}

#[test]
fn number_formats_that_are_not_read() {
    let mut tensors = timm();
    let f64s = vec![0; 48 * 8];
    tensors.0.insert("norm.bias".into(), (safetensors::Dtype::F64, vec![48], f64s));
    refused_tensors(&tensors, &["found norm.bias as F64, expected f32, f16 or bf16"]);
}

#[test]
fn every_wrong_name_is_listed() {
    let absurd = format!("blocks.{}.norm1.weight", usize::MAX);
    let tensors = timm()
        .without("norm.bias")
        .without("blocks.1.mlp.fc1.weight")
        .with_zeros("blocks.0.attn.q_norm.weight", &[16])
        .with_zeros(&absurd, &[48])
        .with_zeros("blocks.2.attn.proj.weight", &[48, 40]);
    refused_tensors(
        &tensors,
        &[
            "missing: blocks.1.mlp.fc1.weight, norm.bias",
            &format!("unused: blocks.0.attn.q_norm.weight, {absurd}"),
            "wrong shape: blocks.2.attn.proj.weight is [48, 40], expected [48, 48]",
        ],
    );
}

#[test]
fn a_tensor_that_gives_a_size_is_missing() {
    for name in ["patch_embed.proj.weight", "pos_embed", "blocks.1.mlp.fc2.weight", "head.bias"] {
        refused_tensors(&timm().without(name), &["missing: ", name]);
    }
    let flat = timm().with_zeros("patch_embed.proj.weight", &[48]);
    refused_tensors(&flat, &["wrong shape: patch_embed.proj.weight is [48], expected 4 axes"]);
    for (lost, name) in [("blocks.1.", "blocks.1.attn.qkv"), ("blocks.", "blocks.0.attn.qkv")] {
        let tensors = timm().renamed(|name| (!name.starts_with(lost)).then_some(name));
        refused_tensors(&tensors, &["missing: ", name]);
    }
}

#[test]
fn weights_that_are_not_numbers() {
    let mut tensors = timm();
    let (_, _, bytes) = tensors.0.get_mut("blocks.1.norm2.weight").expect("it is there");
    bytes[4 * 5..4 * 6].copy_from_slice(&f32::NAN.to_le_bytes());
    refused_tensors(&tensors, &["blocks.1.norm2.weight: found NaN at index 5"]);
}

#[test]
fn positions_that_make_no_square() {
    let tensors = timm().with_zeros("pos_embed", &[1, 16, 48]);
    refused_tensors(&tensors, &["position embedding: found 16 positions, expected 1 + the square"]);
}

#[test]
fn an_unknown_number_of_heads() {
    let wanted = ["number of heads: found layers", "[48, 48, 48]", "--num-heads", "--arch"];
    refused_options(ReadOptions::default(), &wanted);
}

#[test]
fn heads_that_do_not_fill_a_layer() {
    for number in [0, 5, usize::MAX] {
        let wanted = format!("--num-heads: layer 0: found {number} heads, expected a number of");
        refused_options(heads(&[number]), &[&wanted, "width of 48"]);
    }
    refused_options(heads(&[3, 4, 3]), &["--num-heads: layer 1: found 4 heads"]);
    let wanted = "--num-heads: found heads of 2 layers, expected one number, or one for each of 3";
    refused_options(heads(&[3, 3]), &[wanted]);
    let json = r#"{"num_attention_heads": 5}"#;
    refused_config(json, "layer 0: found 5 heads, expected a number of equally wide heads");
}

#[test]
fn an_architecture_that_is_not_that_of_the_file() {
    let arch = |name: &str| ReadOptions { arch: Some(name.into()), ..ReadOptions::default() };
    let wanted = ["--arch: found resnet50, expected one of deit_tiny", "swin_base_patch4_"];
    refused_options(arch("resnet50"), &wanted);
    let wanted = "--arch deit_tiny_patch16_224: embed_dim: found 192, expected 48 to match the";
    refused_options(arch("deit_tiny_patch16_224"), &[wanted]);
    let wanted = r#"--arch swin_tiny_patch4_window7_224: family: found "swin", expected "vit""#;
    refused_options(arch("swin_tiny_patch4_window7_224"), &[wanted]);
}

#[test]
fn a_configuration_that_cannot_be_used() {
    refused_config("{\"hidden_size\": ", "line 1");
    refused_config(r#"{"model_type": "swin"}"#, r#"model_type: found "swin", expected "vit""#);
    refused_config(r#"{"hidden_act": "relu"}"#, r#"hidden_act: found "relu", expected "gelu""#);
    let wanted = "expected a whole number or a list of them";
    refused_config(r#"{"num_heads": [3, -1]}"#, &format!("num_heads: found [3,-1], {wanted}"));
    let json = r#"{"num_heads": 3, "patch_size": 1.5}"#;
    refused_config(json, &format!("patch_size: found 1.5, {wanted}"));
    refused_config(r#"{"layer_norm_eps": 0}"#, "layer_norm_eps: found 0, expected a positive");
}

#[test]
fn a_configuration_that_contradicts_the_tensors() {
    let says = |field: &str, found: usize, expected: &str| {
        let json = format!(r#"{{"num_attention_heads": 3, "{field}": {found}}}"#);
        refused_config(&json, &format!("{field}{expected} to match the tensors in "));
    };
    says("hidden_size", 192, ": found 192, expected 48");
    says("num_hidden_layers", 12, ": found 12, expected 3");
    says("intermediate_size", 768, "[0]: found 768, expected 192");
    says("image_size", 224, ": found 224, expected 32");
    says("num_channels", 1, ": found 1, expected 3");
    says("num_classes", 1000, ": found 1000, expected 7");
    let labels = r#"{"num_attention_heads": 3, "id2label": {"0": "cat", "1": "dog"}}"#;
    refused_config(labels, "id2label: found 2 names, expected 7 to match the tensors");
    let head_dim = r#"{"num_attention_heads": 3, "head_dim": 8}"#;
    refused_config(head_dim, "head_dim: found 8, expected 16");
}

#[test]
fn an_image_size_of_partial_patches() {
    for image_size in [0, 30] {
        let options = ReadOptions { image_size: Some(image_size), ..TINY.options() };
        refused_options(options, &["image_size: found "]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    /// Whatever byte of a file is damaged, reading it returns.
    #[test]
    fn no_damaged_byte_stops_the_program(
        (golden, file) in prop::sample::select(vec![
            (TINY, "timm.safetensors"),
            (PRUNED, "hf.safetensors"),
            (TINY, "deit.pth"),
            (SWIN, "timm.safetensors"),
            (SWIN, "hf.safetensors"),
            (SWIN, "official.pth"),
        ]),
        place in 0.0..1.0f64,
        near_an_end in any::<bool>(),
        byte in any::<u8>(),
    ) {
        let golden: Golden = golden;
        let mut bytes = fs::read(golden.path(file)).expect("the fixture is there");
        // Headers lie at the start of one format and at the end of the other.
        let reach = if near_an_end { 8_000.0 } else { bytes.len() as f64 };
        let offset = (place * reach) as usize;
        let offset = if file.ends_with(".pth") { bytes.len() - 1 - offset } else { offset };
        bytes[offset] = byte;
        let folder = folder();
        let path = folder.path().join("model");
        fs::write(&path, &bytes).expect("the folder is writable");
        if let Ok(checkpoint) = read(&path, &golden.options()) {
            prop_assert_eq!(checkpoint.shape.depth(), golden.read(file).shape.depth());
        }
    }
}
