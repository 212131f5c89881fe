//! One test per way in which a checkpoint cannot be written.

use std::{fs, path::Path};

use learngene_models::{
    ModelConfig, StateDict, VitConfig,
    checkpoint::{self, CheckpointError, Dialect, Dtype},
};

use super::common::{TINY, folder, zeros};

fn tiny() -> (ModelConfig, StateDict) {
    let tiny = TINY.read("timm.safetensors");
    (tiny.config, tiny.parameters)
}

#[test]
fn parameters_of_another_model_are_not_written() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let (config, parameters) = tiny();
    let other = config.with_num_classes(0);
    let error = checkpoint::write(&path, &other, &parameters, Dialect::Timm, Dtype::F32, None)
        .expect_err("a classifier is too many");
    assert!(error.to_string().contains("unused: head.bias, head.weight"), "{error}");
    assert!(!path.exists());
}

#[test]
fn values_that_the_number_format_cannot_hold_are_not_written() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    for (value, dtype) in [(1e5, Dtype::F16), (f32::MAX, Dtype::BF16), (f32::NAN, Dtype::F32)] {
        let (config, mut parameters) = tiny();
        let mut norm = parameters.remove("norm.weight").expect("every ViT has it");
        norm.values[7] = value;
        parameters.insert("norm.weight", norm);
        let error = checkpoint::write(&path, &config, &parameters, Dialect::Timm, dtype, None)
            .expect_err("a value is at fault")
            .to_string();
        assert!(error.contains("norm.weight is ") && error.contains("at index 7"), "{error}");
        assert!(error.contains(&format!("which {dtype} cannot hold")), "{error}");
        assert!(!path.exists());
    }
}

#[test]
fn models_that_hugging_face_cannot_express_are_not_written() {
    let reasons = [
        (vec![3, 2], 8, "layer 0 has 3 heads, layer 1 has 2"),
        (vec![2, 2], 8, "2 heads of width 8 are not as wide as its embed_dim of 24"),
    ];
    for (num_heads, head_dim, reason) in reasons {
        let folder = folder();
        let path = folder.path().join("model.safetensors");
        let config = VitConfig::new(24, num_heads, head_dim, 40).with_image_size(16).into();
        let error = checkpoint::write(
            &path,
            &config,
            &zeros(&config),
            Dialect::HuggingFace,
            Dtype::F32,
            None,
        )
        .expect_err("transformers has no such model");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 0);
    }
}

#[test]
fn a_vit_has_no_official_names() {
    let (config, parameters) = tiny();
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let error = checkpoint::write(&path, &config, &parameters, Dialect::Official, Dtype::F32, None)
        .expect_err("Swin's repository has no ViT")
        .to_string();
    assert!(error.contains("a ViT has no official names"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_config_of_another_model_beside_it() {
    let (config, parameters) = tiny();
    let folder = folder();
    let place = folder.path().join("config.json");
    fs::write(&place, "{}").expect("the folder is writable");
    let path = folder.path().join("model.safetensors");
    let error =
        checkpoint::write(&path, &config, &parameters, Dialect::HuggingFace, Dtype::F32, None)
            .expect_err("the configuration is that of another model");
    assert!(matches!(error, CheckpointError::OtherConfig { .. }), "{error}");
    assert_eq!(fs::read(&place).expect("it was kept"), b"{}");
    assert!(!path.exists());
}

#[test]
fn a_folder_that_is_not_there() {
    let (config, parameters) = tiny();
    let path = Path::new("no/such/model.safetensors");
    let error = checkpoint::write(path, &config, &parameters, Dialect::Timm, Dtype::F32, None)
        .expect_err("the folder is not there");
    assert!(matches!(error, CheckpointError::Write { .. }), "{error}");
    assert!(error.to_string().contains("cannot write no/such/model.safetensors"), "{error}");
}
