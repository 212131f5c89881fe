//! `learngene eval`

use std::num::NonZeroUsize;

use anyhow::ensure;
use burn::tensor::Device;
use clap::ValueEnum;
use learngene_datasets::{
    BadImages, CheckedPreprocess, Dataset, Split, TrainTest, open, open_train_test,
};
use learngene_models::Vit;
use learngene_training::{
    DEFAULT_RIDGE, Evaluation, Features, evaluate, frozen_features, knn, ridge_probe,
};
use serde::Serialize;

use crate::{
    args::{CheckpointArgs, DeviceArgs, PreprocessArgs},
    progress,
};

/// Measures a checkpoint's accuracy on labelled images, or what its features are worth untrained.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene eval --checkpoint runs/descendant/best.safetensors --data cifar10 --json\n  \
    learngene eval --checkpoint descendant.safetensors --data cifar10-sample --frozen knn,linear"
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER")]
    data: String,
    /// Which part of the dataset.
    #[arg(long, default_value_t = Split::Test)]
    split: Split,
    /// Images of one forward pass.
    #[arg(long, value_name = "N", default_value = "64")]
    batch_size: NonZeroUsize,
    /// Compares the features of test images with those of training images, by one way or several;
    /// nothing is trained and the checkpoint needs no classifier.
    #[arg(long, value_name = "WAY[,WAY]", value_enum, value_delimiter = ',')]
    frozen: Vec<Frozen>,
    /// Neighbours that vote, for `--frozen knn`.
    #[arg(long, value_name = "N", default_value = "10")]
    k: NonZeroUsize,
    /// Penalty for `--frozen linear`, relative to the mean variance of a feature.
    #[arg(long, value_name = "LAMBDA", default_value_t = DEFAULT_RIDGE)]
    ridge: f64,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints JSON; a list where `--frozen` names several ways.
    #[arg(long)]
    json: bool,
}

/// How frozen features are judged.
#[derive(Clone, Copy, PartialEq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Frozen {
    /// Vote of the nearest training images, by cosine similarity.
    Knn,
    /// Ridge regression onto the classes.
    Linear,
}

/// What the features are worth.
#[derive(Serialize)]
struct FrozenResult {
    frozen: Frozen,
    /// In percent.
    top1: f64,
    /// Test images.
    images: usize,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let device = args.device.device.open();
    let model = args.checkpoint.read(args.preprocess.image_size, None)?.load(&device)?;
    let preprocess = args.preprocess.check(model.config().image_size)?;
    if !args.frozen.is_empty() {
        return args.run_frozen(&model, &preprocess, &device);
    }
    let images = open(&args.data, args.split, BadImages::Refuse)?;
    let evaluation = evaluate(&model, images.as_ref(), &preprocess, args.batch_size, &device)?;
    super::print(args.json, &evaluation, |Evaluation { top1, top5, loss, images }| {
        format!("top-1 {top1:.2} %, top-5 {top5:.2} %, loss {loss:.4} on {images} images")
    })
}

impl Args {
    fn run_frozen(
        &self,
        model: &Vit,
        preprocess: &CheckedPreprocess,
        device: &Device,
    ) -> anyhow::Result<()> {
        ensure!(
            self.split == Split::Test,
            "--frozen compares test images with training images, and --split train would compare \
             these with themselves"
        );
        let TrainTest { train, test } = open_train_test(&self.data, BadImages::Refuse)?;
        let features = |images: &dyn Dataset, name: &'static str| -> anyhow::Result<Features> {
            let bar = progress::bar(images.len() as u64, "images").with_message(name);
            let mut show = |done| bar.set_position(done as u64);
            let features =
                frozen_features(model, images, preprocess, self.batch_size, device, &mut show)?;
            bar.finish_and_clear();
            Ok(features)
        };
        let train = features(train.as_ref(), "training features")?;
        let test = features(test.as_ref(), "test features")?;
        let results = self.frozen.iter().map(|&frozen| {
            let top1 = match frozen {
                Frozen::Knn => knn(&train, &test, self.k)?,
                Frozen::Linear => ridge_probe(&train, &test, self.ridge)?,
            };
            Ok(FrozenResult { frozen, top1, images: test.images() })
        });
        let results = results.collect::<anyhow::Result<Vec<FrozenResult>>>()?;
        match &results[..] {
            [one] => super::print(self.json, one, |one| self.describe(one)),
            _ => super::print(self.json, &results, |results| {
                let lines: Vec<String> = results.iter().map(|one| self.describe(one)).collect();
                lines.join("\n")
            }),
        }
    }

    fn describe(&self, FrozenResult { frozen, top1, images }: &FrozenResult) -> String {
        let way = match frozen {
            Frozen::Knn => format!("{} nearest neighbours", self.k),
            Frozen::Linear => format!("linear probe, ridge {}", self.ridge),
        };
        format!("top-1 {top1:.2} % by {way} on {images} images")
    }
}
