//! What a Swin's tensors, a caller, or a file beside it tell of its windows and images.

use std::fs;

use learngene_models::{
    ModelConfig, SwinConfig,
    checkpoint::{self, Checkpoint, Dialect, Dtype, Note, ReadOptions},
};

use super::common::{SWIN, Tensors, folder, zeros};

fn images(side: usize) -> ReadOptions {
    ReadOptions { image_size: Some(side), ..ReadOptions::default() }
}

/// The tiny Swin beside this config.json, if any.
fn read_beside(json: Option<&str>) -> Checkpoint {
    let folder = folder();
    let path = SWIN.tensors("timm.safetensors").save(&folder);
    if let Some(json) = json {
        fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    }
    checkpoint::read(&path, &ReadOptions::default()).expect("a checkpoint")
}

fn read_zeros(config: &SwinConfig, options: &ReadOptions) -> Checkpoint {
    let folder = folder();
    let path = Tensors::zeros(&config.clone().into()).save(&folder);
    checkpoint::read(&path, options).expect("the shapes are those of a model")
}

#[test]
fn tensors_tell_all_but_the_images() {
    let want = SwinConfig::uniform(16, &[2, 2], &[2, 4])
        .with_window_size(4)
        .with_patch_size(2)
        .with_num_classes(6);
    let read = read_beside(None);
    assert_eq!(read.config, want.into());
    assert_eq!(read.notes, [Note::ImageSizeAssumed { image_size: 224 }]);
    assert_eq!(read.notes[0].to_string(), "assumed images of 224 px, as in the published models");
}

#[test]
fn heads_and_widths_may_differ_from_layer_to_layer() {
    let config = SwinConfig::new(16, vec![vec![2, 1, 5], vec![4, 3]], vec![8, 6], vec![40, 56]);
    let config = config.with_image_size(56);
    assert_eq!(read_zeros(&config, &images(56)).config, config.into());
}

#[test]
fn a_configuration_beside_the_file_tells_the_images() {
    let told = |json: &str| {
        let read = read_beside(Some(json));
        assert_eq!(read.notes, [], "{json}");
        read.config.image_size()
    };
    assert_eq!(told(r#"{"model_type": "swin", "image_size": 32}"#), 32);
    assert_eq!(told(r#"{"family": "swin", "image_size": 64, "num_heads": [[2, 2], [4, 4]]}"#), 64);
    assert_eq!(told(r#"{"architecture": "x", "pretrained_cfg": {"input_size": [3, 96, 96]}}"#), 96);
}

#[test]
fn masks_of_shifted_windows_tell_the_images() {
    let read = checkpoint::read(&SWIN.path("official.pth"), &ReadOptions::default());
    let read = read.expect("a checkpoint");
    assert_eq!((read.config.image_size(), read.notes), (32, vec![]));
}

#[test]
fn a_stage_of_smaller_windows_tells_the_images() {
    for image_size in [56, 112, 224] {
        // One token less than the windows are wide, in the last stage.
        let config = SwinConfig::uniform(8, &[2, 1, 2], &[2, 2, 2]).with_patch_size(2);
        let config = config.with_image_size(image_size).with_window_size(image_size / 4);
        let read = read_zeros(&config, &ReadOptions::default());
        assert_eq!((read.config, read.notes), (config.into(), vec![]));
    }
}

#[test]
fn an_architecture_tells_the_images() {
    let config = SwinConfig::swin_tiny().with_num_classes(10);
    let arch = Some("swin_tiny_patch4_window7_224".into());
    let read = read_zeros(&config, &ReadOptions { arch, ..ReadOptions::default() });
    assert_eq!((read.config, read.notes), (config.into(), vec![]));
}

/// Options, then the header, then config.json.
#[test]
fn the_nearest_source_of_the_images_wins() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let config: ModelConfig = SwinConfig::swin_tiny().with_image_size(448).into();
    let Ok(()) =
        checkpoint::write(&path, &config, &zeros(&config), Dialect::Official, Dtype::F16, None)
    else {
        panic!("the folder is writable")
    };
    fs::write(folder.path().join("config.json"), r#"{"image_size": 896}"#).expect("writable");
    let read = |options: &ReadOptions| checkpoint::read(&path, options).expect("a checkpoint");
    let untold = read(&ReadOptions::default());
    assert_eq!((untold.config.image_size(), untold.notes), (448, vec![]));
    let told = read(&images(224));
    assert_eq!(told.config, SwinConfig::swin_tiny().into());
    assert_eq!(told.notes, [Note::ImageSizeChanged { from: 448, to: 224 }]);
    let note = "takes images of 224 px in place of 448 px, in the same windows";
    assert_eq!(told.notes[0].to_string(), note);
    assert_eq!(told.parameters, untold.parameters);
}

/// All stages are one window: their sides alone would tell of no larger one.
#[test]
fn a_window_of_more_than_the_image_is_kept() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let config = SwinConfig::uniform(8, &[1, 1], &[2, 2]).with_image_size(16).with_window_size(7);
    let config = config.into();
    checkpoint::write(&path, &config, &zeros(&config), Dialect::Timm, Dtype::F32, None)
        .expect("writable");
    let read = checkpoint::read(&path, &ReadOptions::default()).expect("a checkpoint");
    assert_eq!(read.config, config);
}

#[test]
fn heads_that_are_given_may_be_one_number_for_each_stage_or_layer() {
    for heads in [vec![2, 4], vec![2, 2, 4, 4]] {
        let options = ReadOptions { num_heads: Some(heads), ..SWIN.options() };
        let read = checkpoint::read(&SWIN.path("timm.safetensors"), &options).expect("they agree");
        assert_eq!(read.config.num_heads(), [2, 2, 4, 4]);
    }
    let config = SwinConfig::uniform(8, &[2, 1], &[2, 2]).with_image_size(56);
    let options = ReadOptions { num_heads: Some(vec![2]), ..images(56) };
    assert_eq!(read_zeros(&config, &options).config, config.into());
}

#[test]
fn another_number_of_classes_replaces_the_classifier() {
    for file in ["timm.safetensors", "official.pth", "hf.safetensors"] {
        for classes in [0, 9] {
            let options = ReadOptions { num_classes: Some(classes), ..SWIN.options() };
            let read = checkpoint::read(&SWIN.path(file), &options).expect("a checkpoint");
            assert_eq!(read.notes, [Note::ClassifierReplaced { from: 6, to: classes }]);
            let weight = read.parameters.get("head.fc.weight").map(|weight| weight.shape.clone());
            assert_eq!(weight, (classes > 0).then(|| vec![classes, 32]));
            read.load(&burn::tensor::Device::flex()).expect("its parameters fit");
        }
    }
}

#[test]
fn poolers_and_buffers_are_left_out() {
    let folder = folder();
    let index = "swin.encoder.layers.0.blocks.0.attention.self.relative_position_index";
    let mut tensors = SWIN
        .tensors("hf.safetensors")
        .with_zeros("swin.pooler.dense.weight", &[32, 32])
        .with_zeros("layers.0.blocks.1.attn_mask", &[16, 16, 16]);
    tensors.0.insert(index.into(), (safetensors::Dtype::I64, vec![16, 16], vec![0; 8 * 256]));
    let read = checkpoint::read(&tensors.save(&folder), &SWIN.options()).expect("a checkpoint");
    let keys = vec!["swin.pooler.dense.weight".into()];
    assert_eq!(read.notes, [Note::LeftOut { keys }]);
    assert_eq!(read.parameters, SWIN.read("hf.safetensors").parameters);
}
