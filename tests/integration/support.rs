//! Ancestors, images and the steps between them, each said once.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use learngene_checkpoints::{Checkpoint, Dialect, ReadOptions};
use learngene_clustering::{ClusterParams, FfnParams, cluster, cluster_ffns};
use learngene_condensing::{CondenseOptions, ProbeSettings, condense, probe};
use learngene_datasets::{
    self as datasets, BadImages, CheckedPreprocess, Dataset, DatasetError, Split, Subset,
    images_sha256, load_batch, open,
};
use learngene_expansion::{ClassifierPolicy, Descendant, DescendantConfig, expand};
use learngene_format::{Clusters, Convention, Distances, Learngene, Preprocessing};
use learngene_models::{Classifier, Model};
use learngene_shape::{Family, Shape, Vit};
use learngene_tensors::{Dtype, Safetensors, Sha256, StateDict, Tensor as HostTensor};
use learngene_tests::golden;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A radius in pixels at which no two heads share a cluster.
pub const NOTHING_JOINED: f64 = 1e-6;

/// A radius in pixels at which each layer of [`tiny_ancestor`] has fewer clusters than heads, but
/// more than one.
pub const SOME_JOINED: f64 = 0.12;

/// A vision transformer under `tests/golden`.
#[derive(Clone, Copy, Debug)]
pub struct GoldenVit {
    case: &'static str,
    num_heads: usize,
}

/// All of them: equal layers, FFNs narrower than four times the tokens, FFNs of a width of their own in
/// each layer, and SwiGLUs of such widths.
pub const GOLDEN_VITS: [GoldenVit; 4] = [
    GoldenVit { case: "vit_tiny_golden", num_heads: 3 },
    GoldenVit { case: "vit_narrow_mlp_golden", num_heads: 4 },
    VIT_PRUNED,
    GoldenVit { case: "vit_swiglu_golden", num_heads: 3 },
];

/// The one whose layers are unlike each other.
pub const VIT_PRUNED: GoldenVit = GoldenVit { case: "vit_pruned_golden", num_heads: 3 };

impl GoldenVit {
    /// The number of heads of these small models is not in their files.
    pub fn options(self) -> ReadOptions {
        ReadOptions { num_heads: Some(vec![self.num_heads]), ..ReadOptions::default() }
    }

    pub fn read(self) -> Checkpoint {
        let path = golden(self.case).join("timm.safetensors");
        learngene_checkpoints::read(&path, &self.options()).expect("the fixture is a checkpoint")
    }

    /// Whether the fixture has a file.
    pub fn has(self, file: &str) -> bool {
        golden(self.case).join(file).exists()
    }

    /// A file of the fixture.
    pub fn bytes(self, file: &str) -> Vec<u8> {
        fs::read(golden(self.case).join(file)).expect("the fixture is in the repository")
    }

    /// The images that PyTorch was shown: `[2, 3, image_size, image_size]`.
    pub fn input(self, device: &Device) -> Tensor<4> {
        let (shape, values) = tensors_of(&self.bytes("expected.safetensors"))
            .remove("input")
            .expect("every fixture has it");
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Shape and values of every tensor of a safetensors file in f32.
pub fn tensors_of(file: &[u8]) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let file = Safetensors::from_bytes(file).expect("a whole safetensors file");
    let values = |name: &String| file.values(name).expect("finite f32");
    file.tensors.iter().map(|(name, of)| (name.clone(), (of.shape.clone(), values(name)))).collect()
}

/// An ancestor for CIFAR-10 of three layers of six heads, small enough to be made in every test.
pub fn tiny() -> Shape {
    let vit = Vit::uniform(24, 3, 6);
    let vit = Vit { image_size: 16, patch_size: 4, num_classes: 10, ..vit };
    vit.shape().expect("a possible shape")
}

/// A model of these parameters.
pub fn load(shape: &Shape, parameters: &StateDict, device: &Device) -> Model {
    Model::load(shape, parameters, device).expect("the parameters fit the shape")
}

/// Random parameters of which none is zero, biases among them, so that attention is far from uniform
/// and whatever is left out or misplaced shows.
pub fn random_parameters(shape: &Shape, seed: u64) -> StateDict {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Uniform in [-1/2, 1/2), zero left out.
    let mut draw = || ((rng.next_u32() | 1) as f64 / 2f64.powi(32) - 0.5) as f32;
    let mut random = |(name, shape): (String, Vec<usize>)| {
        let centre = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
        let count = shape.iter().product();
        let values = std::iter::repeat_with(|| centre + draw()).take(count).collect();
        (name, HostTensor::new(shape, values))
    };
    shape.parameter_shapes().into_iter().map(&mut random).collect()
}

/// Parameters as they come back from a checkpoint written in `folder`.
pub fn checkpoint_in(folder: &Path, shape: &Shape, parameters: &StateDict) -> Checkpoint {
    let path = folder.join("ancestor.safetensors");
    learngene_checkpoints::write(&path, shape, parameters, Dialect::Timm, Dtype::F32, None)
        .expect("a temporary folder is writable");
    learngene_checkpoints::read(&path, &ReadOptions::default()).expect("it was just written")
}

/// A tiny ancestor of random parameters, from its file.
pub fn tiny_ancestor() -> Checkpoint {
    let shape = tiny();
    checkpoint_in(folder().path(), &shape, &random_parameters(&shape, 5))
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// The first images of the embedded sample of CIFAR-10; classes take turns.
pub fn sample(split: Split, count: usize) -> Arc<dyn Dataset> {
    let all = open("cifar10-sample", split, BadImages::Refuse).expect("it is embedded");
    Arc::new(Subset::first(all.into(), count))
}

pub fn preprocess(image_size: usize) -> CheckedPreprocess {
    datasets::Preprocess::new(image_size as u32).check().expect("a size of the goldens or of DeiT")
}

/// Images of the sample, normalised: `[count, 3, image_size, image_size]`.
pub fn images(count: usize, image_size: usize, device: &Device) -> Tensor<4> {
    let indices: Vec<usize> = (0..count).collect();
    let batch = load_batch(&*sample(Split::Test, count), &indices, &preprocess(image_size), None)
        .expect("the images are in memory");
    Tensor::from_data(TensorData::new(batch.pixels, batch.shape), device)
}

/// How images of a side are shown to an ancestor of that hash.
pub fn settings(image_size: usize, convention: Convention) -> ProbeSettings {
    let datasets::Preprocess { crop_pct, mean, std, .. } = *preprocess(image_size).settings();
    let preprocessing = Preprocessing { image_size, crop_pct, mean, std };
    let none = Sha256::of(b"");
    ProbeSettings { images_sha256: none, preprocessing, convention, ancestor_sha256: none }
}

/// Probes an ancestor with the first images of the sample, `batch_size` at a time.
pub fn measure(ancestor: &Checkpoint, count: usize, batch_size: usize) -> Distances {
    let device = Device::flex();
    let model = load(&ancestor.shape, &ancestor.parameters, &device);
    let images = sample(Split::Train, count);
    let image_size = ancestor.shape.image().size;
    let preprocess = preprocess(image_size);
    let indices: Vec<usize> = (0..images.len()).collect();
    let batches = indices.chunks(batch_size).map(|indices| {
        let batch = load_batch(&*images, indices, &preprocess, None)?;
        Ok::<_, DatasetError>(Tensor::from_data(
            TensorData::new(batch.pixels, batch.shape),
            &device,
        ))
    });
    let images_sha256 = images_sha256(&*images).expect("the images are in memory");
    let settings = ProbeSettings {
        images_sha256: images_sha256.parse().expect("a hash"),
        ancestor_sha256: ancestor.sha256,
        ..settings(image_size, Convention::Renormalized)
    };
    probe(&model, batches, settings, &device).expect("real images are not blank")
}

/// Clusters by DBSCAN of this radius in pixels, every head in one; each layer keeps its FFN.
pub fn clusters(distances: &Distances, eps: f64) -> Clusters {
    let params = ClusterParams::dbscan(vec![eps]).check().expect("a positive radius");
    let heads = cluster(distances, &params).expect("measured distances can be clustered");
    let params = FfnParams::default().check().expect("nothing is joined");
    let ffn = cluster_ffns(distances, &heads, &params).expect("nothing is joined");
    Clusters::new(heads, ffn, distances, "learngene-tests")
}

/// The learngene of these distances with all that it may keep, as it comes back from its bytes.
pub fn condensed(ancestor: &Checkpoint, distances: &Distances, eps: f64) -> Learngene {
    let options =
        CondenseOptions { keep_projection: true, classifier: true, ..CondenseOptions::default() };
    let learngene = condense(ancestor, distances, &clusters(distances, eps), options)
        .expect("distances and clusters are the ancestor's");
    Learngene::from_bytes(&learngene.to_bytes()).expect("its own bytes")
}

/// A descendant that inherits the classifier where there is one.
pub fn descendant(learngene: &Learngene, config: DescendantConfig) -> Descendant {
    let classifier = match learngene.manifest().classifier {
        true => ClassifierPolicy::Inherit,
        false => ClassifierPolicy::Fresh,
    };
    expand(learngene, &DescendantConfig { classifier, ..config }).expect("a possible descendant")
}

/// Logits, or features where there is no classifier: `[batch, num_classes]`, flattened.
pub fn logits(shape: &Shape, parameters: &StateDict, images: Tensor<4>) -> Vec<f32> {
    values(load(shape, parameters, &images.device()).forward(images))
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("flex computes in f32")
}

/// Largest difference of two equally long lists; infinite where either is not a number.
pub fn largest_gap(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len(), "outputs of one shape");
    let gaps = found.iter().zip(wanted).map(|(found, wanted)| (found - wanted).abs());
    gaps.map(|gap| if gap.is_nan() { f32::INFINITY } else { gap }).fold(0.0, f32::max)
}
