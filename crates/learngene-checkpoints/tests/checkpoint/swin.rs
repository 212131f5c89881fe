//! What a Swin's tensors, a caller, or a file beside it say of its windows and images.

use std::fs;

use learngene_checkpoints::{Checkpoint, Dialect, ReadOptions, read};
use learngene_shape::Swin;

use super::common::{SWIN, folder, holds, read_beside, read_zeros, shape, write_zeros};

fn images(side: usize) -> ReadOptions {
    ReadOptions { image_size: Some(side), ..ReadOptions::default() }
}

/// The tiny Swin beside this config.json.
fn beside(json: &str) -> Checkpoint {
    read_beside(SWIN, &[("config.json", json)], &ReadOptions::default()).expect("a checkpoint")
}

#[test]
fn tensors_give_all_but_the_images() {
    let swin = Swin::uniform(16, &[2, 2], &[2, 4]);
    let want = shape(Swin { window_size: 4, patch_size: 2, num_classes: 6, ..swin });
    let read = beside("{}");
    assert_eq!(read.shape, want);
    let note = "assumed images of 224 px, as in the published models; pass --image-size";
    holds(&read.notes[0], &[note]);
}

#[test]
fn heads_and_widths_may_differ_from_layer_to_layer() {
    let swin = Swin {
        num_heads: vec![2, 1, 5, 4, 3],
        head_dim: vec![8, 6],
        hidden_dim: vec![40, 30, 20, 56, 57],
        image_size: 56,
        ..Swin::uniform(16, &[3, 2], &[2, 4])
    };
    let shape = shape(swin);
    assert_eq!(read_zeros(&shape, &images(56)).shape, shape);
}

#[test]
fn a_configuration_beside_the_file_gives_the_images() {
    let size = |json: &str| {
        let read = beside(json);
        assert_eq!(read.notes, [""; 0], "{json}");
        read.shape.image().size
    };
    assert_eq!(size(r#"{"model_type": "swin", "image_size": 32}"#), 32);
    // As files had it before heads were one list.
    assert_eq!(size(r#"{"family": "swin", "image_size": 64, "num_heads": [[2, 2], [4, 4]]}"#), 64);
    assert_eq!(size(r#"{"architecture": "x", "pretrained_cfg": {"input_size": [3, 96, 96]}}"#), 96);
}

#[test]
fn masks_of_shifted_windows_give_the_images() {
    let read = read(&SWIN.path("official.pth"), &ReadOptions::default()).expect("a checkpoint");
    assert_eq!((read.shape.image().size, read.notes), (32, vec![]));
}

#[test]
fn a_stage_of_smaller_windows_gives_the_images() {
    for image_size in [56, 112, 224] {
        // One token less than the windows are wide, in the last stage.
        let swin = Swin::uniform(8, &[2, 1, 2], &[2, 2, 2]);
        let shape = shape(Swin { patch_size: 2, image_size, window_size: image_size / 4, ..swin });
        let read = read_zeros(&shape, &ReadOptions::default());
        assert_eq!((read.shape, read.notes), (shape, vec![]));
    }
}

#[test]
fn an_architecture_gives_the_images() {
    let shape = shape(Swin { num_classes: 10, ..Swin::swin_tiny() });
    let arch = Some("swin_tiny_patch4_window7_224".into());
    let read = read_zeros(&shape, &ReadOptions { arch, ..ReadOptions::default() });
    assert_eq!((read.shape, read.notes), (shape, vec![]));
}

/// Options, then the header, then config.json.
#[test]
fn the_nearest_source_of_the_images_wins() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let large = shape(Swin { image_size: 448, ..Swin::swin_tiny() });
    write_zeros(&path, &large, Dialect::Official).expect("the folder is writable");
    fs::write(folder.path().join("config.json"), r#"{"image_size": 896}"#).expect("writable");
    let read = |options: &ReadOptions| read(&path, options).expect("a checkpoint");
    let of_header = read(&ReadOptions::default());
    assert_eq!((of_header.shape.image().size, of_header.notes), (448, vec![]));
    let given = read(&images(224));
    assert_eq!(given.shape, shape(Swin::swin_tiny()));
    let note = "takes images of 224 px in place of 448 px, in the same windows";
    assert_eq!(given.notes, [note]);
    assert_eq!(given.parameters, of_header.parameters);
}

/// Where every stage is one window, tables do not give the size that windows might have.
#[test]
fn a_window_that_fills_the_image_comes_back() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let swin = Swin { image_size: 16, window_size: 9, ..Swin::uniform(8, &[1, 1], &[1, 1]) };
    let shape = shape(swin);
    write_zeros(&path, &shape, Dialect::Timm).expect("the folder is writable");
    assert_eq!(read(&path, &ReadOptions::default()).expect("a checkpoint").shape, shape);
}

#[test]
fn heads_that_are_given_may_be_one_number_for_each_stage_or_layer() {
    for heads in [vec![2, 4], vec![2, 2, 4, 4]] {
        let options = ReadOptions { num_heads: Some(heads), ..SWIN.options() };
        let read = read(&SWIN.path("timm.safetensors"), &options).expect("they agree");
        assert_eq!(read.shape.num_heads(), [2, 2, 4, 4]);
    }
    let shape = shape(Swin { image_size: 56, ..Swin::uniform(8, &[2, 1], &[2, 2]) });
    let options = ReadOptions { num_heads: Some(vec![2]), ..images(56) };
    assert_eq!(read_zeros(&shape, &options).shape, shape);
}

#[test]
fn another_number_of_classes_replaces_the_classifier() {
    for file in ["timm.safetensors", "official.pth", "hf.safetensors"] {
        for classes in [0, 9] {
            let options = ReadOptions { num_classes: Some(classes), ..SWIN.options() };
            let read = read(&SWIN.path(file), &options).expect("a checkpoint");
            assert_eq!((read.shape.num_classes(), read.notes.len()), (classes, 1));
            read.parameters.check_against(&read.shape.parameter_shapes()).expect("they fit");
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
    let read = read(&tensors.save(&folder), &SWIN.options()).expect("a checkpoint");
    assert_eq!(read.notes, ["left out what no classifier uses: swin.pooler.dense.weight"]);
    assert_eq!(read.parameters, SWIN.read("hf.safetensors").parameters);
}
