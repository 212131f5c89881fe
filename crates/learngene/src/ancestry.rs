//! From checkpoint and images to distances.

use std::{num::NonZeroUsize, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use indicatif::ProgressBar;
use learngene_checkpoints::Checkpoint;
use learngene_condensing::{Images, ProbeSettings, probe};
use learngene_datasets::{
    CheckedPreprocess, Dataset, DatasetError, Split, Subset, images_sha256, load_batch,
};
use learngene_format::{Convention, Distances, Preprocessing};
use learngene_models::Model;
use learngene_tensors::Sha256;

use crate::{
    args::{DeviceArgs, at_least_one, choice, dataset},
    hub::Source,
    images::BadImagesArgs,
    preprocess_args::PreprocessArgs,
    progress,
};

/// Images that the ancestor is shown, and how its attention is measured.
#[derive(Args)]
#[command(next_help_heading = "Probe")]
pub struct ProbeArgs {
    #[command(flatten)]
    pub shown: ShownArgs,
    /// Whether attention rows, without the class token, are divided by their remaining sum or stay
    /// as they are, as in the paper's published code.
    #[arg(long, default_value = "renormalized",
        value_parser = choice::<Convention>(["renormalized", "published"]))]
    pub convention: Convention,
}

/// Images that the ancestor is shown.
#[derive(Args)]
#[command(next_help_heading = "Probe")]
pub struct ShownArgs {
    /// Images to show the ancestor: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER", value_parser = dataset)]
    pub images: String,
    /// Images to show the ancestor, at most.
    #[arg(long, value_name = "N", default_value = "256", value_parser = at_least_one)]
    pub limit: NonZeroUsize,
    /// Which part of a dataset they come from.
    #[arg(long, default_value_t = Split::Train)]
    pub split: Split,
    /// Images of one forward pass.
    #[arg(long, value_name = "N", default_value = "16", value_parser = at_least_one)]
    pub batch_size: NonZeroUsize,
    #[command(flatten)]
    pub bad_images: BadImagesArgs,
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
}

impl ShownArgs {
    /// Opens the images for an ancestor from there.
    pub fn open(&self, ancestor: &Checkpoint, source: &Source) -> anyhow::Result<ProbeImages> {
        let (size, known) = (ancestor.shape.image().size, ancestor.pretrained_cfg.preprocessing);
        let preprocess = self.preprocess.check(size, known, Some(source))?;
        let all = self.bad_images.open(&self.images, self.split)?;
        let device = self.device.device.open()?;
        ProbeImages::new(all.into(), self.limit.get(), preprocess, self.batch_size.get(), device)
    }
}

impl ProbeArgs {
    /// Measures the mean attention distances of an ancestor on images.
    pub fn measure(
        &self,
        ancestor: &Model,
        ancestor_sha256: Sha256,
        images: &ProbeImages,
    ) -> anyhow::Result<Distances> {
        let bar = progress::bar(images.len() as u64, "images").with_message("probing");
        let settings = self.settings(ancestor_sha256, images);
        let measured = probe(ancestor, images.batches(&bar), settings, &images.device)?;
        bar.finish_and_clear();
        Ok(Distances { producer: crate::PRODUCER.into(), ..measured })
    }

    /// How the images are shown to the ancestor.
    pub fn settings(&self, ancestor_sha256: Sha256, images: &ProbeImages) -> ProbeSettings {
        images.settings(ancestor_sha256, self.convention)
    }
}

/// The images of a probe, to be shown as often as they are needed.
pub struct ProbeImages {
    images: Arc<dyn Dataset>,
    preprocess: CheckedPreprocess,
    pub sha256: Sha256,
    batch_size: usize,
    pub device: Device,
}

impl ProbeImages {
    /// All images, or so many taken evenly from the whole set.
    pub fn new(
        all: Arc<dyn Dataset>,
        limit: usize,
        preprocess: CheckedPreprocess,
        batch_size: usize,
        device: Device,
    ) -> anyhow::Result<Self> {
        let images: Arc<dyn Dataset> = match all.len() <= limit {
            true => all,
            // Sets are often sorted by class, so the first ones would show only a few.
            false => {
                let chosen = (0..limit).map(|index| index * all.len() / limit).collect();
                Arc::new(Subset::new(all, chosen)?)
            }
        };
        let sha256 = images_sha256(images.as_ref())?.parse()?;
        Ok(Self { images, preprocess, sha256, batch_size, device })
    }

    /// How they are shown to an ancestor.
    pub fn settings(&self, ancestor_sha256: Sha256, convention: Convention) -> ProbeSettings {
        let settings = self.preprocess.settings();
        ProbeSettings {
            images_sha256: self.sha256,
            preprocessing: Preprocessing {
                image_size: settings.image_size as usize,
                crop_pct: settings.crop_pct,
                mean: settings.mean,
                std: settings.std,
            },
            convention,
            ancestor_sha256,
        }
    }

    /// Batches of the images again and again, each time counted by a bar.
    pub fn again<'a>(&'a self, bar: &'a ProgressBar) -> Images<'a> {
        Images::new(move || {
            bar.set_position(0);
            self.batches(bar)
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// How they become the ancestor's input.
    pub fn preprocessing(&self) -> learngene_checkpoints::Preprocessing {
        let settings = self.preprocess.settings();
        learngene_checkpoints::Preprocessing {
            mean: settings.mean,
            std: settings.std,
            crop_pct: Some(settings.crop_pct),
        }
    }

    /// Every image once, in batches, counted by the bar.
    pub fn batches<'a>(
        &'a self,
        bar: &'a ProgressBar,
    ) -> impl Iterator<Item = Result<Tensor<4>, DatasetError>> + 'a {
        self.labelled(bar).map(|batch| batch.map(|(images, _)| images))
    }

    /// The same with the class of each image, as far as they have one.
    pub fn labelled<'a>(
        &'a self,
        bar: &'a ProgressBar,
    ) -> impl Iterator<Item = Result<(Tensor<4>, Vec<usize>), DatasetError>> + 'a {
        let starts = (0..self.images.len()).step_by(self.batch_size);
        starts.map(move |start| {
            let end = self.images.len().min(start + self.batch_size);
            let indices: Vec<usize> = (start..end).collect();
            let batch = load_batch(self.images.as_ref(), &indices, &self.preprocess, None)?;
            bar.inc(indices.len() as u64);
            let pixels = TensorData::new(batch.pixels, batch.shape);
            Ok((Tensor::from_data(pixels, &self.device), batch.labels))
        })
    }
}
