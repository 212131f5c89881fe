//! One test per way in which a checkpoint cannot be written.

use std::{fs, path::Path};

use learngene_checkpoints::{Dialect, write};
use learngene_shape::{FfnKind, Shape, Vit};
use learngene_tensors::{Dtype, StateDict};

use super::common::{TINY, folder, holds, shape, zeros};

fn tiny() -> (Shape, StateDict) {
    let tiny = TINY.read("timm.safetensors");
    (tiny.shape, tiny.parameters)
}

/// The model is not written, for a reason that holds all of these, and nothing is left.
#[track_caller]
fn refused(
    shape: &Shape,
    parameters: &StateDict,
    (dialect, dtype): (Dialect, Dtype),
    wanted: &[&str],
) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let error = write(&path, shape, parameters, dialect, dtype, None).expect_err(wanted[0]);
    holds(&error.to_string(), &[&["model.safetensors: "], wanted].concat());
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 0);
}

#[test]
fn parameters_of_another_model_are_not_written() {
    let (shape, parameters) = tiny();
    let other = shape.with_num_classes(0).expect("a backbone");
    let timm = (Dialect::Timm, Dtype::F32);
    refused(&other, &parameters, timm, &["unused: head.bias, head.weight"]);
}

#[test]
fn values_that_the_number_format_cannot_hold_are_not_written() {
    for (value, dtype) in [(1e5, Dtype::F16), (f32::NAN, Dtype::F32)] {
        let (shape, mut parameters) = tiny();
        let mut norm = parameters.remove("norm.weight").expect("every ViT has it");
        norm.values[7] = value;
        parameters.insert("norm.weight", norm);
        let wanted = format!("at index 7, expected finite values that {dtype} can hold");
        refused(&shape, &parameters, (Dialect::Timm, dtype), &["norm.weight: found ", &wanted]);
    }
}

#[test]
fn models_that_hugging_face_cannot_express_are_not_written() {
    let vit = || Vit { image_size: 16, ..Vit::new(24, vec![3, 3], 8, vec![40, 40]) };
    let models = [
        (Vit { num_heads: vec![3, 2], ..vit() }, "found 3 heads in layer 0 and 2 in layer 1"),
        (Vit { hidden_dim: vec![40, 30], ..vit() }, "found FFNs 40 wide in layer 0 and 30 in"),
        (Vit { ffn: FfnKind::SwiGlu, ..vit() }, "found FFNs of kind SwiGlu"),
    ];
    for (vit, reason) in models {
        let shape = shape(vit);
        let hf = (Dialect::HuggingFace, Dtype::F32);
        refused(&shape, &zeros(&shape), hf, &["Hugging Face's ViT", reason, "--format timm"]);
    }
}

#[test]
fn a_vit_has_no_official_names() {
    let (shape, parameters) = tiny();
    let official = (Dialect::Official, Dtype::F32);
    refused(&shape, &parameters, official, &["official names: found a vit, expected a swin"]);
}

#[test]
fn a_folder_that_is_not_there() {
    let (shape, parameters) = tiny();
    let path = Path::new("no/such/model.safetensors");
    let error = write(path, &shape, &parameters, Dialect::Timm, Dtype::F32, None);
    let error = error.expect_err("the folder is not there").to_string();
    holds(&error, &["cannot write no/such/model.safetensors: "]);
}
