//! A learngene written and read again is the same learngene, and the same bytes.

mod common;
#[path = "common/strategy.rs"]
mod strategy;

use std::{collections::BTreeMap, fs};

use common::{tensors_of, tiny, tiny_manifest, tiny_of, tiny_swin, tiny_swin_manifest};
use learngene_format::{
    Clusters, Distances, FfnAlgorithm, FfnGroup, Learngene, Manifest, Parameters, Store,
    centroid_shape, output_projections,
};
use learngene_shape::LayerSizes;
use learngene_tensors::{Grid, Quantised, Safetensors, Sha256, safetensors::Stored};
use proptest::prelude::*;

/// These bytes are the format: if they change, files already written can no longer be read.
#[test]
fn the_bytes_of_version_5_stay_as_they_are() {
    let check = |learngene: Learngene, length: usize, hash: &str| {
        let bytes = learngene.to_bytes();
        assert_eq!((bytes.len(), Sha256::of(&bytes).to_string().as_str()), (length, hash));
    };
    check(tiny(), 9488, "8d2910123137825e39bbdf299a066487647165ffa29774ce33973cb92639dcd7");
    check(
        tiny_of(Store::Int8),
        20414,
        "061887270e3b6a61977a748b4cdf073ce85a82b88e73dd3801de068759e52324",
    );
    check(
        tiny_of(Store::Int4),
        20366,
        "eb61e464ce2fb9445f1326f297e1df2c68c16eda970713f672f4bc16031bf908",
    );
    check(tiny_swin(), 17324, "d8d7c53a48c1d29f3a7f419a0f4d6778745456105d275451c0caaa5975688c4f");
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

/// The same tensors make the same bytes whatever the manifest said of them before.
#[test]
fn what_the_manifest_said_of_its_tensors_is_replaced() {
    let (mut manifest, tensors) = tiny().into_parts();
    manifest.parameters.stored = 0;
    manifest.tensors.clear();
    assert_eq!(Learngene::new(manifest, tensors).expect("consistent"), tiny());
}

#[test]
fn values_are_rounded_to_the_number_format() {
    let mut manifest = tiny_manifest();
    manifest.store = Store::BF16;
    let mut tensors = tensors_of(&manifest);
    for (_, tensor) in tensors.iter_mut() {
        tensor.values.fill(1.0 + 2f32.powi(-8)); // Half-way to the next bf16.
    }
    let learngene = Learngene::new(manifest, tensors).expect("finite values");
    let values = |learngene: &Learngene| learngene.tensors().get("norm.bias").cloned();
    assert_eq!(values(&learngene).expect("a tensor").values, [1.0; 3]);
    let read = Learngene::from_bytes(&learngene.to_bytes()).expect("its own bytes");
    assert_eq!(read, learngene);
}

/// Shapes as `FORMAT.md` lists them: of matrices of layers levels and scales, of factors too, and
/// nothing else. Wider numbers come first.
#[test]
fn matrices_of_layers_are_stored_in_few_bits() {
    let stored = |store: Store| {
        let bytes = tiny_of(store).to_bytes();
        let file = Safetensors::from_bytes(&bytes).expect("safetensors");
        let read = |(name, of): (&String, &Stored)| {
            (name.clone(), (format!("{:?}", of.dtype), of.shape.clone()))
        };
        file.tensors.iter().map(read).collect::<BTreeMap<_, _>>()
    };
    let check = |store: Store, expected: &[(&str, &str, &[usize])]| {
        let stored = stored(store);
        for (name, format, shape) in expected {
            assert_eq!(stored[*name], ((*format).to_owned(), shape.to_vec()), "{name}");
        }
        let few = stored.values().filter(|(format, _)| format != "F16").count();
        let scales = stored.keys().filter(|name| name.ends_with(".scale")).count();
        // Four matrices in each of three layers but for a shared FFN, whole projections, factors.
        assert_eq!((few, scales), (4 * 3 - 2 + 3 + 5, few));
        assert_eq!(stored["layers.1.downsample.reduction.weight"].0, "F16");
    };
    check(
        Store::Int8,
        &[
            ("layers.0.blocks.0.attn.qkv.weight", "I8", &[12, 2]),
            ("layers.0.blocks.0.attn.qkv.weight.scale", "F16", &[12]),
            ("layers.0.blocks.0.attn.proj.origin.weight", "I8", &[2, 6]),
            ("layers.0.blocks.0.mlp.fc2.factor", "I8", &[10]),
            ("layers.0.blocks.0.mlp.fc2.factor.scale", "F16", &[4]),
        ],
    );
    check(
        Store::Int4,
        &[
            ("layers.1.blocks.0.mlp.fc1.weight", "U8", &[2, 4]),
            ("layers.1.blocks.0.mlp.fc1.weight.scale", "F16", &[3, 1]),
            ("layers.0.blocks.0.mlp.fc2.factor", "I8", &[10]),
        ],
    );
    assert_eq!(Store::Int8.to_string(), "int8");
}

/// Levels that were chosen otherwise than by nearness stay as they are.
#[test]
fn matrices_that_are_rounded_already_are_kept() {
    let manifest = Manifest { store: Store::Int4, ..tiny_manifest() };
    let name = "blocks.1.attn.proj.weight";
    let given = Quantised::new(Grid::Groups4, [3, 4], vec![3; 12], vec![0.5, -1.0, 2.0]);
    let tensors = tensors_of(&manifest);
    let quantised = BTreeMap::from([(name.to_owned(), given.clone())]);
    let learngene = Learngene::of_quantised(manifest, tensors, quantised).expect("consistent");
    assert_eq!(learngene.tensors().get(name), Some(&given.tensor()));
    let bytes = learngene.to_bytes();
    let read = Learngene::from_bytes(&bytes).expect("its own bytes");
    assert_eq!((read.to_bytes(), &read), (bytes, &learngene));
}

/// Checks a manifest's tensors against its ancestor's: those that are absent, those of other shapes
/// or names.
fn check_tensors(manifest: &Manifest, absent: &[&str], other: &[(&str, &[usize])]) {
    let mut wanted = manifest.ancestor.shape.parameter_shapes();
    for name in absent {
        wanted.remove(*name).expect(name);
    }
    wanted.extend(other.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())));
    assert_eq!(manifest.expected_tensors().expect("consistent"), wanted);
}

/// Shapes as `FORMAT.md` lists them, worked out by hand for `tests/data/tiny.json`.
#[test]
fn tensors_are_those_of_the_ancestor_but_for_heads_and_ffns() {
    let mut manifest = tiny_manifest();
    let heads: &[(&str, &[usize])] = &[
        ("blocks.0.attn.qkv.weight", &[12, 3]),
        ("blocks.0.attn.qkv.bias", &[12]),
        ("blocks.0.attn.proj.weight", &[3, 4]),
    ];
    check_tensors(&manifest, &[], heads);

    manifest.classifier = false;
    check_tensors(&manifest, &["head.weight", "head.bias"], heads);
}

/// The same for `tests/data/tiny_swin.json`, with shared FFNs and all extras.
#[test]
fn tensors_of_a_swin() {
    let mut manifest = tiny_swin_manifest();
    let ffn =
        ["weight", "bias"].map(|t| [1, 2].map(|fc| format!("layers.0.blocks.1.mlp.fc{fc}.{t}")));
    let ffn: Vec<&str> = ffn.as_flattened().iter().map(String::as_str).collect();
    let heads: &[(&str, &[usize])] = &[
        ("layers.0.blocks.0.attn.qkv.weight", &[12, 2]),
        ("layers.0.blocks.0.attn.qkv.bias", &[12]),
        ("layers.0.blocks.0.attn.proj.weight", &[2, 4]),
        ("layers.0.blocks.0.attn.relative_position_bias_table", &[9, 2]),
        ("layers.0.blocks.1.attn.qkv.weight", &[6, 2]),
        ("layers.0.blocks.1.attn.qkv.bias", &[6]),
        ("layers.0.blocks.1.attn.proj.weight", &[2, 2]),
        ("layers.0.blocks.1.attn.relative_position_bias_table", &[9, 1]),
    ];
    let origin: &[(&str, &[usize])] = &[
        ("layers.0.blocks.0.attn.proj.origin.weight", &[2, 6]),
        ("layers.0.blocks.1.attn.proj.origin.weight", &[2, 4]),
        ("layers.1.blocks.0.attn.proj.origin.weight", &[4, 2]),
    ];
    // Of n inputs, n (n + 1) / 2 numbers of the factor.
    let nested: &[(&str, &[usize])] = &[
        ("layers.0.blocks.0.attn.proj.factor", &[10]),
        ("layers.0.blocks.0.attn.proj.means", &[4]),
        ("layers.0.blocks.0.mlp.fc2.factor", &[10]),
        ("layers.0.blocks.0.mlp.fc2.means", &[4]),
        ("layers.0.blocks.1.attn.proj.factor", &[3]),
        ("layers.0.blocks.1.attn.proj.means", &[2]),
        ("layers.1.blocks.0.attn.proj.factor", &[3]),
        ("layers.1.blocks.0.attn.proj.means", &[2]),
        ("layers.1.blocks.0.mlp.fc2.factor", &[6]),
        ("layers.1.blocks.0.mlp.fc2.means", &[3]),
    ];
    check_tensors(&manifest, &ffn, &[heads, origin, nested].concat());
    assert_eq!(manifest.ffn_layer(1), 0);
    assert_eq!(output_projections(&manifest.ancestor.shape).len(), 3);

    manifest.refit = None;
    manifest.keep_projection = false;
    manifest.clusters.ffn.algorithm = FfnAlgorithm::Given;
    manifest.clusters.ffn.groups[0] = FfnGroup { layers: vec![0, 1], representative: 1 };
    let ffn: Vec<String> = ffn.iter().map(|name| name.replace("blocks.1", "blocks.0")).collect();
    check_tensors(&manifest, &ffn.iter().map(String::as_str).collect::<Vec<_>>(), heads);
}

/// Of `tests/data/tiny.json`, its first layer alone, with three of four hidden units.
#[test]
fn tensors_of_some_layers() {
    let mut manifest = tiny_manifest();
    manifest.layers = vec![0];
    let sizes = LayerSizes { num_heads: 2, hidden_dim: 3 };
    let shape = centroid_shape(&manifest.ancestor.shape, &[0], |_| sizes).expect("possible");
    manifest.curves = manifest.curves.map(|curves| curves.of_sizes(&[sizes]));
    let expected = shape.parameter_shapes();
    manifest.shape = shape;
    assert_eq!(manifest.expected_tensors().expect("consistent"), expected);
    assert_eq!(expected["blocks.0.mlp.fc1.weight"], [3, 3]);
    assert!(expected.keys().all(|name| !name.starts_with("blocks.1")));
}

proptest! {
    /// Reading undoes writing, and writing undoes reading, of the file and of its sections.
    #[test]
    fn any_learngene_survives_the_file(learngene in strategy::learngenes()) {
        let bytes = learngene.to_bytes();
        let again = Learngene::from_bytes(&bytes).expect("its own bytes");
        prop_assert_eq!(again.to_bytes(), bytes);
        prop_assert_eq!(&again, &learngene);

        let folder = tempfile::tempdir().expect("a temporary folder");
        let [distances, clusters] = ["d.json", "c.json"].map(|name| folder.path().join(name));
        let manifest = learngene.manifest();
        manifest.distances.write(&distances).expect("the folder is ours");
        manifest.clusters.write(&clusters).expect("the folder is ours");
        prop_assert_eq!(&Distances::read(&distances).expect("just written"), &manifest.distances);
        prop_assert_eq!(&Clusters::read(&clusters).expect("just written"), &manifest.clusters);
        let text = fs::read_to_string(&clusters).expect("just written");
        let is_pretty = text.starts_with("{\n  \"heads\": {") && text.ends_with("\n}\n");
        prop_assert!(is_pretty, "{}", text);
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
}
