//! One test per way in which a checkpoint that is read can be wrong.

use std::{fs, path::Path};

use learngene_models::checkpoint::{self, ReadOptions};
use proptest::prelude::*;

use super::common::{SWIN, TINY, Tensors, folder, refused};

fn refused_tensors(tensors: &Tensors, wanted: &[&str]) {
    let folder = folder();
    let path = tensors.save(&folder);
    refused(&path, &TINY.options(), &[&["model.safetensors"], wanted].concat());
}

fn refused_bytes(bytes: &[u8], wanted: &[&str]) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, bytes).expect("the folder is writable");
    refused(&path, &TINY.options(), &[&["model.safetensors"], wanted].concat());
}

/// A config.json beside the tiny model is refused.
fn refused_config(json: &str, wanted: &[&str]) {
    let folder = folder();
    let path = timm().save(&folder);
    fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    refused(&path, &ReadOptions::default(), &[&["config.json"], wanted].concat());
}

fn timm() -> Tensors {
    TINY.tensors("timm.safetensors")
}

#[test]
fn a_missing_file() {
    refused(Path::new("no/such.safetensors"), &ReadOptions::default(), &["no/such.safetensors"]);
}

#[test]
fn a_folder() {
    let folder = folder();
    refused(folder.path(), &ReadOptions::default(), &["cannot read"]);
}

#[test]
fn an_empty_file() {
    refused_bytes(b"", &["is empty, wanted a checkpoint"]);
}

#[test]
fn a_file_that_is_no_checkpoint() {
    refused_bytes(b"\x89PNG\r\n\x1a\n and some pixels", &["is not a checkpoint"]);
}

#[test]
fn a_truncated_safetensors_file() {
    let whole = fs::read(TINY.path("timm.safetensors")).expect("the fixture is there");
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    // The length, its neighbourhood, the header, its end, and the weights up to the last byte.
    let offsets = (1..40).chain((40..header).step_by(101)).chain(header - 3..header + 3);
    let offsets = offsets.chain((header..whole.len()).step_by(20_011)).chain([whole.len() - 1]);
    for offset in offsets {
        refused_bytes(&whole[..offset], &[" is not a "]);
    }
}

#[test]
fn a_safetensors_file_with_bytes_left_over() {
    let mut bytes = fs::read(TINY.path("timm.safetensors")).expect("the fixture is there");
    bytes.push(0);
    refused_bytes(&bytes, &["not a whole safetensors file"]);
}

#[test]
fn a_truncated_pth_file() {
    let whole = fs::read(TINY.path("deit.pth")).expect("the fixture is there");
    let offsets = (1..60).chain((60..whole.len()).step_by(5_003));
    for offset in offsets.chain(whole.len() - 60..whole.len()) {
        refused_bytes(&whole[..offset], &[" is not a "]);
    }
}

#[test]
fn a_pth_file_without_tensors() {
    // What pickle.dumps({}, protocol=2) gives.
    refused_bytes(b"\x80\x02}q\x00.", &["holds no vision transformer"]);
}

#[test]
fn a_swin_v2_checkpoint() {
    let mlp = "layers.0.blocks.0.attn.cpb_mlp.0.weight";
    let swin = SWIN.tensors("timm.safetensors").with_zeros(mlp, &[512, 2]);
    refused_tensors(&swin, &["is a Swin V2 checkpoint", mlp, "wanted a ViT, DeiT or Swin"]);
}

#[test]
fn a_distilled_deit() {
    let distilled = timm().with_zeros("dist_token", &[1, 1, 48]);
    refused_tensors(&distilled, &["is a distilled DeiT checkpoint", "dist_token"]);
}

#[test]
fn a_model_that_is_no_transformer() {
    let resnet = Tensors::default().with_zeros("layer1.0.conv1.weight", &[64, 64, 3, 3]);
    refused_tensors(&resnet, &["holds no vision transformer", "layer1.0.conv1.weight"]);
}

#[test]
fn number_formats_that_are_not_read() {
    let mut tensors = timm();
    let f64s = vec![0; 48 * 8];
    tensors.0.insert("norm.bias".into(), (safetensors::Dtype::F64, vec![48], f64s));
    refused_tensors(&tensors, &["norm.bias as F64", "wanted f32, f16 or bf16"]);
}

#[test]
fn every_wrong_key_is_listed() {
    let tensors = timm()
        .without("norm.bias")
        .without("blocks.1.mlp.fc1.weight")
        .with_zeros("blocks.0.attn.q_norm.weight", &[16])
        .with_zeros("reg_token", &[1, 48])
        .with_zeros("blocks.2.attn.proj.weight", &[48, 40]);
    refused_tensors(
        &tensors,
        &[
            "missing: blocks.1.mlp.fc1.weight, norm.bias",
            "unused: blocks.0.attn.q_norm.weight, reg_token",
            "wrong shape: blocks.2.attn.proj.weight: found [48, 40], wanted [48, 48]",
        ],
    );
}

#[test]
fn wrong_keys_are_listed_in_the_names_of_the_file() {
    let layer = "vit.encoder.layer.0.attention";
    let tensors = TINY
        .tensors("hf.safetensors")
        .without(&format!("{layer}.attention.key.bias"))
        .with_zeros(&format!("{layer}.attention.value.bias"), &[40]);
    refused_tensors(
        &tensors,
        &[
            &format!("missing: {layer}.attention.key.bias"),
            &format!("wrong shape: {layer}.attention.value.bias: found [40], wanted [48]"),
        ],
    );
}

#[test]
fn keys_are_listed_also_where_no_other_tensor_tells_the_size() {
    for sole_source in ["patch_embed.proj.weight", "pos_embed"] {
        let tensors = timm().without(sole_source).without("norm.bias");
        let wanted = ["missing: ", sole_source, "norm.bias"];
        refused_tensors(&tensors, &wanted);
    }
    let flat = timm().with_zeros("patch_embed.proj.weight", &[48]).without("norm.bias");
    let wanted = "wrong shape: patch_embed.proj.weight: found [48], wanted 4 axes";
    refused_tensors(&flat, &["missing: norm.bias", wanted]);
}

#[test]
fn a_lost_layer_is_missing() {
    let lost = |name: String| (!name.starts_with("blocks.1.")).then_some(name);
    refused_tensors(&timm().renamed(lost), &["missing: blocks.1.attn.proj.bias, "]);
    let none = |name: String| (!name.starts_with("blocks.")).then_some(name);
    refused_tensors(&timm().renamed(none), &["missing: blocks.0.attn.proj.bias, "]);
}

#[test]
fn an_absurd_layer_is_unused() {
    let name = format!("blocks.{}.norm1.weight", usize::MAX);
    refused_tensors(&timm().with_zeros(&name, &[48]), &[&format!("unused: {name}")]);
}

#[test]
fn weights_that_are_not_numbers() {
    for (value, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let mut tensors = timm();
        let (_, _, bytes) = tensors.0.get_mut("blocks.1.norm2.weight").expect("it is there");
        bytes[4 * 5..4 * 6].copy_from_slice(&value.to_le_bytes());
        refused_tensors(&tensors, &[&format!("blocks.1.norm2.weight is {text} at index 5")]);
    }
}

#[test]
fn positions_that_make_no_square() {
    refused_tensors(&timm().with_zeros("pos_embed", &[1, 16, 48]), &["16 tokens, wanted 1 + the"]);
}

#[test]
fn an_untold_number_of_heads() {
    let wanted = ["[48, 48, 48]", "--num-heads", "--arch"];
    refused(&TINY.path("timm.safetensors"), &ReadOptions::default(), &wanted);
}

#[test]
fn heads_that_do_not_divide() {
    for heads in [0, 5, usize::MAX] {
        let options = ReadOptions { num_heads: Some(vec![heads]), ..ReadOptions::default() };
        let wanted = format!("--num-heads gives layer 0 {heads} heads");
        refused(&TINY.path("timm.safetensors"), &options, &[&wanted, "48 wide"]);
    }
    let options = ReadOptions { num_heads: Some(vec![3, 4, 3]), ..ReadOptions::default() };
    refused(&TINY.path("timm.safetensors"), &options, &["gives layer 1 4 heads"]);
}

#[test]
fn a_list_of_heads_of_another_length() {
    let options = ReadOptions { num_heads: Some(vec![3, 3]), ..ReadOptions::default() };
    let wanted = "--num-heads gives heads for 2 layers, but ";
    refused(&TINY.path("timm.safetensors"), &options, &[wanted, "has 3"]);
}

#[test]
fn an_unknown_architecture() {
    let options = ReadOptions { arch: Some("resnet50".into()), ..ReadOptions::default() };
    let wanted = ["unknown architecture resnet50", "deit_tiny_patch16_224", "swin_base_patch4_"];
    refused(&TINY.path("timm.safetensors"), &options, &wanted);
}

#[test]
fn an_architecture_of_another_shape() {
    let arch = Some("deit_tiny_patch16_224".into());
    let options = ReadOptions { arch, ..ReadOptions::default() };
    let wanted = ["--arch deit_tiny_patch16_224 says embed_dim 192", "say 48"];
    refused(&TINY.path("timm.safetensors"), &options, &wanted);
}

#[test]
fn an_architecture_of_another_family() {
    let refused = |golden: super::common::Golden, arch: &str, wanted: &str| {
        let options = ReadOptions { arch: Some(arch.into()), ..golden.options() };
        refused(&golden.path("timm.safetensors"), &options, &[wanted, "timm.safetensors holds a"]);
    };
    let swin = "swin_tiny_patch4_window7_224";
    refused(TINY, swin, "--arch swin_tiny_patch4_window7_224 is a Swin");
    refused(SWIN, "deit_tiny_patch16_224", "--arch deit_tiny_patch16_224 is a ViT");
}

#[test]
fn a_configuration_that_is_no_json() {
    refused_config("{\"hidden_size\": ", &["is not a JSON object", "line 1"]);
}

#[test]
fn a_configuration_of_another_model() {
    refused_config(r#"{"model_type": "swin"}"#, &[r#"model_type "swin", wanted vit"#]);
    refused_config(r#"{"family": "swin"}"#, &[r#"family "swin", wanted vit"#]);
    refused_config(r#"{"hidden_act": "relu"}"#, &[r#"hidden_act "relu", wanted gelu"#]);
}

#[test]
fn configuration_fields_of_a_wrong_type() {
    refused_config(r#"{"num_heads": "3"}"#, &["num_heads", "wanted a whole number or a list"]);
    refused_config(r#"{"num_heads": [3, -1]}"#, &["num_heads", "wanted a whole number or a list"]);
    refused_config(r#"{"num_heads": 3, "patch_size": 1.5}"#, &["patch_size 1.5, wanted a whole"]);
    refused_config(r#"{"layer_norm_eps": 0}"#, &["layer_norm_eps 0, wanted a positive number"]);
}

#[test]
fn a_configuration_that_contradicts_the_tensors() {
    let says = |field: &str, told: usize, found: usize| {
        let json = format!(r#"{{"num_attention_heads": 3, "{field}": {told}}}"#);
        let wanted = format!("says {field} {told}, but the tensors of ");
        refused_config(&json, &[&wanted, "model.safetensors", &format!("say {found}")]);
    };
    says("hidden_size", 192, 48);
    says("num_hidden_layers", 12, 3);
    says("intermediate_size", 768, 192);
    says("image_size", 224, 32);
    says("patch_size", 16, 8);
    says("num_channels", 1, 3);
    says("num_classes", 1000, 7);
    let labels = r#"{"num_attention_heads": 3, "id2label": {"0": "cat", "1": "dog"}}"#;
    refused_config(labels, &["says id2label 2", "say 7"]);
    refused_config(r#"{"num_attention_heads": 5}"#, &["config.json gives layer 0 5 heads"]);
}

#[test]
fn an_image_size_of_partial_patches() {
    for image_size in [0, 30] {
        let options = ReadOptions { image_size: Some(image_size), ..TINY.options() };
        refused(&TINY.path("timm.safetensors"), &options, &["image"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    /// Whatever byte of a file is damaged, reading it returns.
    #[test]
    fn no_damaged_byte_stops_the_program(
        (golden, file) in prop::sample::select(vec![
            (TINY, "timm.safetensors"),
            (TINY, "hf.safetensors"),
            (TINY, "deit.pth"),
            (SWIN, "timm.safetensors"),
            (SWIN, "hf.safetensors"),
            (SWIN, "official.pth"),
        ]),
        place in 0.0..1.0f64,
        near_an_end in any::<bool>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = fs::read(golden.path(file)).expect("the fixture is there");
        // Headers lie at the start of one format and at the end of the other.
        let reach = if near_an_end { 8_000.0 } else { bytes.len() as f64 };
        let offset = (place * reach) as usize;
        let offset = if file.ends_with(".pth") { bytes.len() - 1 - offset } else { offset };
        bytes[offset] = byte;
        let folder = folder();
        let path = folder.path().join("model");
        fs::write(&path, &bytes).expect("the folder is writable");
        if let Ok(checkpoint) = checkpoint::read(&path, &golden.options()) {
            prop_assert_eq!(checkpoint.config.depth(), golden.read(file).config.depth());
        }
    }
}
