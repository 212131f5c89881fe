//! One test per way in which a Swin's checkpoint alone can be wrong.

use std::fs;

use learngene_models::{
    ModelConfig, SwinConfig,
    checkpoint::{self, Dialect, Dtype, ReadOptions},
};

use super::common::{SWIN, Tensors, folder, refused, zeros};

const TABLE: &str = "layers.0.blocks.1.attn.relative_position_bias_table";

fn timm() -> Tensors {
    SWIN.tensors("timm.safetensors")
}

fn refused_tensors(tensors: &Tensors, wanted: &[&str]) {
    let folder = folder();
    refused(&tensors.save(&folder), &SWIN.options(), wanted);
}

/// A config.json beside the tiny model is refused.
fn refused_config(json: &str, wanted: &[&str]) {
    let folder = folder();
    let path = timm().save(&folder);
    fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    refused(&path, &ReadOptions::default(), &[&["config.json"], wanted].concat());
}

fn refused_options(options: ReadOptions, wanted: &[&str]) {
    refused(&SWIN.path("timm.safetensors"), &options, wanted);
}

/// A model of zeros is not written in Hugging Face's names.
fn refused_by_transformers(config: SwinConfig, reason: &str) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let config: ModelConfig = config.into();
    let error =
        checkpoint::write(&path, &config, &zeros(&config), Dialect::HuggingFace, Dtype::F32, None)
            .expect_err("transformers has no such model")
            .to_string();
    let wanted = format!("Hugging Face's Swin cannot express this model: {reason}");
    assert!(error.starts_with(&wanted), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 0);
}

#[test]
fn every_wrong_key_is_listed() {
    let tensors = timm()
        .without("norm.bias")
        .without("layers.1.downsample.norm.weight")
        .with_zeros("absolute_pos_embed", &[1, 256, 16])
        .with_zeros(TABLE, &[49, 3])
        .with_zeros("layers.1.blocks.0.mlp.fc1.weight", &[100, 32]);
    refused_tensors(
        &tensors,
        &[
            "missing: layers.1.downsample.norm.weight, norm.bias",
            "unused: absolute_pos_embed",
            "wrong shape: layers.0.blocks.1.attn.relative_position_bias_table: found [49, 3], \
             wanted [49, 2]",
            "layers.1.blocks.0.mlp.fc1.weight: found [100, 32], wanted [128, 32]",
        ],
    );
}

#[test]
fn wrong_keys_are_listed_in_the_names_of_the_file() {
    let tensors = SWIN.tensors("hf.safetensors");
    let [key, merging] = [
        "swin.encoder.layers.0.blocks.1.attention.self.key.bias",
        "swin.encoder.layers.0.downsample.norm.bias",
    ];
    let tensors = tensors.without(key).with_zeros(merging, &[60]);
    let wrong = format!("wrong shape: {merging}: found [60], wanted [64]");
    refused_tensors(&tensors, &[&format!("missing: {key}"), &wrong]);
}

#[test]
fn keys_are_listed_also_where_no_other_tensor_tells_the_size() {
    for sole_source in ["patch_embed.proj.weight", TABLE] {
        let tensors = timm().without(sole_source).without("norm.bias");
        refused_tensors(&tensors, &["missing: ", sole_source, "norm.bias"]);
    }
    let flat = timm().with_zeros(TABLE, &[49]).without("norm.bias");
    let wrong = format!("wrong shape: {TABLE}: found [49], wanted 2 axes");
    refused_tensors(&flat, &["missing: norm.bias", &wrong]);
}

#[test]
fn a_lost_layer_or_stage_is_missing() {
    let without = |start: &'static str| {
        timm().renamed(move |name| (!name.starts_with(start)).then_some(name))
    };
    refused_tensors(&without("layers.0.blocks.0."), &["missing: layers.0.blocks.0.attn.proj.bias"]);
    refused_tensors(&without("layers.1.blocks."), &["missing: layers.1.blocks.0.attn.proj.bias"]);
    refused_tensors(&without("layers."), &["missing: layers.0.blocks.0.attn.proj.bias"]);
}

#[test]
fn an_absurd_layer_is_unused() {
    for name in [
        format!("layers.{}.downsample.norm.bias", usize::MAX),
        format!("layers.40.blocks.{}.norm1.weight", usize::MAX),
        "layers.40.blocks.0.norm1.weight".into(),
    ] {
        refused_tensors(&timm().with_zeros(&name, &[16]), &[&format!("unused: {name}")]);
    }
}

#[test]
fn tables_of_no_square_window() {
    for rows in [0, 48, 16] {
        let tensors = timm()
            .with_zeros("layers.0.blocks.0.attn.relative_position_bias_table", &[rows, 2])
            .with_zeros(TABLE, &[rows, 2]);
        let wanted = format!("has {rows} relative positions in each table of stage 0");
        refused_tensors(&tensors, &[&wanted, "wanted the square of an odd number"]);
    }
}

#[test]
fn tables_of_heads_that_do_not_divide() {
    for heads in [0, 5] {
        let tensors = timm()
            .with_zeros("layers.1.blocks.0.attn.relative_position_bias_table", &[49, heads])
            .with_zeros("layers.1.blocks.1.attn.relative_position_bias_table", &[49, heads]);
        let wanted = format!("has {heads} heads in the table of relative positions of layer 2");
        refused_tensors(&tensors, &[&wanted, "do not divide its attention of 32"]);
    }
}

#[test]
fn tables_of_windows_that_no_image_has() {
    let config = SwinConfig::uniform(8, &[1, 1, 1], &[1, 1, 1]).with_window_size(2);
    let zeros = Tensors::zeros(&config.with_image_size(32).into());
    let refused = |windows: [usize; 3], wanted: &str| {
        let tables = windows.into_iter().enumerate().map(|(stage, window)| {
            let name = format!("layers.{stage}.blocks.0.attn.relative_position_bias_table");
            (name, [(2 * window - 1).pow(2), 1])
        });
        let tensors =
            tables.fold(zeros.clone(), |all, (name, shape)| all.with_zeros(&name, &shape));
        let folder = folder();
        refused(&tensors.save(&folder), &ReadOptions::default(), &[wanted]);
    };
    let says = "the table of relative positions of stage 1 says a window of stage";
    // A window of one token in a stage of 2 x 2 would have to be the whole image of that stage.
    refused([2, 1, 2], &format!("{says} 2 (of images of 8 px) 0, but the tensors of "));
    refused([3, 2, 2], &format!("{says} 2 (of images of 16 px) 1, but the tensors of "));
    refused([1, 2, 2], "the table of relative positions of stage 0 says a window of stage 1");
    refused([3, 2, 1], "stage 0 of a Swin has 4 tokens a side, which are no whole windows of 3");
}

#[test]
fn patches_of_no_pixel() {
    refused_tensors(
        &timm().with_zeros("patch_embed.proj.weight", &[16, 3, 0, 0]),
        &["patch_size of a vision transformer must be at least 1, got 0"],
    );
}

#[test]
fn images_of_untold_size() {
    let folder = folder();
    let config = SwinConfig::uniform(8, &[1], &[1]).with_window_size(5).with_image_size(20);
    let path = Tensors::zeros(&config.into()).save(&folder);
    let wanted = ["does not say how large its images are", "--image-size"];
    refused(&path, &ReadOptions::default(), &wanted);
}

#[test]
fn images_that_would_change_a_window() {
    let images = |side| ReadOptions { image_size: Some(side), ..ReadOptions::default() };
    let wanted = ["images of 8 px leave stage 1 of ", "windows of 2 tokens", "is for 4"];
    refused_options(images(8), &wanted);
    refused_options(images(33), &["image size 33 is not a multiple of the patch size 2"]);
    refused_options(images(0), &["images of 0 px leave stage 0 of "]);
    refused_options(images(36), &["stage 0 of a Swin has 18 tokens a side", "windows of 4"]);
}

#[test]
fn heads_that_are_given_but_not_there() {
    let heads = |heads: &[usize]| ReadOptions { num_heads: Some(heads.into()), ..SWIN.options() };
    refused_options(heads(&[3]), &["--num-heads says num_heads[0][0] 3, but the", "say 2"]);
    refused_options(heads(&[2, 2]), &["--num-heads says num_heads[1][0] 2", "say 4"]);
    refused_options(heads(&[2, 2, 4, 8]), &["--num-heads says num_heads[1][1] 8", "say 4"]);
    refused_options(heads(&[2, 4, 8]), &["--num-heads gives heads for 3 layers, but ", "has 4"]);
}

#[test]
fn an_architecture_of_another_shape() {
    let arch = Some("swin_tiny_patch4_window7_224".into());
    let wanted = ["--arch swin_tiny_patch4_window7_224 says embed_dim 96", "say 16"];
    refused_options(ReadOptions { arch, ..ReadOptions::default() }, &wanted);

    let folder = folder();
    let config = SwinConfig::swin_tiny().with_window_size(14).with_image_size(448);
    let path = Tensors::zeros(&config.into()).save(&folder);
    let arch = Some("swin_tiny_patch4_window7_224".into());
    let options = ReadOptions { arch, image_size: Some(448), ..ReadOptions::default() };
    refused(&path, &options, &["says window_size 7, but the tensors of", "say 14"]);
}

#[test]
fn a_configuration_of_another_model() {
    refused_config(r#"{"model_type": "vit"}"#, &[r#"model_type "vit", wanted swin"#]);
    refused_config(r#"{"family": "vit"}"#, &[r#"family "vit", wanted swin"#]);
}

#[test]
fn configuration_fields_of_a_wrong_type() {
    for heads in ["2", "[2, -1]", "[[2, 2], \"4\"]"] {
        let json = format!(r#"{{"num_heads": {heads}}}"#);
        refused_config(&json, &["num_heads", "wanted a list of whole numbers, one for each stage"]);
    }
    let json = r#"{"pretrained_cfg": {"input_size": [3, 32, 64]}}"#;
    refused_config(json, &["pretrained_cfg.input_size", "wanted [channels, side, side]"]);
}

#[test]
fn a_configuration_that_contradicts_the_tensors() {
    let says = |json: &str, field: &str, told: usize, found: usize| {
        let wanted = format!("says {field} {told}, but the tensors of ");
        refused_config(json, &[&wanted, "model.safetensors", &format!("say {found}")]);
    };
    says(r#"{"embed_dim": 96}"#, "embed_dim", 96, 16);
    says(r#"{"hidden_size": 64}"#, "hidden_size", 64, 32);
    says(r#"{"num_layers": 4}"#, "num_layers", 4, 2);
    says(r#"{"depths": [2, 6]}"#, "depths[1]", 6, 2);
    says(r#"{"depths": [2, 2, 6, 2]}"#, "length of depths", 4, 2);
    says(r#"{"num_heads": [2, 8]}"#, "num_heads[1][0]", 8, 4);
    says(r#"{"num_heads": [[2, 1], [4, 4]]}"#, "num_heads[0][1]", 1, 2);
    says(r#"{"num_heads": [[2], [4, 4]]}"#, "length of num_heads[0]", 1, 2);
    says(r#"{"num_heads": [2]}"#, "length of num_heads", 1, 2);
    says(r#"{"head_dim": [8, 16]}"#, "head_dim[1]", 16, 8);
    says(r#"{"mlp_hidden_dim": [64, 64]}"#, "mlp_hidden_dim[1]", 64, 128);
    says(r#"{"mlp_ratio": 2.0}"#, "mlp_hidden_dim[0]", 32, 64);
    says(r#"{"window_size": 7, "image_size": 32}"#, "window_size", 7, 4);
    says(r#"{"patch_size": 4}"#, "patch_size", 4, 2);
    says(r#"{"num_channels": 1}"#, "num_channels", 1, 3);
    says(r#"{"num_classes": 1000}"#, "num_classes", 1000, 6);
    let window = "a window of stage 1 (of images of 8 px)";
    says(r#"{"image_size": 8}"#, window, 2, 4);
}

#[test]
fn a_configuration_of_other_images_than_the_masks() {
    let folder = folder();
    let path = folder.path().join("official.pth");
    fs::copy(SWIN.path("official.pth"), &path).expect("writable");
    fs::write(folder.path().join("config.json"), r#"{"image_size": 64}"#).expect("writable");
    refused(&path, &ReadOptions::default(), &["says image_size 64, but the tensors of", "say 32"]);
}

#[test]
fn an_epsilon_that_transformers_has_in_part_of_the_norms() {
    let folder = folder();
    let path = SWIN.tensors("hf.safetensors").save(&folder);
    fs::write(folder.path().join("config.json"), r#"{"layer_norm_eps": 1e-12}"#).expect("writable");
    refused(&path, &SWIN.options(), &["layer_norm_eps", "wanted 1e-5, which transformers has"]);
    let options = ReadOptions { layer_norm_eps: Some(1e-5), ..SWIN.options() };
    checkpoint::read(&path, &options).expect("the caller knows better");
}

#[test]
fn models_that_hugging_face_cannot_express_are_not_written() {
    let tiny = || SwinConfig::uniform(16, &[2, 2], &[2, 4]).with_window_size(2).with_image_size(16);
    refused_by_transformers(
        SwinConfig { num_heads: vec![vec![2, 2], vec![4, 3]], ..tiny() },
        "layer 2 has 4 heads, layer 3 has 3",
    );
    refused_by_transformers(
        SwinConfig { head_dim: vec![8, 6], ..tiny() },
        "4 heads of width 6 are not as wide as its embed_dim of 32",
    );
    refused_by_transformers(
        SwinConfig { mlp_hidden_dim: vec![64, 64], ..tiny() },
        "hidden widths of [64, 64] are not one ratio to the widths of its stages",
    );
    refused_by_transformers(
        tiny().with_layer_norm_eps(1e-6),
        "its layer_norm_eps is 1e-6, where transformers has 1e-5",
    );
    refused_by_transformers(
        tiny().with_window_size(4),
        "stage 1 is 2 tokens a side, less than its windows of 4",
    );
}
