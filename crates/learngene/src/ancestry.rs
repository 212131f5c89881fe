//! The ancestor's side of the path: checkpoint and images to distances and clusters.

use std::{num::NonZeroUsize, path::Path};

use anyhow::{Context, ensure};
use burn::tensor::{Tensor, TensorData};
use clap::Args;
use learngene_clustering::{
    Algorithm, ClusterParams, Convention, HeadClusters, KMeansLibrary, MeanAttentionDistances,
    NoisePolicy, Preprocess, Representative, cluster, probe,
};
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

/// How heads are joined by their densities.
#[derive(Args)]
#[command(next_help_heading = "Clustering")]
pub struct ClusterArgs {
    /// Radius of a neighbourhood in pixels; by default 10 px where heads attend to images (ViT) or
    /// windows (Swin) of 224 px, in proportion for others.
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    pub eps: Option<f64>,
    /// Least number of heads in the neighbourhood of a core head, itself counted.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_points: usize,
    /// Whether a head in no cluster, possible for --min-points above 1, becomes a cluster of its
    /// own (the default), joins that of the nearest core head or is left out.
    #[arg(long, value_parser = choice::<NoisePolicy>(["singleton", "nearest", "drop"]))]
    pub noise: Option<NoisePolicy>,
    /// k-means with so many clusters instead: one number, or one for each layer.
    #[arg(long, value_name = "K[,K..]", value_delimiter = ',', conflicts_with_all = ["eps", "min_points", "noise"])]
    pub kmeans: Option<Vec<usize>>,
    /// Seed of k-means.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "kmeans")]
    pub seed: u64,
    /// Whether the member nearest the mean density stands for a cluster, or the mean of all
    /// members' parameters.
    #[arg(long, default_value = "nearest",
        value_parser = choice::<Representative>(["nearest", "mean"]))]
    pub representative: Representative,
}

impl ClusterArgs {
    /// Clusters the heads of each layer.
    pub fn cluster(&self, distances: &MeanAttentionDistances) -> anyhow::Result<HeadClusters> {
        let clusters = cluster(distances, &self.params(distances)?.check()?)?;
        let joined = clusters.layers.iter().filter(|l| l.labels.len() > 1 && l.sizes.len() == 1);
        let (joined, all) = (joined.count(), clusters.layers.len());
        if joined > 0 && self.kmeans.is_none() {
            tracing::info!(
                "in {joined} of {all} layers all heads are one cluster: a smaller --eps keeps more"
            );
        }
        Ok(clusters)
    }

    /// The parameters for these distances.
    fn params(&self, distances: &MeanAttentionDistances) -> anyhow::Result<ClusterParams> {
        ensure!(
            self.noise.is_none() || self.min_points != 1,
            "--noise has no effect, as every head is in a cluster with --min-points 1: leave it \
             out, or give 2 or more"
        );
        let algorithm = match (&self.kmeans, self.eps) {
            (Some(k), _) => Algorithm::KMeans {
                k: k.clone(),
                seed: self.seed,
                library: KMeansLibrary::default(),
            },
            (None, eps) => Algorithm::Dbscan {
                eps: eps.map(|eps| vec![eps]).or_else(|| distances.default_eps()).context(
                    "the distances do not say their image size, so eps has no default: give --eps",
                )?,
                min_points: self.min_points,
                noise: self.noise.unwrap_or_default(),
            },
        };
        Ok(ClusterParams { algorithm, representative: self.representative })
    }
}
