//! The work that is timed.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use learngene_checkpoints::{Dialect, ReadOptions};
use learngene_clustering::{ClusterParams, FfnParams, cluster, cluster_ffns};
use learngene_condensing::{CondenseOptions, ProbeSettings, condense, probe};
use learngene_datasets::{
    Augment, Augmentation, BadImages, Batch, Preprocess, Split, load_batch, open,
};
use learngene_expansion::{DescendantConfig, expand, from_scratch};
use learngene_format::{Clusters, Convention, Distances, Learngene, Preprocessing};
use learngene_models::{Classifier, Model};
use learngene_shape::Shape;
use learngene_tensors::{Dtype, Sha256};
use learngene_training::{Recipe, Trainer};
use serde::Serialize;
use tempfile::TempDir;

/// Something that a user waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Forward, cross-entropy, backward, AdamW.
    TrainStep,
    /// The same with gradient checkpointing.
    TrainStepCheckpointed,
    /// Logits of a batch.
    Forward,
    /// Mean attention distances of a batch.
    Probe,
    /// A checkpoint and its distances from their files to a learngene's.
    Condense,
    /// A learngene from its file to a descendant's checkpoint.
    Expand,
    /// A learngene's file, its header and manifest alone.
    LearngeneOpen,
    /// A learngene's file, read and checked.
    LearngeneRead,
    /// A learngene's file.
    LearngeneWrite,
    /// Images of the sample in memory to a batch: resized, augmented and normalised, not decoded.
    LoadImages,
}

/// Work that is ready to be done again and again.
pub struct Task<'a> {
    /// Images that it is done on at a time; 0 where it has none.
    pub images: usize,
    /// Floating-point operations, where they are matrix products for the most part.
    pub flops: Option<f64>,
    /// Bytes of the files that it reads and writes, where there are any.
    pub bytes: Option<u64>,
    pub work: Box<dyn FnMut() -> anyhow::Result<()> + 'a>,
}

impl Workload {
    /// Whether it leaves the device alone.
    pub fn is_on_host(self) -> bool {
        !matches!(self, Self::TrainStep | Self::TrainStepCheckpointed | Self::Forward | Self::Probe)
    }

    /// Makes ready what the work begins with. Models have random weights, images are those of the
    /// embedded sample.
    pub fn prepare(
        self,
        shape: &Shape,
        batch: usize,
        device: &Device,
    ) -> anyhow::Result<Task<'static>> {
        match self {
            Self::TrainStep => train_step(shape, batch, device, false),
            Self::TrainStepCheckpointed => train_step(shape, batch, device, true),
            Self::Forward => on_images(shape, batch, device, forward),
            Self::Probe => on_images(shape, batch, device, probe_batch),
            Self::LoadImages => load_images(shape, batch),
            Self::Condense | Self::Expand => Files::new(shape)?.between(self),
            Self::LearngeneOpen | Self::LearngeneRead | Self::LearngeneWrite => {
                Files::new(shape)?.learngene(self)
            }
        }
    }
}

/// Forward operations of a batch: two for each multiply-accumulate that is done. Where the classifier
/// reads a class token, it alone passes the projection and the FFN of the last layer.
fn forward_flops(shape: &Shape, batch: usize) -> f64 {
    let last = shape.layer(shape.depth() - 1);
    let ffn = (last.ffn.kind.parts() + 1) * last.ffn.hidden_dim;
    let of_a_token = last.embed_dim * (last.heads.attention_dim() + ffn);
    let left_out = match last.field.prefix {
        0 => 0,
        _ => (last.field.tokens() - 1) * of_a_token,
    };
    2.0 * (shape.count_macs() - left_out as u64) as f64 * batch as f64
}

fn train_step(
    shape: &Shape,
    batch: usize,
    device: &Device,
    gradient_checkpointing: bool,
) -> anyhow::Result<Task<'static>> {
    let recipe = Recipe { label_smoothing: 0.0, gradient_checkpointing, ..Recipe::default() };
    let mut trainer = Trainer::new(model(shape, device)?, &recipe, 1, std::slice::from_ref(device));
    let images = images(shape, batch)?;
    let device = device.clone();
    // Of each product, the gradients of both factors are products of the same size.
    let passes = if gradient_checkpointing { 4.0 } else { 3.0 };
    Ok(Task {
        images: batch,
        flops: Some(passes * forward_flops(shape, batch)),
        bytes: None,
        work: Box::new(move || {
            trainer.step(images.clone())?;
            Ok(device.sync()?)
        }),
    })
}

/// Work of a forward pass on a batch.
fn on_images(
    shape: &Shape,
    batch: usize,
    device: &Device,
    work: impl Fn(&Model, Tensor<4>, &Device) -> anyhow::Result<()> + 'static,
) -> anyhow::Result<Task<'static>> {
    let (model, images) = (model(shape, device)?, on_device(images(shape, batch)?, device));
    let device = device.clone();
    Ok(Task {
        images: batch,
        flops: Some(forward_flops(shape, batch)),
        bytes: None,
        work: Box::new(move || work(&model, images.clone(), &device)),
    })
}

fn forward(model: &Model, images: Tensor<4>, device: &Device) -> anyhow::Result<()> {
    let _logits = model.forward(images);
    Ok(device.sync()?)
}

fn probe_batch(model: &Model, images: Tensor<4>, device: &Device) -> anyhow::Result<()> {
    let [_, _, _, image_size] = images.dims();
    let none = Sha256::of(b"");
    let settings = ProbeSettings {
        images_sha256: none,
        preprocessing: preprocessing(image_size),
        convention: Convention::Renormalized,
        ancestor_sha256: none,
    };
    probe(model, [Ok::<_, Infallible>(images)], settings, device)?;
    Ok(())
}

fn load_images(shape: &Shape, batch: usize) -> anyhow::Result<Task<'static>> {
    let sample = open("cifar10-sample", Split::Train, BadImages::Refuse)?;
    let preprocess = Preprocess::new(shape.image().size as u32).check()?;
    let indices: Vec<usize> = (0..batch).collect();
    let augmentation =
        Augmentation { augment: Augment::flip_and_crop().check()?, seed: 0, epoch: 0 };
    Ok(Task {
        images: batch,
        flops: None,
        bytes: None,
        work: Box::new(move || {
            load_batch(sample.as_ref(), &indices, &preprocess, Some(&augmentation))?;
            Ok(())
        }),
    })
}

fn model(shape: &Shape, device: &Device) -> anyhow::Result<Model> {
    Ok(Model::load(shape, &from_scratch(shape, 0), device)?)
}

/// The first images of the embedded sample, enlarged to the model's input.
fn images(shape: &Shape, count: usize) -> anyhow::Result<Batch> {
    let sample = open("cifar10-sample", Split::Train, BadImages::Refuse)?;
    let preprocess = Preprocess::new(shape.image().size as u32).check()?;
    let indices: Vec<usize> = (0..count).collect();
    Ok(load_batch(sample.as_ref(), &indices, &preprocess, None)?)
}

fn on_device(batch: Batch, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(batch.pixels, batch.shape), device)
}

fn preprocessing(image_size: usize) -> Preprocessing {
    Preprocessing { image_size, crop_pct: 1.0, mean: [0.5; 3], std: [0.5; 3] }
}

/// A checkpoint of random weights, made-up distances of its heads and the learngene of both.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(shape: &Shape) -> anyhow::Result<Self> {
        let files = Self { folder: tempfile::tempdir()? };
        let path = files.path("ancestor.safetensors");
        let parameters = from_scratch(shape, 0);
        learngene_checkpoints::write(&path, shape, &parameters, Dialect::Timm, Dtype::F32, None)?;
        // Of each layer's heads, every second looks as far as the one before.
        let heads = shape.num_heads().into_iter();
        let heads: Vec<Vec<f64>> = heads
            .map(|heads| (0..heads).map(|head| 20.0 * (head / 2 + 1) as f64).collect())
            .collect();
        let distances = Distances {
            std: heads.iter().map(|heads| vec![None; heads.len()]).collect(),
            mean_attention_distance: heads,
            images: 1,
            images_sha256: Sha256::of(b"no images"),
            preprocessing: preprocessing(shape.image().size),
            convention: Convention::Renormalized,
            skipped_rows: 0,
            attended_side: shape.layers().iter().map(|layer| layer.field.attended_side()).collect(),
            depths: shape.stages().iter().map(ExactSizeIterator::len).collect(),
            ancestor_sha256: Sha256::of_file(&path)?,
            producer: crate::PRODUCER.into(),
        };
        distances.write(files.path("distances.json"))?;
        condense_files(files.folder.path())?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bytes(&self, names: &[&str]) -> anyhow::Result<Option<u64>> {
        let lengths = names.iter().map(|name| {
            let path = self.path(name);
            Ok(fs::metadata(&path).with_context(|| path.display().to_string())?.len())
        });
        Ok(Some(lengths.sum::<anyhow::Result<u64>>()?))
    }

    /// From file to file.
    fn between(self, workload: Workload) -> anyhow::Result<Task<'static>> {
        let bytes = self.bytes(&["ancestor.safetensors", "a.learngene"])?;
        let work: Box<dyn FnMut() -> anyhow::Result<()>> = match workload {
            Workload::Condense => Box::new(move || condense_files(self.folder.path())),
            _ => Box::new(move || {
                let learngene = Learngene::read(self.path("a.learngene"))?;
                let descendant = expand(&learngene, &DescendantConfig::default())?;
                let path = self.path("descendant.safetensors");
                let (shape, parameters) = (&descendant.shape, &descendant.parameters);
                let (names, dtype) = (Dialect::Timm, Dtype::F32);
                Ok(learngene_checkpoints::write(&path, shape, parameters, names, dtype, None)?)
            }),
        };
        Ok(Task { images: 0, flops: None, bytes, work })
    }

    fn learngene(self, workload: Workload) -> anyhow::Result<Task<'static>> {
        let bytes = self.bytes(&["a.learngene"])?;
        let work: Box<dyn FnMut() -> anyhow::Result<()>> = match workload {
            Workload::LearngeneOpen => Box::new(move || {
                Learngene::read_manifest(self.path("a.learngene"))?;
                Ok(())
            }),
            Workload::LearngeneRead => Box::new(move || {
                Learngene::read(self.path("a.learngene"))?;
                Ok(())
            }),
            _ => {
                let learngene = Learngene::read(self.path("a.learngene"))?;
                Box::new(move || Ok(learngene.write(self.path("b.learngene"))?))
            }
        };
        let bytes = bytes.filter(|_| workload != Workload::LearngeneOpen);
        Ok(Task { images: 0, flops: None, bytes, work })
    }
}

/// What `learngene condense --distances` does.
fn condense_files(folder: &Path) -> anyhow::Result<()> {
    let distances = Distances::read(folder.join("distances.json"))?;
    let options = ReadOptions::default();
    let ancestor = learngene_checkpoints::read(&folder.join("ancestor.safetensors"), &options)?;
    let heads = cluster(&distances, &ClusterParams::dbscan(vec![10.0]).check()?)?;
    let ffn = cluster_ffns(&distances, &heads, &FfnParams::default().check()?)?;
    let clusters = Clusters::new(heads, ffn, &distances, crate::PRODUCER);
    let learngene = condense(&ancestor, &distances, &clusters, CondenseOptions::default())?;
    drop(ancestor);
    Ok(learngene.write(folder.join("a.learngene"))?)
}
