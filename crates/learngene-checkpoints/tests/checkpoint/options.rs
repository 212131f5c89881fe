//! What a caller, or a file beside it, may say of a checkpoint.

use std::fs;

use learngene_models::{
    HostTensor, ModelConfig, VitConfig,
    checkpoint::{
        self, Checkpoint, Dialect, Dtype, Note, Preprocessing, PretrainedCfg, ReadOptions,
        resample_pos_embed,
    },
};

use super::common::{TINY, Tensors, folder, largest_gap, vit_config, zeros};

fn read_tiny(options: ReadOptions) -> Checkpoint {
    let options = ReadOptions { num_heads: Some(vec![3]), ..options };
    checkpoint::read(&TINY.path("timm.safetensors"), &options).expect("the fixture is a checkpoint")
}

/// The tiny model beside this config.json.
fn read_beside(json: &str, options: &ReadOptions) -> Checkpoint {
    let folder = folder();
    let path = TINY.tensors("timm.safetensors").save(&folder);
    fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    checkpoint::read(&path, options).expect("the configuration tells the heads")
}

/// What the golden model tells of its images beside files of these names and contents.
fn preprocessing(files: &[(&str, &str)]) -> Result<Option<Preprocessing>, String> {
    let folder = folder();
    for (name, json) in files {
        fs::write(folder.path().join(name), json).expect("the folder is writable");
    }
    let path = TINY.tensors("timm.safetensors").save(&folder);
    let read = checkpoint::read(&path, &TINY.options());
    read.map(|read| read.pretrained_cfg.preprocessing).map_err(|error| error.to_string())
}

#[test]
fn files_beside_a_checkpoint_tell_its_preprocessing() {
    const TIMM: (&str, &str) = (
        "config.json",
        r#"{"architecture": "x", "pretrained_cfg": {"mean": [0.5, 0.25, 0.5], "std": [1, 1, 0.5],
            "crop_pct": 0.95}}"#,
    );
    const TRANSFORMERS: (&str, &str) = (
        "preprocessor_config.json",
        r#"{"image_mean": [0.125, 0.25, 0.5], "image_std": [0.5, 0.5, 0.5], "crop_pct": null}"#,
    );
    let timm = Preprocessing { mean: [0.5, 0.25, 0.5], std: [1.0, 1.0, 0.5], crop_pct: Some(0.95) };
    let transformers = Preprocessing { mean: [0.125, 0.25, 0.5], std: [0.5; 3], crop_pct: None };
    assert_eq!(preprocessing(&[]), Ok(None));
    assert_eq!(preprocessing(&[("config.json", r#"{"model_type": "vit"}"#)]), Ok(None));
    assert_eq!(preprocessing(&[TRANSFORMERS]), Ok(Some(transformers)));
    assert_eq!(preprocessing(&[TRANSFORMERS, TIMM]), Ok(Some(timm)));
}

#[test]
fn statistics_of_other_than_three_channels() {
    let json = r#"{"pretrained_cfg": {"mean": [0.5], "std": [0.5]}}"#;
    let error = preprocessing(&[("config.json", json)]).expect_err("one channel");
    let message = "config.json has pretrained_cfg.mean [0.5], wanted three numbers from 0 to 1";
    assert!(error.ends_with(message), "{error}");
}

/// In the header, or in Hugging Face's names beside the file; the header speaks first.
#[test]
fn preprocessing_comes_back_as_it_was_written() {
    let tiny = TINY.read("timm.safetensors");
    let [thirds, other] = [Some(1.0 / 3.0), None].map(|crop_pct| Preprocessing {
        mean: [0.1, 0.7, 1.0],
        std: [1.0 / 3.0, 0.1, 1.0],
        crop_pct,
    });
    for dialect in [Dialect::Timm, Dialect::HuggingFace] {
        for told in [thirds, other] {
            let folder = folder();
            let path = folder.path().join("model.safetensors");
            let pretrained_cfg =
                PretrainedCfg { preprocessing: Some(told), label_names: Vec::new() };
            let write = || {
                let (config, parameters) = (&tiny.config, &tiny.parameters);
                let told = Some(&pretrained_cfg);
                checkpoint::write(&path, config, parameters, dialect, Dtype::F32, told)
                    .expect("the folder is writable");
                fs::read(&path).expect("it was just written")
            };
            assert!(write() == write(), "the same bytes");
            if dialect == Dialect::Timm {
                let json = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
                fs::write(folder.path().join("preprocessor_config.json"), json).expect("writable");
            }
            let read = checkpoint::read(&path, &ReadOptions::default()).expect("a checkpoint");
            assert_eq!(read.pretrained_cfg, pretrained_cfg);
            assert_eq!(read.config, tiny.config);
        }
    }
}

/// The golden model written with these names for its classes, and what is read of them for so many.
fn label_names(names: &[&str], num_classes: Option<usize>) -> Result<Vec<String>, String> {
    let (tiny, folder) = (TINY.read("timm.safetensors"), folder());
    let label_names = names.iter().map(ToString::to_string).collect();
    let told = PretrainedCfg { preprocessing: None, label_names };
    let path = folder.path().join("model.safetensors");
    let (config, parameters) = (&tiny.config, &tiny.parameters);
    checkpoint::write(&path, config, parameters, Dialect::Timm, Dtype::F32, Some(&told))
        .expect("the folder is writable");
    let read = checkpoint::read(&path, &ReadOptions { num_classes, ..ReadOptions::default() });
    read.map(|read| read.pretrained_cfg.label_names).map_err(|error| error.to_string())
}

#[test]
fn names_of_classes_stay_as_long_as_the_classifier() {
    let names = ["ant", "bee", "cat", "dog", "fox", "hen", "owl"];
    assert_eq!(label_names(&names, None).as_deref(), Ok(&names.map(str::to_owned)[..]));
    assert_eq!(label_names(&names, Some(7)).as_deref(), Ok(&names.map(str::to_owned)[..]));
    assert_eq!(label_names(&names, Some(4)), Ok(vec![]));
    assert_eq!(label_names(&[], None), Ok(vec![]));
}

#[test]
fn names_of_other_than_all_classes() {
    let error = label_names(&["cat", "dog"], None).expect_err("seven classes");
    let message = "model.safetensors has pretrained_cfg.label_names [\"cat\",\"dog\"], wanted a name \
                   for each class of the model";
    assert!(error.ends_with(message), "{error}");
}

/// A file of zeros of this shape, without any metadata.
fn read_zeros(config: &ModelConfig, options: &ReadOptions) -> Checkpoint {
    let folder = folder();
    let path = Tensors::zeros(config).save(&folder);
    checkpoint::read(&path, options).expect("the shapes are those of a model")
}

#[test]
fn positions_are_interpolated_as_timm_does() {
    let path = TINY.path("../pos_embed_resample/resampled.safetensors");
    let golden = Tensors::of(&path);
    let cases = [(5, 1), (5, 2), (5, 7), (14, 4), (14, 9), (14, 16), (14, 24)];
    for (old, new) in cases {
        let (shape, values) = golden.f32(&old.to_string());
        let resampled = resample_pos_embed(&HostTensor::new(shape, values), old, new);
        // PyTorch's own f32 results are up to 4.5e-6 away from its f64 ones.
        for (name, bound) in [("", 1e-5), ("_in_f64", 1e-6)] {
            let name = format!("{old}_to_{new}{name}");
            let (shape, want) = golden.f32(&name);
            assert_eq!(resampled.shape, shape, "{name}");
            let worst = largest_gap(&resampled.values, &want);
            assert!(worst < bound, "{name} differs by {worst}");
        }
    }
}

#[test]
fn another_image_size_changes_positions_alone() {
    let was = read_tiny(ReadOptions::default());
    let now = read_tiny(ReadOptions { image_size: Some(48), ..ReadOptions::default() });
    assert_eq!(now.config, was.config.clone().with_image_size(48));
    assert_eq!(now.notes, [Note::PositionsResampled { from: 32, to: 48 }]);
    for (name, tensor) in now.parameters.iter() {
        match name {
            "pos_embed" => assert_eq!(tensor.shape, [1, 37, 48]),
            name => assert_eq!(Some(tensor), was.parameters.get(name), "{name}"),
        }
    }
    let same = read_tiny(ReadOptions { image_size: Some(32), ..ReadOptions::default() });
    assert_eq!((same.parameters, same.notes), (was.parameters, vec![]));
}

#[test]
fn another_number_of_classes_replaces_the_classifier() {
    let now = read_tiny(ReadOptions { num_classes: Some(10), ..ReadOptions::default() });
    assert_eq!(now.config.num_classes(), 10);
    assert_eq!(now.notes, [Note::ClassifierReplaced { from: 7, to: 10 }]);
    let head = HostTensor::new([10, 48], vec![0.0; 480]);
    assert_eq!(now.parameters.get("head.weight"), Some(&head));

    let none = read_tiny(ReadOptions { num_classes: Some(0), ..ReadOptions::default() });
    assert_eq!(none.config.num_classes(), 0);
    assert_eq!(none.parameters.get("head.weight"), None);
    none.load(&burn::tensor::Device::flex()).expect("a model without a classifier");

    let same = read_tiny(ReadOptions { num_classes: Some(7), ..ReadOptions::default() });
    assert_eq!(same.parameters, read_tiny(ReadOptions::default()).parameters);
}

#[test]
fn a_pooler_is_left_out_with_a_note() {
    let folder = folder();
    let tensors = TINY
        .tensors("hf.safetensors")
        .with_zeros("vit.pooler.dense.weight", &[48, 48])
        .with_zeros("vit.pooler.dense.bias", &[48]);
    let read = checkpoint::read(&tensors.save(&folder), &TINY.options()).expect("a checkpoint");
    let keys = vec!["vit.pooler.dense.bias".into(), "vit.pooler.dense.weight".into()];
    assert_eq!(read.notes, [Note::LeftOut { keys }]);
}

#[test]
fn a_configuration_beside_the_file_tells_the_heads() {
    let default = ReadOptions::default();
    let transformers =
        r#"{"model_type": "vit", "num_attention_heads": 3, "layer_norm_eps": 1e-12}"#;
    let read = read_beside(transformers, &default);
    assert_eq!((read.config.num_heads(), read.config.layer_norm_eps()), (vec![3; 3], 1e-12));
    let ours = read_beside(r#"{"num_heads": [6, 6, 6], "head_dim": 8}"#, &default);
    let ours = vit_config(ours.config);
    assert_eq!((ours.num_heads, ours.head_dim), (vec![6; 3], 8));
}

#[test]
fn timm_s_configuration_names_the_architecture() {
    let folder = folder();
    let config = VitConfig::deit_tiny().with_num_classes(0).into();
    let path = Tensors::zeros(&config).save(&folder);
    let json = r#"{"architecture": "deit_tiny_patch16_224", "num_classes": 1000}"#;
    fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    let read = checkpoint::read(&path, &ReadOptions::default()).expect("a checkpoint");
    assert_eq!((read.config, read.notes), (config, vec![]));
}

/// The header, or else config.json, then the published models; options must agree on heads.
#[test]
fn the_nearest_source_wins() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let config = VitConfig::uniform(192, 1, 12).with_image_size(16).with_layer_norm_eps(1e-5);
    let config = config.into();
    checkpoint::write(&path, &config, &zeros(&config), Dialect::Timm, Dtype::F32, None)
        .expect("writable");
    let heads = |options: &ReadOptions| {
        let read = checkpoint::read(&path, options).map_err(|error| error.to_string())?.config;
        Ok::<_, String>((read.num_heads()[0], read.layer_norm_eps()))
    };
    let json = r#"{"num_attention_heads": 6, "layer_norm_eps": 1e-12}"#;
    fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    assert_eq!(heads(&ReadOptions::default()), Ok((12, 1e-5)));
    let eps = ReadOptions { layer_norm_eps: Some(1e-3), ..ReadOptions::default() };
    assert_eq!(heads(&eps), Ok((12, 1e-3)));
    let given = |heads| ReadOptions { num_heads: Some(vec![heads]), ..ReadOptions::default() };
    assert_eq!(heads(&given(12)), Ok((12, 1e-5)));
    let error = heads(&given(2)).expect_err("the header says 12");
    assert!(error.contains("--num-heads gives layer 0 of"), "{error}");

    let bare = Tensors::of(&path).save(&folder);
    assert_eq!(bare, path);
    assert_eq!(heads(&ReadOptions::default()), Ok((6, 1e-12)));
    let error = heads(&given(2)).expect_err("config.json says 6");
    assert!(error.contains("config.json says 6"), "{error}");
    fs::remove_file(folder.path().join("config.json")).expect("it was written");
    assert_eq!(heads(&ReadOptions::default()), Ok((3, 1e-6)));
}

#[test]
fn published_widths_need_no_options() {
    for (embed_dim, heads, head_dim) in [(192, 3, 64), (1024, 16, 64), (1280, 16, 80)] {
        let config = VitConfig::uniform(embed_dim, 1, heads).with_image_size(16).into();
        let read = read_zeros(&config, &ReadOptions::default());
        assert_eq!((read.config, read.notes), (config, vec![Note::HeadDimAssumed { head_dim }]));
    }
}

#[test]
fn an_architecture_tells_the_heads() {
    let arch = Some("deit_tiny_patch16_224".into());
    let config = VitConfig::deit_tiny().with_num_classes(10).with_image_size(32).into();
    let read = read_zeros(&config, &ReadOptions { arch, ..ReadOptions::default() });
    assert_eq!((read.config, read.notes), (config, vec![]));
}
