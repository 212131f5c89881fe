//! The config.json that is written beside a checkpoint.

use std::fs;

use learngene_models::{
    ModelConfig, SwinConfig, VitConfig,
    checkpoint::{self, CheckpointError, Dialect, Dtype, PretrainedCfg, ReadOptions},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::{SWIN, TINY, folder, zeros};

/// A ViT and a Swin that no published implementation can hold.
fn unusual() -> [ModelConfig; 2] {
    let vit = VitConfig::new(24, vec![3, 1, 4], 8, 40).with_image_size(16).with_num_classes(2);
    let swin = SwinConfig::new(16, vec![vec![2, 1], vec![4, 3]], vec![8, 6], vec![40, 56])
        .with_window_size(2)
        .with_image_size(32)
        .with_num_classes(5);
    [vit.into(), swin.into()]
}

fn usual() -> ModelConfig {
    VitConfig::uniform(24, 2, 3).with_image_size(16).into()
}

fn write(
    folder: &TempDir,
    file: &str,
    config: &ModelConfig,
    dialect: Dialect,
) -> Result<(), CheckpointError> {
    checkpoint::write(&folder.path().join(file), config, &zeros(config), dialect, Dtype::F16, None)
}

fn config_json(folder: &TempDir) -> Value {
    let json = fs::read(folder.path().join("config.json")).expect("it was written");
    serde_json::from_slice(&json).expect("it is JSON")
}

#[test]
fn a_usual_model_needs_none_in_timm_s_names() {
    let folder = folder();
    write(&folder, "a", &usual(), Dialect::Timm).expect("writable");
    assert!(!folder.path().join("config.json").exists());
}

#[test]
fn an_unusual_model_is_told_beside_it_and_comes_back() {
    for config in unusual() {
        for dialect in [Dialect::Timm, Dialect::Official] {
            if (config.family(), dialect) == ("vit", Dialect::Official) {
                continue;
            }
            let folder = folder();
            write(&folder, "a", &config, dialect).expect("writable");
            let mut told = config_json(&folder);
            let architecture = format!("learngene_{}", config.family());
            assert_eq!(told["architecture"], architecture);
            told.as_object_mut().expect("an object").remove("architecture");
            assert_eq!(told, json!(config), "all fields, family and heads of each layer too");

            let read = checkpoint::read(&folder.path().join("a"), &ReadOptions::default());
            let read = read.expect("it agrees with the tensors");
            assert_eq!((read.config, read.parameters), (config.clone(), zeros(&config)));
        }
    }
}

/// Without the header, which another program may leave out.
#[test]
fn it_tells_an_unusual_model_alone() {
    for config in unusual() {
        let folder = folder();
        write(&folder, "model.safetensors", &config, Dialect::Timm).expect("writable");
        let path = folder.path().join("model.safetensors");
        super::common::Tensors::of(&path).save(&folder);
        let read = checkpoint::read(&path, &ReadOptions::default()).expect("it is told beside it");
        assert_eq!((read.config, read.notes), (config, vec![]));
    }
}

/// Headers tell shapes, so models of all shapes can lie in one folder.
#[test]
fn models_of_several_shapes_share_a_folder() {
    let [vit, swin] = unusual();
    let folder = folder();
    let models = [("a", vit), ("b", swin), ("c", usual())];
    for (name, config) in &models {
        write(&folder, name, config, Dialect::Timm).expect("writable");
    }
    assert_eq!(config_json(&folder)["architecture"], "learngene_vit", "that of the first");
    for (name, config) in models {
        let read = checkpoint::read(&folder.path().join(name), &ReadOptions::default());
        assert_eq!(read.expect("its header tells").config, config);
    }
}

#[test]
fn that_of_another_model_is_kept() {
    let [vit, swin] = unusual();
    let [learngene, foreign] = [true, false];
    let (hf, official) = (Dialect::HuggingFace, Dialect::Official);
    for (is_learngene, config, dialect) in
        [(learngene, &usual(), hf), (foreign, &swin, official), (foreign, &usual(), hf)]
    {
        let folder = folder();
        if is_learngene {
            write(&folder, "other", &vit, Dialect::Timm).expect("writable");
        } else {
            fs::write(folder.path().join("config.json"), "{}").expect("writable");
        }
        let before = config_json(&folder);
        let written = write(&folder, "a", config, dialect);
        if dialect == hf {
            let error = written.expect_err("transformers needs another");
            assert!(matches!(error, CheckpointError::OtherConfig { .. }), "{error}");
            assert!(!folder.path().join("a").exists());
        } else {
            written.expect("its header tells the shape");
            let read = checkpoint::read(&folder.path().join("a"), &ReadOptions::default());
            assert_eq!(read.expect("nothing contradicts it").config, *config);
        }
        assert_eq!(config_json(&folder), before);
    }
}

#[test]
fn a_foreign_one_does_not_stop_a_usual_model_in_timm_s_names() {
    let folder = folder();
    let place = folder.path().join("config.json");
    fs::write(&place, r#"{"architecture": "x"}"#).expect("writable");
    write(&folder, "a", &usual(), Dialect::Timm).expect("writable");
    assert_eq!(fs::read(&place).expect("kept"), br#"{"architecture": "x"}"#);
}

#[test]
fn that_of_a_replaced_checkpoint_is_replaced_or_removed_with_it() {
    let [vit, swin] = unusual();
    let folder = folder();
    for (config, named) in
        [(vit, Some("learngene_vit")), (swin, Some("learngene_swin")), (usual(), None)]
    {
        write(&folder, "a", &config, Dialect::Timm).expect("it belongs to what is replaced");
        let read = checkpoint::read(&folder.path().join("a"), &ReadOptions::default());
        assert_eq!(read.expect("it agrees with the tensors").config, config);
        match named {
            Some(named) => assert_eq!(config_json(&folder)["architecture"], named),
            None => assert!(!folder.path().join("config.json").exists()),
        }
    }
}

/// Nobody knows whose it is where two checkpoints lie beside it.
#[test]
fn that_of_several_checkpoints_is_kept() {
    let [vit, swin] = unusual();
    let folder = folder();
    write(&folder, "a.safetensors", &vit, Dialect::Timm).expect("writable");
    write(&folder, "b.safetensors", &usual(), Dialect::Timm).expect("writable");
    let before = config_json(&folder);
    write(&folder, "a.safetensors", &swin, Dialect::Timm).expect("its header tells the shape");
    let error = write(&folder, "b.safetensors", &usual(), Dialect::HuggingFace);
    assert!(matches!(error, Err(CheckpointError::OtherConfig { .. })), "{error:?}");
    assert_eq!(config_json(&folder), before);
}

#[cfg(unix)]
#[test]
fn where_weights_cannot_be_written_it_stays_that_of_the_old_ones() {
    for (dialect, config) in
        [(Dialect::HuggingFace, usual()), (Dialect::Timm, unusual()[1].clone())]
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
fn hugging_face_s_calls_classes_by_their_names() {
    let (folder, config) = (folder(), usual().with_num_classes(2));
    let label_names = ["cat", "dog"].map(str::to_owned).to_vec();
    let told = PretrainedCfg { preprocessing: None, label_names };
    let (path, parameters) = (folder.path().join("model.safetensors"), zeros(&config));
    checkpoint::write(&path, &config, &parameters, Dialect::HuggingFace, Dtype::F16, Some(&told))
        .expect("the folder is writable");
    let config = config_json(&folder);
    assert_eq!(config["id2label"], json!({"0": "cat", "1": "dog"}));
    assert_eq!(config["label2id"], json!({"cat": 0, "dog": 1}));
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
