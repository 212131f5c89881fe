//! A learngene written and read again is the same learngene, and the same bytes.

mod common;
#[path = "common/strategy.rs"]
mod strategy;

use std::{collections::BTreeMap, fs};

use common::{tensors_of, tiny, tiny_manifest, tiny_swin, tiny_swin_manifest};
use learngene_format::{FfnAlgorithm, FfnGroup, Learngene, Manifest, Parameters, Sha256, Tensor};
use proptest::prelude::*;

/// These bytes are the format: if they change, files already written can no longer be read.
#[test]
fn the_bytes_of_version_2_stay_as_they_are() {
    let check = |learngene: Learngene, length: usize, hash: &str| {
        let bytes = learngene.to_bytes();
        assert_eq!((bytes.len(), Sha256::of(&bytes).to_string().as_str()), (length, hash));
    };
    check(tiny(), 9868, "8b562c10fd294deede7106b789d5200d9455edaa592958fd1390ca76b0121b93");
    check(tiny_swin(), 15968, "2f1d8124f680e63ca55113d21544743a271993f409d697dfec0b8d35e88600de");
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

type Shapes = BTreeMap<String, Vec<usize>>;

/// Query, key and value of the centroids of a layer; its two norms.
fn put_layer(shapes: &mut Shapes, layer: usize, [c, head_dim, embed_dim]: [usize; 3]) {
    let mut put = |name: &str, shape: &[usize]| {
        shapes.insert(format!("layers.{layer}.{name}"), shape.to_vec());
    };
    for role in ["q", "k", "v"] {
        put(&format!("attn.{role}.weight"), &[c, head_dim, embed_dim]);
        put(&format!("attn.{role}.bias"), &[c, head_dim]);
    }
    put("attn.proj.weight", &[c, embed_dim, head_dim]);
    put("attn.proj.bias", &[embed_dim]);
    for norm in ["norm1", "norm2"] {
        put(&format!("{norm}.weight"), &[embed_dim]);
        put(&format!("{norm}.bias"), &[embed_dim]);
    }
}

fn put_all(shapes: &mut Shapes, list: &[(&str, &[usize])]) {
    shapes.extend(list.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())));
}

/// Shapes as `FORMAT.md` lists them, worked out by hand for `tests/data/tiny.json`.
#[test]
fn expected_tensors() {
    let mut manifest = tiny_manifest();
    manifest.keep_projection = true;
    manifest.ffn.algorithm = FfnAlgorithm::Given;
    manifest.ffn.groups = vec![FfnGroup { layers: vec![0, 1], representative: 1 }];
    let mut wanted = Shapes::new();
    put_all(
        &mut wanted,
        &[
            ("patch_embed.proj.weight", &[3, 3, 2, 2]),
            ("patch_embed.proj.bias", &[3]),
            ("cls_token", &[1, 1, 3]),
            ("pos_embed", &[1, 5, 3]),
            ("norm.weight", &[3]),
            ("norm.bias", &[3]),
            ("head.weight", &[2, 3]),
            ("head.bias", &[2]),
            ("layers.0.attn.proj.origin", &[3, 6]),
            ("layers.1.attn.proj.origin", &[3, 4]),
            ("ffn.0.fc1.weight", &[4, 3]),
            ("ffn.0.fc1.bias", &[4]),
            ("ffn.0.fc2.weight", &[3, 4]),
            ("ffn.0.fc2.bias", &[3]),
        ],
    );
    put_layer(&mut wanted, 0, [2, 2, 3]);
    put_layer(&mut wanted, 1, [2, 2, 3]);
    assert_eq!(manifest.expected_tensors().expect("consistent"), wanted);

    manifest.classifier = false;
    wanted.retain(|name, _| !name.starts_with("head."));
    assert_eq!(manifest.expected_tensors().expect("consistent"), wanted);
}

/// The same for `tests/data/tiny_swin.json`, whose stages have 4 and 2 tokens a side, one window in
/// the second.
#[test]
fn expected_tensors_of_a_swin() {
    let mut manifest = tiny_swin_manifest();
    let mut wanted = Shapes::new();
    put_all(
        &mut wanted,
        &[
            ("patch_embed.proj.weight", &[2, 3, 2, 2]),
            ("patch_embed.proj.bias", &[2]),
            ("patch_embed.norm.weight", &[2]),
            ("patch_embed.norm.bias", &[2]),
            ("downsample.1.norm.weight", &[8]),
            ("downsample.1.norm.bias", &[8]),
            ("downsample.1.reduction.weight", &[4, 8]),
            ("norm.weight", &[4]),
            ("norm.bias", &[4]),
            ("head.weight", &[2, 4]),
            ("head.bias", &[2]),
            ("layers.0.attn.relative_position", &[2, 9]),
            ("layers.1.attn.relative_position", &[1, 9]),
            ("layers.2.attn.relative_position", &[2, 9]),
            ("layers.0.attn.proj.origin", &[2, 6]),
            ("layers.1.attn.proj.origin", &[2, 4]),
            ("layers.2.attn.proj.origin", &[4, 2]),
            ("layers.0.attn.proj.first.1.weight", &[1, 2, 2]),
            ("layers.0.attn.proj.first.1.bias", &[2]),
            ("ffn.0.fc1.weight", &[4, 2]),
            ("ffn.0.fc1.bias", &[4]),
            ("ffn.0.fc2.weight", &[2, 4]),
            ("ffn.0.fc2.bias", &[2]),
            ("ffn.1.fc1.weight", &[3, 4]),
            ("ffn.1.fc1.bias", &[3]),
            ("ffn.1.fc2.weight", &[4, 3]),
            ("ffn.1.fc2.bias", &[4]),
        ],
    );
    put_layer(&mut wanted, 0, [2, 2, 2]);
    put_layer(&mut wanted, 1, [1, 2, 2]);
    put_layer(&mut wanted, 2, [2, 1, 4]);
    assert_eq!(manifest.expected_tensors().expect("consistent"), wanted);

    manifest.refit = None;
    wanted.retain(|name, _| !name.contains(".proj.first."));
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

    /// Neither values nor hashes bear on it.
    #[test]
    fn the_length_of_a_file_follows_from_its_manifest(learngene in strategy::learngenes()) {
        let length = learngene.to_bytes().len() as u64;
        let (manifest, _) = learngene.into_parts();
        let bare =
            Manifest { parameters: Parameters::default(), tensors: BTreeMap::new(), ..manifest };
        prop_assert_eq!(bare.file_length().expect("it was checked"), length);
    }

    /// Whatever numbers a shape holds, they are refused and not computed with: nothing overflows.
    #[test]
    fn any_numbers_have_an_answer(architecture in strategy::unchecked_architectures()) {
        architecture.num_features();
        prop_assert_eq!(
            architecture.stages().last().map_or(0, |stage| stage.end),
            architecture.depth()
        );
        for mut manifest in [tiny_manifest(), tiny_swin_manifest()] {
            manifest.architecture = architecture.clone();
            prop_assert_eq!(manifest.expected_tensors().is_ok(), manifest.check().is_ok());
            prop_assert!(manifest.file_length().is_err() || manifest.check().is_ok());
            prop_assert!(Learngene::new(manifest, BTreeMap::new()).is_err());
        }
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
