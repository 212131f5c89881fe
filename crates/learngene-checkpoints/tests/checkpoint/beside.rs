//! The config.json that is written beside a checkpoint.

use std::fs;

use learngene_checkpoints::{Dialect, PretrainedCfg, ReadOptions, read, write};
use learngene_shape::{FfnKind, Shape, Swin, Vit};
use learngene_tensors::Dtype;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::{SWIN, TINY, folder, holds, shape, write_zeros, zeros};

/// Models that no published implementation can hold.
fn unusual() -> [Shape; 3] {
    let vit = Vit { num_classes: 2, image_size: 16, ..Vit::new(24, vec![3, 1], 8, vec![40, 30]) };
    let gated = Vit { ffn: FfnKind::SwiGlu, image_size: 16, ..Vit::uniform(24, 2, 3) };
    let swin = Swin {
        num_heads: vec![2, 1, 4, 3],
        head_dim: vec![8, 6],
        hidden_dim: vec![40, 30, 56, 57],
        window_size: 2,
        image_size: 32,
        num_classes: 5,
        ..Swin::uniform(16, &[2, 2], &[2, 4])
    };
    [shape(vit), shape(gated), shape(swin)]
}

fn usual() -> Shape {
    shape(Vit { image_size: 16, ..Vit::uniform(24, 2, 3) })
}

fn write_to(folder: &TempDir, file: &str, shape: &Shape, dialect: Dialect) -> Result<(), String> {
    write_zeros(&folder.path().join(file), shape, dialect)
}

/// The shape of a file of a folder.
fn shape_of(folder: &TempDir, file: &str) -> Shape {
    let read = read(&folder.path().join(file), &ReadOptions::default());
    read.expect("it says all there is to know").shape
}

fn config_json(folder: &TempDir) -> Value {
    let json = fs::read(folder.path().join("config.json")).expect("it was written");
    serde_json::from_slice(&json).expect("it is JSON")
}

#[test]
fn an_unusual_model_has_one_beside_it_and_comes_back() {
    for shape in unusual() {
        for dialect in [Dialect::Timm, Dialect::Official] {
            if (shape.family(), dialect) == ("vit", Dialect::Official) {
                continue;
            }
            let folder = folder();
            write_to(&folder, "a", &shape, dialect).expect("writable");
            let mut found = config_json(&folder);
            let architecture = format!("learngene_{}", shape.family());
            assert_eq!(found["architecture"], architecture);
            found.as_object_mut().expect("an object").remove("architecture");
            assert_eq!(found, json!(shape), "all fields, family and heads of each layer too");

            let read = read(&folder.path().join("a"), &ReadOptions::default());
            let read = read.expect("it agrees with the tensors");
            assert_eq!((&read.shape, read.parameters), (&shape, zeros(&shape)));
        }
    }
}

/// Without the header, which another program may leave out.
#[test]
fn it_describes_an_unusual_model_alone() {
    for shape in unusual() {
        let folder = folder();
        write_to(&folder, "model.safetensors", &shape, Dialect::Timm).expect("writable");
        let path = folder.path().join("model.safetensors");
        super::common::Tensors::of(&path).save(&folder);
        let read = read(&path, &ReadOptions::default()).expect("config.json describes it");
        assert_eq!((read.shape, read.notes), (shape, vec![]));
    }
}

/// Headers give shapes, so models of all shapes can lie in one folder.
#[test]
fn models_of_several_shapes_share_a_folder() {
    let [vit, _, swin] = unusual();
    let folder = folder();
    let models = [("a", vit), ("b", swin), ("c", usual())];
    for (name, shape) in &models {
        write_to(&folder, name, shape, Dialect::Timm).expect("writable");
    }
    assert_eq!(config_json(&folder)["architecture"], "learngene_vit", "that of the first");
    for (name, shape) in models {
        assert_eq!(shape_of(&folder, name), shape);
    }
}

#[test]
fn that_of_another_model_is_kept() {
    let [vit, _, swin] = unusual();
    let [learngene, foreign] = [true, false];
    let (hf, official) = (Dialect::HuggingFace, Dialect::Official);
    for (is_learngene, shape, dialect) in
        [(learngene, &usual(), hf), (foreign, &swin, official), (foreign, &usual(), hf)]
    {
        let folder = folder();
        if is_learngene {
            write_to(&folder, "other", &vit, Dialect::Timm).expect("writable");
        } else {
            fs::write(folder.path().join("config.json"), "{}").expect("writable");
        }
        let before = config_json(&folder);
        let written = write_to(&folder, "a", shape, dialect);
        if dialect == hf {
            let error = written.expect_err("transformers needs another");
            let message = "config.json: found the configuration of another checkpoint, expected";
            holds(&error, &[message, "choose an empty folder"]);
            assert!(!folder.path().join("a").exists());
        } else {
            written.expect("its header gives the shape");
            assert_eq!(shape_of(&folder, "a"), *shape, "nothing contradicts it");
        }
        assert_eq!(config_json(&folder), before);
    }
}

#[test]
fn a_foreign_one_does_not_stop_a_usual_model_in_timm_s_names() {
    let folder = folder();
    let place = folder.path().join("config.json");
    fs::write(&place, r#"{"architecture": "x"}"#).expect("writable");
    write_to(&folder, "a", &usual(), Dialect::Timm).expect("writable");
    assert_eq!(fs::read(&place).expect("kept"), br#"{"architecture": "x"}"#);
}

#[test]
fn that_of_a_replaced_checkpoint_is_replaced_or_removed_with_it() {
    let [vit, _, swin] = unusual();
    let folder = folder();
    for (shape, named) in
        [(vit, Some("learngene_vit")), (swin, Some("learngene_swin")), (usual(), None)]
    {
        write_to(&folder, "a", &shape, Dialect::Timm).expect("it belongs to what is replaced");
        assert_eq!(shape_of(&folder, "a"), shape);
        match named {
            Some(named) => assert_eq!(config_json(&folder)["architecture"], named),
            None => assert!(!folder.path().join("config.json").exists()),
        }
    }
}

/// Nobody knows whose it is where two checkpoints lie beside it.
#[test]
fn that_of_several_checkpoints_is_kept() {
    let [vit, _, swin] = unusual();
    let folder = folder();
    write_to(&folder, "a.safetensors", &vit, Dialect::Timm).expect("writable");
    write_to(&folder, "b.safetensors", &usual(), Dialect::Timm).expect("writable");
    let before = config_json(&folder);
    write_to(&folder, "a.safetensors", &swin, Dialect::Timm).expect("its header gives the shape");
    write_to(&folder, "b.safetensors", &usual(), Dialect::HuggingFace).expect_err("it is kept");
    assert_eq!(config_json(&folder), before);
}

#[cfg(unix)]
#[test]
fn where_weights_cannot_be_written_it_stays_that_of_the_old_ones() {
    for (dialect, shape) in [(Dialect::HuggingFace, usual()), (Dialect::Timm, unusual()[2].clone())]
    {
        let folder = folder();
        // A folder that is not empty cannot be replaced by a file.
        fs::create_dir_all(folder.path().join("a/b")).expect("writable");
        let place = folder.path().join("config.json");
        fs::write(&place, "{}").expect("writable");
        let error = write_to(&folder, "a", &shape, dialect).expect_err("a folder is in the way");
        holds(&error, &["cannot write"]);
        assert_eq!(fs::read(&place).expect("kept"), b"{}");
    }
}

#[test]
fn hugging_face_s_of_a_vit_is_what_transformers_wants() {
    let folder = folder();
    let tiny = TINY.read("timm.safetensors");
    write_to(&folder, "model.safetensors", &tiny.shape, Dialect::HuggingFace).expect("writable");
    let config = config_json(&folder);
    assert_eq!(config["architectures"][0], "ViTForImageClassification");
    assert_eq!(config["num_attention_heads"], 3);
    assert_eq!(config["layer_norm_eps"], 1e-6);
    assert_eq!(config["id2label"]["6"], "LABEL_6");
    assert_eq!(config["torch_dtype"], "float16");
}

#[test]
fn hugging_face_s_calls_classes_by_their_names() {
    let folder = folder();
    let shape = usual().with_num_classes(2).expect("few classes");
    let label_names = ["cat", "dog"].map(str::to_owned).to_vec();
    let cfg = PretrainedCfg { preprocessing: None, label_names };
    let (path, parameters) = (folder.path().join("model.safetensors"), zeros(&shape));
    write(&path, &shape, &parameters, Dialect::HuggingFace, Dtype::F16, Some(&cfg))
        .expect("the folder is writable");
    let config = config_json(&folder);
    assert_eq!(config["id2label"], json!({"0": "cat", "1": "dog"}));
    assert_eq!(config["label2id"], json!({"cat": 0, "dog": 1}));
}

#[test]
fn hugging_face_s_of_a_swin_is_what_transformers_wants() {
    let folder = folder();
    let shape = SWIN.read("timm.safetensors").shape.with_num_classes(2).expect("few classes");
    write_to(&folder, "model.safetensors", &shape, Dialect::HuggingFace).expect("writable");
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
    for (golden, name) in [(TINY, "ViTModel"), (SWIN, "SwinModel")] {
        let folder = folder();
        let shape = golden.read("timm.safetensors").shape.with_num_classes(0).expect("a backbone");
        write_to(&folder, "model.safetensors", &shape, Dialect::HuggingFace).expect("writable");
        assert_eq!(config_json(&folder)["architectures"], json!([name]));
        assert_eq!(config_json(&folder).get("id2label"), None);
    }
}
