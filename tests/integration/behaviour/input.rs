//! What is refused at the door.

use std::{collections::BTreeMap, convert::Infallible, path::Path};

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::ReadOptions;
use learngene_condensing::probe;
use learngene_datasets::{DatasetError, Preprocess};
use learngene_format::Convention;
use learngene_models::Model;
use learngene_tensors::{Dtype, Error, Part, safetensors};

use crate::support::{GOLDEN_VITS, folder, images, load, settings, tensors_of, tiny_ancestor};

/// ImageNet's statistics on the scale of bytes, by which the published probe normalised pixels
/// between 0 and 1.
const BYTE_MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const BYTE_STD: [f32; 3] = [58.395, 57.12, 57.375];

#[test]
fn nearly_blank_probe_inputs_are_refused() {
    let device = Device::flex();
    let ancestor = tiny_ancestor();
    let vit = load(&ancestor.shape, &ancestor.parameters, &device);
    let image_size = ancestor.shape.image().size;
    let run = |images: Tensor<4>| {
        let settings = settings(image_size, Convention::Renormalized);
        probe(&vit, [Ok::<_, Infallible>(images)], settings, &device)
    };
    let right = images(16, image_size, &device);
    let mean = statistics(Preprocess::IMAGENET_MEAN, &device);
    let std = statistics(Preprocess::IMAGENET_STD, &device);
    let pixels = right.clone() * std + mean; // in [0, 1]
    let published = (pixels - statistics(BYTE_MEAN, &device)) / statistics(BYTE_STD, &device);

    assert_eq!(run(right).expect("real images").images, 16);
    let error = run(published).expect_err("nearly constant inputs").to_string();
    assert!(error.contains("deviation"), "{error}");
}

/// The wrong scale is refused where it is written down, too.
#[test]
fn statistics_on_the_scale_of_bytes_are_refused() {
    for (mean, std) in
        [(BYTE_MEAN, Preprocess::IMAGENET_STD), (Preprocess::IMAGENET_MEAN, BYTE_STD)]
    {
        let error = Preprocess { mean, std, ..Preprocess::new(224) }.check();
        assert!(
            matches!(error, Err(DatasetError::Setting { of: "preprocessing", .. })),
            "{error:?}"
        );
    }
}

fn statistics(channels: [f32; 3], device: &Device) -> Tensor<4> {
    Tensor::<1>::from_floats(channels, device).reshape([1, 3, 1, 1])
}

/// Whichever key is absent, in either spelling, the error names it; the published code goes on with
/// random weights in its place.
#[test]
fn every_missing_key_is_named() {
    for golden in GOLDEN_VITS {
        for file in ["timm.safetensors", "hf.safetensors"].into_iter().filter(|f| golden.has(f)) {
            let whole = tensors_of(&golden.bytes(file));
            for name in whole.keys() {
                check_named(&whole, &[name], &golden.options());
            }
        }
    }
}

/// Several are all listed at once, once the shape is known.
#[test]
fn all_missing_keys_are_listed() {
    let golden = GOLDEN_VITS[0];
    let whole = tensors_of(&golden.bytes("timm.safetensors"));
    let missing =
        ["blocks.0.attn.qkv.bias", "blocks.1.norm2.weight", "blocks.2.mlp.fc2.bias", "norm.bias"];
    check_named(&whole, &missing, &golden.options());

    let mut checkpoint = golden.read();
    for name in missing {
        checkpoint.parameters.remove(name);
    }
    match Model::load(&checkpoint.shape, &checkpoint.parameters, &Device::flex()) {
        Err(Error::Parameters { missing: found, .. }) => assert_eq!(found, missing),
        other => panic!("{:?}", other.err()),
    }
}

/// Checks that a checkpoint without these keys is refused, and that the error names every one.
fn check_named(
    whole: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    missing: &[impl AsRef<str>],
    options: &ReadOptions,
) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    write_without(whole, missing, &path);
    let error = match learngene_checkpoints::read(&path, options) {
        Ok(_) => panic!("read without {:?}", names(missing)),
        Err(error) => error.to_string(),
    };
    for name in names(missing) {
        assert!(error.contains(name), "{name} is missing, but the error is: {error}");
    }
}

fn names(names: &[impl AsRef<str>]) -> Vec<&str> {
    names.iter().map(AsRef::as_ref).collect()
}

fn write_without(
    whole: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    missing: &[impl AsRef<str>],
    path: &Path,
) {
    let missing = names(missing);
    let kept = whole.iter().filter(|(name, _)| !missing.contains(&name.as_str()));
    let parts = kept.map(|(name, (shape, values))| Part {
        name: name.clone(),
        shape: shape.clone(),
        values: values.as_slice(),
    });
    safetensors::write(path, ("format", "pt"), Dtype::F32, parts.collect())
        .expect("a temporary folder is writable");
}
