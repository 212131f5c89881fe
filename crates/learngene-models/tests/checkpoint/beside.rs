//! The config.json that is written beside a checkpoint.

use std::fs;

use learngene_models::{
    ModelConfig, VitConfig,
    checkpoint::{self, CheckpointError, Dialect, Dtype},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::{SWIN, TINY, folder, zeros};

fn usual() -> ModelConfig {
    VitConfig::uniform(24, 2, 3).with_image_size(16).into()
}

fn write(
    folder: &TempDir,
    file: &str,
    config: &ModelConfig,
    dialect: Dialect,
) -> Result<(), CheckpointError> {
    checkpoint::write(&folder.path().join(file), config, &zeros(config), dialect, Dtype::F16)
}

fn config_json(folder: &TempDir) -> Value {
    let json = fs::read(folder.path().join("config.json")).expect("it was written");
    serde_json::from_slice(&json).expect("it is JSON")
}

#[test]
fn a_foreign_one_does_not_stop_a_usual_model_in_timm_s_names() {
    let folder = folder();
    let place = folder.path().join("config.json");
    fs::write(&place, r#"{"architecture": "x"}"#).expect("writable");
    write(&folder, "a", &usual(), Dialect::Timm).expect("writable");
    assert_eq!(fs::read(&place).expect("kept"), br#"{"architecture": "x"}"#);
}

#[cfg(unix)]
#[test]
fn where_weights_cannot_be_written_it_stays_that_of_the_old_ones() {
    for (dialect, config) in
        [usual(), usual().with_num_classes(3)].map(|config| (Dialect::HuggingFace, config))
    {
        let folder = folder();
        // A folder that is not empty cannot be replaced by a file.
        fs::create_dir_all(folder.path().join("a/b")).expect("writable");
        let place = folder.path().join("config.json");
        fs::write(&place, "{}").expect("writable");
        let error = write(&folder, "a", &config, dialect).expect_err("a folder is in the way");
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(fs::read(&place).expect("kept"), b"{}");
    }
}

#[test]
fn hugging_face_s_of_a_vit_is_what_transformers_wants() {
    let folder = folder();
    let tiny = TINY.read("timm.safetensors");
    write(&folder, "model.safetensors", &tiny.config, Dialect::HuggingFace).expect("writable");
    let config = config_json(&folder);
    assert_eq!(config["architectures"][0], "ViTForImageClassification");
    assert_eq!(config["num_attention_heads"], 3);
    assert_eq!(config["layer_norm_eps"], 1e-6);
    assert_eq!(config["id2label"]["6"], "LABEL_6");
    assert_eq!(config["torch_dtype"], "float16");
}

#[test]
fn hugging_face_s_of_a_swin_is_what_transformers_wants() {
    let folder = folder();
    let config = SWIN.read("timm.safetensors").config.with_num_classes(2);
    write(&folder, "model.safetensors", &config, Dialect::HuggingFace).expect("writable");
    let want = json!({
        "architectures": ["SwinForImageClassification"],
        "attention_probs_dropout_prob": 0.0,
        "depths": [2, 2],
        "drop_path_rate": 0.1,
        "embed_dim": 16,
        "encoder_stride": 4,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": 32,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        "image_size": 32,
        "initializer_range": 0.02,
        "label2id": {"LABEL_0": 0, "LABEL_1": 1},
        "layer_norm_eps": 1e-5,
        "mlp_ratio": 4.0,
        "model_type": "swin",
        "num_channels": 3,
        "num_heads": [2, 4],
        "num_layers": 2,
        "patch_size": 2,
        "qkv_bias": true,
        "torch_dtype": "float16",
        "use_absolute_embeddings": false,
        "window_size": 4,
    });
    assert_eq!(config_json(&folder), want);
}

#[test]
fn a_backbone_is_a_model_without_labels() {
    for (config, name) in [(TINY, "ViTModel"), (SWIN, "SwinModel")] {
        let folder = folder();
        let config = config.read("timm.safetensors").config.with_num_classes(0);
        write(&folder, "model.safetensors", &config, Dialect::HuggingFace).expect("writable");
        assert_eq!(config_json(&folder)["architectures"], json!([name]));
        assert_eq!(config_json(&folder).get("id2label"), None);
    }
}
