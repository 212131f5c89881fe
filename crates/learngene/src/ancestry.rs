//! From checkpoint and images to distances.

use std::{num::NonZeroUsize, path::Path};

use burn::tensor::{Tensor, TensorData};
use clap::Args;
use learngene_clustering::{Convention, MeanAttentionDistances, Preprocess, probe};
use learngene_datasets::{
    BadImages, Dataset, DatasetError, Split, Subset, images_sha256, load_batch, open,
};
use learngene_models::{ModelConfig, checkpoint::Checkpoint};

use crate::{
    args::{DeviceArgs, PreprocessArgs, choice, dataset},
    progress,
    text::count,
};

/// Which images the ancestor is shown, and what becomes of its attention.
#[derive(Args)]
#[command(next_help_heading = "Probe")]
pub struct ProbeArgs {
    /// Images to show the ancestor: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER", value_parser = dataset)]
    pub images: String,
    /// Images to show the ancestor, at most.
    #[arg(long, value_name = "N", default_value = "256")]
    pub limit: NonZeroUsize,
    /// Which part of a dataset they come from.
    #[arg(long, default_value_t = Split::Train)]
    pub split: Split,
    /// Images of one forward pass.
    #[arg(long, value_name = "N", default_value = "16")]
    pub batch_size: NonZeroUsize,
    /// Whether attention rows, without the class token, are divided by their remaining sum or stay
    /// as they are, as in the paper's published code.
    #[arg(long, default_value = "renormalized",
        value_parser = choice::<Convention>(["renormalized", "published"]))]
    pub convention: Convention,
    /// Leaves out images that cannot be decoded, and says how many.
    #[arg(long)]
    pub skip_bad_images: bool,
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
}

impl ProbeArgs {
    /// Measures the mean attention distances, on images, of an ancestor read from that file.
    pub fn measure(
        &self,
        ancestor: &Checkpoint,
        path: &Path,
    ) -> anyhow::Result<MeanAttentionDistances> {
        let preprocess = self.preprocess.check(ancestor.config.image_size(), Some(path))?;
        let images = self.open_images()?;
        let device = self.device.device.open()?;
        let model = ancestor.load(&device)?;

        let bar = progress::bar(images.len() as u64, "images").with_message("probing");
        let indices: Vec<usize> = (0..images.len()).collect();
        let batches = indices.chunks(self.batch_size.get()).map(|indices| {
            let batch = load_batch(images.as_ref(), indices, &preprocess, None)?;
            bar.inc(indices.len() as u64);
            Ok::<_, DatasetError>(Tensor::from_data(
                TensorData::new(batch.pixels, batch.shape),
                &device,
            ))
        });
        let measured = probe(&model, batches, self.convention, &device)?;
        bar.finish_and_clear();

        let settings = preprocess.settings();
        Ok(MeanAttentionDistances {
            mean_attention_distance: measured.heads.mean,
            std: Some(measured.heads.std),
            images: Some(measured.heads.images),
            convention: Some(self.convention),
            patch_size: Some(ancestor.config.patch_size()),
            attended_side: Some(attended_sides(&ancestor.config)),
            depths: Some(ancestor.config.stages().iter().map(|stage| stage.len()).collect()),
            preprocess: Some(Preprocess {
                image_size: settings.image_size as usize,
                crop_pct: settings.crop_pct,
                mean: settings.mean,
                std: settings.std,
            }),
            skipped_rows: Some(measured.skipped_rows),
            images_sha256: Some(images_sha256(images.as_ref())?),
            ancestor_sha256: Some(ancestor.sha256.clone()),
            producer: Some(crate::PRODUCER.into()),
        })
    }

    /// The images to show: all, or so many taken evenly from the whole set.
    fn open_images(&self) -> anyhow::Result<Box<dyn Dataset>> {
        let policy = if self.skip_bad_images { BadImages::Skip } else { BadImages::Refuse };
        let all = open(&self.images, self.split, policy)?;
        if !all.skipped().is_empty() {
            let skipped = count(all.skipped().len(), "image", "images");
            tracing::warn!("left out {skipped} that cannot be decoded");
        }
        let limit = self.limit.get();
        if all.len() <= limit {
            return Ok(all);
        }
        // Sets are often sorted by class, so the first ones would show only a few.
        let chosen = (0..limit).map(|index| index * all.len() / limit).collect();
        Ok(Box::new(Subset::new(all.into(), chosen)?))
    }
}

/// Side of what one query attends to in each layer, in pixels.
fn attended_sides(config: &ModelConfig) -> Vec<usize> {
    (0..config.depth()).map(|layer| config.attended_side(layer)).collect()
}
