//! The work that is timed.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use learngene_clustering::{
    ClusterParams, CondenseOptions, Convention, MeanAttentionDistances, Preprocess as Probed,
    cluster, condense, probe,
};
use learngene_datasets::{
    Augment, Augmentation, BadImages, Batch, Preprocess, Split, load_batch, open,
};
use learngene_expansion::{DescendantConfig, expand, from_scratch};
use learngene_format::Learngene;
use learngene_models::{
    Classifier, Model, ModelConfig, StateDict,
    checkpoint::{self, Dialect, Dtype, ReadOptions},
    count_macs,
};
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
        config: &ModelConfig,
        batch: usize,
        device: &Device,
    ) -> anyhow::Result<Task<'static>> {
        match self {
            Self::TrainStep => train_step(config, batch, device, false),
            Self::TrainStepCheckpointed => train_step(config, batch, device, true),
            Self::Forward => on_images(config, batch, device, forward),
            Self::Probe => on_images(config, batch, device, probe_batch),
            Self::LoadImages => load_images(config, batch),
            Self::Condense | Self::Expand => Files::new(config)?.between(self),
            Self::LearngeneOpen | Self::LearngeneRead | Self::LearngeneWrite => {
                Files::new(config)?.learngene(self)
            }
        }
    }
}

/// Forward operations of a batch: two for each multiply-accumulate that is done. Of a ViT's last
/// layer the class token alone passes the projection and the MLP.
fn forward_flops(config: &ModelConfig, batch: usize) -> f64 {
    let left_out = match config {
        ModelConfig::Vit(vit) => {
            let last = vit.layer(vit.depth() - 1);
            let width = last.heads.attention_dim() + 2 * last.mlp_hidden_dim;
            vit.num_patches() * vit.embed_dim * width
        }
        ModelConfig::Swin(_) => 0,
    };
    2.0 * (count_macs(config) - left_out as u64) as f64 * batch as f64
}

fn train_step(
    config: &ModelConfig,
    batch: usize,
    device: &Device,
    gradient_checkpointing: bool,
) -> anyhow::Result<Task<'static>> {
    let recipe = Recipe { label_smoothing: 0.0, gradient_checkpointing, ..Recipe::default() };
    let mut trainer =
        Trainer::new(model(config, device)?, &recipe, 1, std::slice::from_ref(device));
    let images = images(config, batch)?;
    let device = device.clone();
    // Of each product, the gradients of both factors are products of the same size.
    let passes = if gradient_checkpointing { 4.0 } else { 3.0 };
    Ok(Task {
        images: batch,
        flops: Some(passes * forward_flops(config, batch)),
        bytes: None,
        work: Box::new(move || {
            trainer.step(images.clone())?;
            Ok(device.sync()?)
        }),
    })
}

/// Work of a forward pass on a batch.
fn on_images(
    config: &ModelConfig,
    batch: usize,
    device: &Device,
    work: impl Fn(&Model, Tensor<4>, &Device) -> anyhow::Result<()> + 'static,
) -> anyhow::Result<Task<'static>> {
    let (model, images) = (model(config, device)?, on_device(images(config, batch)?, device));
    let device = device.clone();
    Ok(Task {
        images: batch,
        flops: Some(forward_flops(config, batch)),
        bytes: None,
        work: Box::new(move || work(&model, images.clone(), &device)),
    })
}

fn forward(model: &Model, images: Tensor<4>, device: &Device) -> anyhow::Result<()> {
    let _logits = model.forward(images);
    Ok(device.sync()?)
}

fn probe_batch(model: &Model, images: Tensor<4>, device: &Device) -> anyhow::Result<()> {
    probe(model, [Ok::<_, Infallible>(images)], Convention::Renormalized, device)?;
    Ok(())
}

fn load_images(config: &ModelConfig, batch: usize) -> anyhow::Result<Task<'static>> {
    let sample = open("cifar10-sample", Split::Train, BadImages::Refuse)?;
    let preprocess = Preprocess::new(config.image_size() as u32).check()?;
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

fn model(config: &ModelConfig, device: &Device) -> anyhow::Result<Model> {
    Ok(config.load(&from_scratch(config, 0)?, device)?)
}

/// The first images of the embedded sample, enlarged to the model's input.
fn images(config: &ModelConfig, count: usize) -> anyhow::Result<Batch> {
    let sample = open("cifar10-sample", Split::Train, BadImages::Refuse)?;
    let preprocess = Preprocess::new(config.image_size() as u32).check()?;
    let indices: Vec<usize> = (0..count).collect();
    Ok(load_batch(sample.as_ref(), &indices, &preprocess, None)?)
}

fn on_device(batch: Batch, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(batch.pixels, batch.shape), device)
}

/// A checkpoint of random weights, made-up distances of its heads and the learngene of both.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(config: &ModelConfig) -> anyhow::Result<Self> {
        let files = Self { folder: tempfile::tempdir()? };
        let parameters: StateDict = from_scratch(config, 0)?;
        let path = files.path("ancestor.safetensors");
        checkpoint::write(&path, config, &parameters, Dialect::Timm, Dtype::F32, None)?;
        // Of each layer's heads, every second looks as far as the one before.
        let heads = config
            .num_heads()
            .into_iter()
            .map(|heads| (0..heads).map(|head| 20.0 * (head / 2 + 1) as f64).collect::<Vec<_>>());
        let heads: Vec<Vec<f64>> = heads.collect();
        let distances = MeanAttentionDistances {
            std: Some(heads.iter().map(|heads| vec![None; heads.len()]).collect()),
            images: Some(1),
            convention: Some(Convention::Renormalized),
            patch_size: Some(config.patch_size()),
            attended_side: None,
            preprocess: Some(Probed {
                image_size: config.image_size(),
                crop_pct: 1.0,
                mean: [0.5; 3],
                std: [0.5; 3],
            }),
            skipped_rows: Some(0),
            images_sha256: Some("0".repeat(64)),
            ancestor_sha256: Some(checkpoint::sha256(&path)?),
            producer: Some(crate::PRODUCER.into()),
            ..MeanAttentionDistances::new(heads)
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
                let (config, parameters) = (&descendant.config, &descendant.parameters);
                Ok(checkpoint::write(&path, config, parameters, Dialect::Timm, Dtype::F32, None)?)
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
    let distances = MeanAttentionDistances::read(folder.join("distances.json"))?;
    let options = ReadOptions::default();
    let ancestor = checkpoint::read(&folder.join("ancestor.safetensors"), &options)?;
    let clusters = cluster(&distances, &ClusterParams::dbscan(10.0).check()?)?;
    let learngene = condense(&ancestor, &distances, &clusters, CondenseOptions::default())?;
    drop(ancestor);
    Ok(learngene.write(folder.join("a.learngene"))?)
}
