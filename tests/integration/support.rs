//! Ancestors, images and the steps between them, each said once.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use learngene_clustering::{
    ClusterParams, CondenseOptions, Convention, HeadClusters, MeanAttentionDistances, Preprocess,
    cluster, condense, probe,
};
use learngene_datasets::{
    self as datasets, BadImages, CheckedPreprocess, Dataset, DatasetError, Split, Subset,
    images_sha256, load_batch, open,
};
use learngene_expansion::{ClassifierPolicy, Descendant, DescendantConfig, expand};
use learngene_format::Learngene;
use learngene_models::{
    Classifier, HostTensor, ModelConfig, StateDict, VitConfig,
    checkpoint::{self, Checkpoint, Dialect, Dtype, ReadOptions},
};
use learngene_tests::golden;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

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

/// Both of them.
pub const GOLDEN_VITS: [GoldenVit; 2] = [
    GoldenVit { case: "vit_tiny_golden", num_heads: 3 },
    GoldenVit { case: "vit_narrow_mlp_golden", num_heads: 4 },
];

impl GoldenVit {
    /// Neither shapes nor a configuration tell the heads of these small models.
    pub fn options(self) -> ReadOptions {
        ReadOptions { num_heads: Some(vec![self.num_heads]), ..ReadOptions::default() }
    }

    pub fn read(self) -> Checkpoint {
        let path = golden(self.case).join("timm.safetensors");
        checkpoint::read(&path, &self.options()).expect("the fixture is a checkpoint")
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
    let tensors = SafeTensors::deserialize(file).expect("a whole safetensors file").tensors();
    let value = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let owned = |(name, tensor): (String, safetensors::tensor::TensorView<'_>)| {
        assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
        let values = tensor.data().chunks_exact(4).map(value).collect();
        (name, (tensor.shape().to_vec(), values))
    };
    tensors.into_iter().map(owned).collect()
}

/// An ancestor for CIFAR-10 of three layers of six heads, small enough to be made in every test.
pub fn tiny() -> ModelConfig {
    let vit = VitConfig::uniform(24, 3, 6).with_image_size(16).with_patch_size(4);
    vit.with_num_classes(10).into()
}

/// Random parameters of which none is zero, biases among them, so that attention is far from uniform
/// and whatever is left out or misplaced shows.
pub fn random_parameters(config: &ModelConfig, seed: u64) -> StateDict {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Uniform in [-1/2, 1/2), zero left out.
    let mut draw = || ((rng.next_u32() | 1) as f64 / 2f64.powi(32) - 0.5) as f32;
    let mut random = |(name, shape): (String, Vec<usize>)| {
        let centre = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
        let count = shape.iter().product();
        let values = std::iter::repeat_with(|| centre + draw()).take(count).collect();
        (name, HostTensor::new(shape, values))
    };
    config.parameter_shapes().into_iter().map(&mut random).collect()
}

/// Parameters as they come back from a checkpoint written in `folder`.
pub fn checkpoint_in(folder: &Path, config: &ModelConfig, parameters: &StateDict) -> Checkpoint {
    let path = folder.join("ancestor.safetensors");
    checkpoint::write(&path, config, parameters, Dialect::Timm, Dtype::F32, None)
        .expect("a temporary folder is writable");
    checkpoint::read(&path, &ReadOptions::default()).expect("it was just written")
}

/// A tiny ancestor of random parameters, from its file.
pub fn tiny_ancestor() -> Checkpoint {
    let config = tiny();
    checkpoint_in(folder().path(), &config, &random_parameters(&config, 5))
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

/// Probes an ancestor with the first images of the sample, `batch_size` at a time, and notes how.
pub fn measure(ancestor: &Checkpoint, count: usize, batch_size: usize) -> MeanAttentionDistances {
    let device = Device::flex();
    let model = ancestor.load(&device).expect("a checkpoint fits its configuration");
    let images = sample(Split::Train, count);
    let preprocess = preprocess(ancestor.config.image_size());
    let indices: Vec<usize> = (0..images.len()).collect();
    let batches = indices.chunks(batch_size).map(|indices| {
        let batch = load_batch(&*images, indices, &preprocess, None)?;
        Ok::<_, DatasetError>(Tensor::from_data(
            TensorData::new(batch.pixels, batch.shape),
            &device,
        ))
    });
    let measured = probe(&model, batches, Convention::Renormalized, &device)
        .expect("real images are not blank");
    let settings = preprocess.settings();
    MeanAttentionDistances {
        mean_attention_distance: measured.heads.mean,
        std: Some(measured.heads.std),
        images: Some(measured.heads.images),
        convention: Some(Convention::Renormalized),
        patch_size: Some(ancestor.config.patch_size()),
        attended_side: Some(measured.attended_side),
        depths: Some(measured.depths),
        preprocess: Some(Preprocess {
            image_size: ancestor.config.image_size(),
            crop_pct: settings.crop_pct,
            mean: settings.mean,
            std: settings.std,
        }),
        skipped_rows: Some(measured.skipped_rows),
        representation_change: None,
        images_sha256: Some(images_sha256(&*images).expect("the images are in memory")),
        ancestor_sha256: Some(ancestor.sha256.clone()),
        producer: Some("learngene-tests".into()),
    }
}

/// Clusters by DBSCAN of this radius in pixels, every head in one.
pub fn clusters(distances: &MeanAttentionDistances, eps: f64) -> HeadClusters {
    let params = ClusterParams::dbscan(eps).check().expect("a positive radius");
    cluster(distances, &params).expect("measured distances can be clustered")
}

/// The learngene of these distances with all that it may keep, as it comes back from its bytes.
pub fn condensed(ancestor: &Checkpoint, distances: &MeanAttentionDistances, eps: f64) -> Learngene {
    let options = CondenseOptions { keep_projection: true, classifier: true, ..Default::default() };
    let learngene = condense(ancestor, distances, &clusters(distances, eps), options)
        .expect("distances and clusters are the ancestor's");
    Learngene::from_bytes(&learngene.to_bytes()).expect("its own bytes")
}

/// A descendant that inherits the classifier where there is one.
pub fn descendant(learngene: &Learngene, wanted: DescendantConfig) -> Descendant {
    let classifier = match learngene.manifest().classifier {
        true => ClassifierPolicy::Inherit,
        false => ClassifierPolicy::Fresh,
    };
    expand(learngene, &DescendantConfig { classifier, ..wanted }).expect("a possible descendant")
}

/// Logits, or features where there is no classifier: `[batch, num_classes]`, flattened.
pub fn logits(config: &ModelConfig, parameters: &StateDict, images: Tensor<4>) -> Vec<f32> {
    let vit = config.load(parameters, &images.device()).expect("the parameters fit the shape");
    values(vit.forward(images))
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
