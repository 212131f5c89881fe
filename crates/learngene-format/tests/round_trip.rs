//! A learngene written and read again is the same learngene, and the same bytes.

mod common;
#[path = "common/strategy.rs"]
mod strategy;

use std::{collections::BTreeMap, fs};

use common::{tensors_of, tiny, tiny_manifest};
use learngene_format::{Learngene, Sha256, Tensor};
use proptest::prelude::*;

/// These bytes are the format: if they change, files already written can no longer be read.
#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let bytes = tiny().to_bytes();
    assert_eq!(
        (bytes.len(), Sha256::of(&bytes).to_string().as_str()),
        (9676, "da1d9a1c5ba37efbd5726d0d40932f7d9954176269cfffa321e9181e648ba757")
    );
}

#[test]
fn a_file_is_its_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tiny.learngene");
    let learngene = tiny();
    fs::write(&path, b"an older file of this name").expect("the folder is ours");
    learngene.write(&path).expect("the folder is ours");

    assert_eq!(fs::read(&path).expect("just written"), learngene.to_bytes());
    assert_eq!(Learngene::read(&path).expect("just written"), learngene);
    let manifest = Learngene::read_manifest(&path).expect("just written");
    assert_eq!(&manifest, learngene.manifest());
}

/// The manifest of a large file is read without its tensors: damage there goes unnoticed.
#[test]
fn the_manifest_is_read_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("damaged.learngene");
    let mut bytes = tiny().to_bytes();
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&path, bytes).expect("the folder is ours");
    assert!(Learngene::read(&path).is_err());
    assert_eq!(&Learngene::read_manifest(&path).expect("its header is whole"), tiny().manifest());
}

#[test]
fn parts_make_the_same_learngene_again() {
    let (manifest, tensors) = tiny().into_parts();
    assert_eq!(Learngene::new(manifest, tensors).expect("nothing was changed"), tiny());
}

/// Shapes as `FORMAT.md` lists them, worked out by hand for `tests/data/tiny.json`.
#[test]
fn expected_tensors() {
    let mut manifest = tiny_manifest();
    manifest.keep_projection = true;
    manifest.ffn_groups = vec![vec![0, 1]];
    let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut put = |name: &str, shape: &[usize]| wanted.insert(name.to_owned(), shape.to_vec());
    put("patch_embed.proj.weight", &[3, 3, 2, 2]);
    put("patch_embed.proj.bias", &[3]);
    put("cls_token", &[1, 1, 3]);
    put("pos_embed", &[1, 5, 3]);
    put("norm.weight", &[3]);
    put("norm.bias", &[3]);
    put("head.weight", &[2, 3]);
    put("head.bias", &[2]);
    for (layer, heads) in [(0, 3), (1, 2)] {
        for role in ["q", "k", "v"] {
            put(&format!("layers.{layer}.attn.{role}.weight"), &[2, 2, 3]);
            put(&format!("layers.{layer}.attn.{role}.bias"), &[2, 2]);
        }
        put(&format!("layers.{layer}.attn.proj.weight"), &[2, 3, 2]);
        put(&format!("layers.{layer}.attn.proj.bias"), &[3]);
        put(&format!("layers.{layer}.attn.proj.origin"), &[3, 2 * heads]);
        for norm in ["norm1", "norm2"] {
            put(&format!("layers.{layer}.{norm}.weight"), &[3]);
            put(&format!("layers.{layer}.{norm}.bias"), &[3]);
        }
    }
    put("ffn.0.fc1.weight", &[4, 3]);
    put("ffn.0.fc1.bias", &[4]);
    put("ffn.0.fc2.weight", &[3, 4]);
    put("ffn.0.fc2.bias", &[3]);
    assert_eq!(manifest.expected_tensors().expect("consistent"), wanted);

    manifest.classifier = false;
    wanted.retain(|name, _| !name.starts_with("head."));
    assert_eq!(manifest.expected_tensors().expect("consistent"), wanted);
}

proptest! {
    /// Reading undoes writing, and writing undoes reading.
    #[test]
    fn any_learngene_survives_the_file(learngene in strategy::learngenes()) {
        let bytes = learngene.to_bytes();
        let again = Learngene::from_bytes(&bytes).expect("its own bytes");
        prop_assert_eq!(again.to_bytes(), bytes);
        prop_assert_eq!(again, learngene);
    }

    /// Values go to f32 and back without loss.
    #[test]
    fn any_tensor_survives_the_way_over_f32(learngene in strategy::learngenes()) {
        for tensor in learngene.tensors().values() {
            let shape = tensor.shape().to_vec();
            let again = Tensor::from_f32(tensor.dtype(), shape, &tensor.to_f32());
            prop_assert_eq!(&again.expect("one value each"), tensor);
        }
    }
}

/// The same tensors make the same bytes whatever the manifest said of them before.
#[test]
fn what_the_manifest_said_of_its_tensors_is_replaced() {
    let mut manifest = tiny().manifest().clone();
    manifest.parameters.stored = 0;
    manifest.tensors.clear();
    let tensors = tensors_of(&manifest);
    let learngene = Learngene::new(manifest, tensors).expect("consistent");
    assert_eq!(learngene.to_bytes(), tiny().to_bytes());
}
