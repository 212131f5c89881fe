//! What a caller, or a file beside it, may say of a checkpoint.

use std::fs;

use learngene_checkpoints::{
    Checkpoint, Dialect, Preprocessing, PretrainedCfg, ReadOptions, read, write,
};
use learngene_shape::{FfnKind, Vit, resample_positions};
use learngene_tensors::{Dtype, Tensor};

use super::common::{
    SWIGLU, TINY, Tensors, folder, holds, largest_gap, read_beside, read_zeros, shape, zeros,
};

fn read_tiny(options: ReadOptions) -> Checkpoint {
    let options = ReadOptions { num_heads: Some(vec![3]), ..options };
    read(&TINY.path("timm.safetensors"), &options).expect("the fixture is a checkpoint")
}

/// What the golden model says of its images beside files of these names and contents.
fn preprocessing(files: &[(&str, &str)]) -> Result<Option<Preprocessing>, String> {
    Ok(read_beside(TINY, files, &TINY.options())?.pretrained_cfg.preprocessing)
}

#[test]
fn files_beside_a_checkpoint_give_its_preprocessing() {
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
    let one_channel = r#"{"pretrained_cfg": {"mean": [0.5], "std": [0.5]}}"#;
    let error = preprocessing(&[("config.json", one_channel)]).expect_err("one channel");
    let message = "pretrained_cfg.mean: found [0.5], expected three numbers from 0 to 1";
    holds(&error, &["config.json: ", message]);
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
        for preprocessing in [thirds, other] {
            let folder = folder();
            let path = folder.path().join("model.safetensors");
            let pretrained_cfg =
                PretrainedCfg { preprocessing: Some(preprocessing), label_names: Vec::new() };
            let write = || {
                let (cfg, dtype) = (Some(&pretrained_cfg), Dtype::F32);
                write(&path, &tiny.shape, &tiny.parameters, dialect, dtype, cfg)
                    .expect("the folder is writable");
                fs::read(&path).expect("it was just written")
            };
            assert!(write() == write(), "the same bytes");
            if dialect == Dialect::Timm {
                let json = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
                fs::write(folder.path().join("preprocessor_config.json"), json).expect("writable");
            }
            let read = read(&path, &ReadOptions::default()).expect("a checkpoint");
            assert_eq!(read.pretrained_cfg, pretrained_cfg);
            assert_eq!(read.shape, tiny.shape);
        }
    }
}

/// The golden model written with these names for its classes, and what is read of them for so many.
fn label_names(names: &[&str], num_classes: Option<usize>) -> Result<Vec<String>, String> {
    let (tiny, folder) = (TINY.read("timm.safetensors"), folder());
    let label_names = names.iter().map(ToString::to_string).collect();
    let cfg = PretrainedCfg { preprocessing: None, label_names };
    let path = folder.path().join("model.safetensors");
    write(&path, &tiny.shape, &tiny.parameters, Dialect::Timm, Dtype::F32, Some(&cfg))
        .expect("the folder is writable");
    let read = read(&path, &ReadOptions { num_classes, ..ReadOptions::default() });
    read.map(|read| read.pretrained_cfg.label_names).map_err(|error| error.to_string())
}

#[test]
fn names_of_classes_stay_as_long_as_the_classifier() {
    let names = ["ant", "bee", "cat", "dog", "fox", "hen", "owl"];
    assert_eq!(label_names(&names, None).as_deref(), Ok(&names.map(str::to_owned)[..]));
    assert_eq!(label_names(&names, Some(7)).as_deref(), Ok(&names.map(str::to_owned)[..]));
    assert_eq!(label_names(&names, Some(4)), Ok(vec![]));
    assert_eq!(label_names(&[], None), Ok(vec![]));
    let error = label_names(&["cat", "dog"], None).expect_err("seven classes");
    let message = r#"label_names: found ["cat","dog"], expected a name for each class"#;
    holds(&error, &["model.safetensors: pretrained_cfg.", message]);
}

#[test]
fn positions_are_interpolated_as_timm_does() {
    let path = TINY.path("../pos_embed_resample/resampled.safetensors");
    let golden = Tensors::of(&path);
    let cases = [(5, 1), (5, 2), (5, 7), (14, 4), (14, 9), (14, 16), (14, 24)];
    for (old, new) in cases {
        let (shape, values) = golden.f32(&old.to_string());
        let resampled = resample_positions(&Tensor::new(shape, values), 1, old, new);
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
    assert_eq!(Ok(now.shape), was.shape.with_image_size(48).map_err(|error| error.to_string()));
    assert_eq!(now.notes, ["interpolated positions from images of 32 px to 48 px"]);
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
    assert_eq!(now.shape.num_classes(), 10);
    assert_eq!(now.notes, ["replaced the classifier of 7 classes by a fresh one of 10"]);
    assert_eq!(now.parameters.get("head.weight"), Some(&Tensor::zeros([10, 48])));

    let none = read_tiny(ReadOptions { num_classes: Some(0), ..ReadOptions::default() });
    assert_eq!(none.notes, ["dropped the classifier of 7 classes"]);
    none.parameters.check_against(&none.shape.parameter_shapes()).expect("they fit");

    let same = read_tiny(ReadOptions { num_classes: Some(7), ..ReadOptions::default() });
    assert_eq!(same.parameters, read_tiny(ReadOptions::default()).parameters);
}

#[test]
fn a_configuration_beside_the_file_gives_the_heads() {
    let heads = |json: &str| {
        let read = read_beside(TINY, &[("config.json", json)], &ReadOptions::default());
        read.expect("the configuration gives the heads").shape.get::<Vit>().cloned().expect("a ViT")
    };
    let transformers =
        heads(r#"{"model_type": "vit", "num_attention_heads": 3, "layer_norm_eps": 1e-12}"#);
    assert_eq!((transformers.num_heads, transformers.layer_norm_eps), (vec![3; 3], 1e-12));
    let ours = heads(r#"{"num_heads": [6, 6, 6], "head_dim": 8, "hidden_dim": [192, 192, 192]}"#);
    assert_eq!((ours.num_heads, ours.head_dim), (vec![6; 3], 8));
    // The header of files that were written before this project had a Swin.
    let old = heads(r#"{"num_heads": [3, 3, 3], "head_dim": 16, "mlp_hidden_dim": 192}"#);
    assert_eq!(old.hidden_dim, [192; 3]);
}

#[test]
fn a_configuration_gives_the_kind_of_the_ffns() {
    // A plain MLP may have twice as many rows as the next matrix has columns in no model.
    let says = |ffn: &str| {
        let json = format!(r#"{{"ffn": "{ffn}"}}"#);
        read_beside(SWIGLU, &[("config.json", &json)], &SWIGLU.options())
    };
    let shape = says("swiglu").expect("it agrees with the tensors").shape;
    assert_eq!(shape.layer(0).ffn.kind, FfnKind::SwiGlu);
    let message = "blocks.0.mlp.fc1.weight is [104, 48], expected [52, 48]";
    holds(&says("mlp").expect_err("it contradicts the tensors"), &[message]);
    let message = r#"ffn: found "geglu", expected "mlp" or "swiglu""#;
    holds(&says("geglu").expect_err("an unknown kind"), &[message]);
}

#[test]
fn timm_s_configuration_names_the_architecture() {
    let folder = folder();
    let shape = shape(Vit { num_classes: 0, ..Vit::deit_tiny() });
    let path = Tensors::zeros(&shape).save(&folder);
    let json = r#"{"architecture": "deit_tiny_patch16_224", "num_classes": 1000}"#;
    fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    let found = read(&path, &ReadOptions::default()).expect("a checkpoint");
    assert_eq!((found.shape, found.notes), (shape, vec![]));
    let options = ReadOptions { num_heads: Some(vec![6]), ..ReadOptions::default() };
    let error = read(&path, &options).expect_err("it has 3 heads").to_string();
    holds(&error, &["config.json: num_heads[0]: found 3, expected 6 to match --num-heads"]);
}

/// Files that were written before headers named the family and a hidden width for each layer.
#[test]
fn files_with_headers_of_before_are_read() {
    for (file, family, heads) in [("desk_ancestor", "vit", [8, 8]), ("desk_swin", "swin", [4, 16])]
    {
        let path = TINY.path(&format!("../../../datasets/{file}/{file}.safetensors"));
        let found = read(&path, &ReadOptions::default()).expect("a checkpoint");
        let num_heads = found.shape.num_heads();
        assert_eq!((found.shape.family(), found.notes), (family, vec![]));
        assert_eq!((num_heads.len(), [num_heads[0], num_heads[11]]), (12, heads));
        assert_eq!(found.shape.image().size, 32);
    }
}

/// The header, or else config.json, then the published models; options must agree on heads.
#[test]
fn the_nearest_source_wins() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let vit = Vit { image_size: 16, layer_norm_eps: 1e-5, ..Vit::uniform(192, 1, 12) };
    let shape = shape(vit);
    write(&path, &shape, &zeros(&shape), Dialect::Timm, Dtype::F32, None).expect("writable");
    let heads = |options: &ReadOptions| {
        let read = read(&path, options).map_err(|error| error.to_string())?.shape;
        let eps = read.get::<Vit>().map(|vit| vit.layer_norm_eps);
        Ok::<_, String>((read.num_heads()[0], eps.expect("a ViT")))
    };
    let json = r#"{"num_attention_heads": 6, "layer_norm_eps": 1e-12}"#;
    fs::write(folder.path().join("config.json"), json).expect("the folder is writable");
    assert_eq!(heads(&ReadOptions::default()), Ok((12, 1e-5)));
    let eps = ReadOptions { layer_norm_eps: Some(1e-3), ..ReadOptions::default() };
    assert_eq!(heads(&eps), Ok((12, 1e-3)));
    let given = |heads| ReadOptions { num_heads: Some(vec![heads]), ..ReadOptions::default() };
    assert_eq!(heads(&given(12)), Ok((12, 1e-5)));
    let error = heads(&given(2)).expect_err("the header says 12");
    holds(&error, &["header of ", "num_heads: found 12, expected 2 to match --num-heads"]);

    let bare = Tensors::of(&path).save(&folder);
    assert_eq!(bare, path);
    assert_eq!(heads(&ReadOptions::default()), Ok((6, 1e-12)));
    let error = heads(&given(2)).expect_err("config.json says 6");
    holds(&error, &["config.json: num_heads: found 6, expected 2 to match --num-heads"]);
    fs::remove_file(folder.path().join("config.json")).expect("it was written");
    assert_eq!(heads(&ReadOptions::default()), Ok((3, 1e-6)));
}

#[test]
fn published_widths_need_no_options() {
    for (embed_dim, heads, head_dim) in [(192, 3, 64), (1024, 16, 64), (1280, 16, 80)] {
        let shape = shape(Vit { image_size: 16, ..Vit::uniform(embed_dim, 1, heads) });
        let read = read_zeros(&shape, &ReadOptions::default());
        assert_eq!(read.shape, shape);
        let note =
            format!("assumed heads {head_dim} wide, as in the published model of this width");
        holds(&read.notes[0], &[&note, "pass --num-heads"]);
    }
}

#[test]
fn an_architecture_gives_the_heads() {
    let arch = Some("deit_tiny_patch16_224".into());
    let shape = shape(Vit { num_classes: 10, image_size: 32, ..Vit::deit_tiny() });
    let read = read_zeros(&shape, &ReadOptions { arch, ..ReadOptions::default() });
    assert_eq!((read.shape, read.notes), (shape, vec![]));
}
