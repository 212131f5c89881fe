//! `learngene train`

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use learngene_datasets::{
    BadImages, Dataset, HeldOut, Split, TrainTest, hold_out, open, open_train_test,
};
use learngene_expansion::from_scratch;
use learngene_models::{VitConfig, checkpoint::ReadOptions};
use learngene_training::{FitData, Metrics, Recipe, fit};
use serde::Serialize;

use crate::{
    args::{DeviceArgs, PreprocessArgs, read_checkpoint},
    progress::TrainingProgress,
};

/// Fine-tunes a checkpoint, or trains a model of a given shape from scratch.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene train --checkpoint descendant.safetensors --data cifar10 \
    --recipe recipe.toml --out runs/descendant\n\nA run that was interrupted goes on when started again."
)]
pub struct Args {
    /// Checkpoint to start from.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    checkpoint: Option<PathBuf>,
    /// Architecture by timm's name, where the checkpoint's tensors cannot tell it.
    #[arg(long, value_name = "NAME", requires = "checkpoint")]
    arch: Option<String>,
    /// Attention heads, where the checkpoint's tensors cannot tell them: one number, or one for
    /// each layer.
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',', requires = "checkpoint")]
    num_heads: Option<Vec<usize>>,
    /// Shape of a model to train from scratch, as JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    config: Option<PathBuf>,
    /// Images: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER")]
    data: String,
    /// Recipe file; a flag below wins over its entry.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Folder for metrics and checkpoints.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Passes over the training images.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images of one optimiser step.
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Peak learning rate for a batch of 512.
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Seed of initial weights, order and augmentation.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Evaluates on so large a share of the training images, held out, instead of the test images.
    #[arg(long, value_name = "SHARE")]
    hold_out: Option<f64>,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What a run did and measured.
#[derive(Serialize)]
struct Summary {
    recipe: Recipe,
    train_images: usize,
    test_images: usize,
    classes: usize,
    metrics: Vec<Metrics>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let recipe = args.recipe()?;
    let (train, test) = args.images(recipe.seed)?;
    let (train_images, test_images, classes) = (train.len(), test.len(), train.classes().len());
    let device = args.device.device.open();

    let model = match (&args.checkpoint, &args.config) {
        (Some(path), _) => {
            let options = ReadOptions {
                arch: args.arch.clone(),
                num_heads: args.num_heads.clone(),
                image_size: args.preprocess.image_size,
                num_classes: Some(classes),
                ..Default::default()
            };
            read_checkpoint(path, &options)?.load(&device)?
        }
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let config: VitConfig = serde_json::from_str(&text)
                .with_context(|| format!("{} is not the shape of a model", path.display()))?;
            let config = config.with_num_classes(classes);
            config
                .check()
                .with_context(|| format!("{} is not the shape of a model", path.display()))?;
            config.load(&from_scratch(&config, recipe.seed)?, &device)?
        }
        (None, None) => unreachable!("clap asks for one of the two"),
    };

    let preprocess = args.preprocess.check(model.config().image_size)?;
    let data = FitData { train, test, preprocess };
    let fitted =
        fit(model, &data, &recipe, &args.out, &device, Arc::new(TrainingProgress::default()))?;
    let summary = Summary { recipe, train_images, test_images, classes, metrics: fitted.metrics };
    super::print(args.json, &summary, |summary| match summary.metrics.last() {
        Some(Metrics { epoch, test, .. }) => {
            format!("top-1 {:.2} %, top-5 {:.2} % after {epoch} epochs", test.top1, test.top5)
        }
        None => "no evaluation".into(),
    })
}

impl Args {
    /// Images to learn from and to evaluate on.
    fn images(&self, seed: u64) -> anyhow::Result<(Arc<dyn Dataset>, Arc<dyn Dataset>)> {
        Ok(match self.hold_out {
            Some(share) => {
                let all = open(&self.data, Split::Train, BadImages::Refuse)?;
                let HeldOut { kept, held_out } = hold_out(all.into(), share, seed)?;
                (Arc::new(kept), Arc::new(held_out))
            }
            None => {
                let TrainTest { train, test } = open_train_test(&self.data, BadImages::Refuse)?;
                (train.into(), test.into())
            }
        })
    }

    fn recipe(&self) -> anyhow::Result<Recipe> {
        let mut recipe = match &self.recipe {
            Some(path) => Recipe::read(path)?,
            None => Recipe::default(),
        };
        recipe.epochs = self.epochs.unwrap_or(recipe.epochs);
        recipe.batch_size = self.batch_size.unwrap_or(recipe.batch_size);
        recipe.learning_rate = self.learning_rate.unwrap_or(recipe.learning_rate);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        Ok(recipe.resolved())
    }
}
