//! `learngene eval`

use std::{num::NonZeroUsize, sync::Arc};

use anyhow::{bail, ensure};
use burn::tensor::Device;
use clap::ValueEnum;
use learngene_checkpoints::PretrainedCfg;
use learngene_datasets::{CheckedPreprocess, Dataset, Split, TrainTest, check_split_classes};
use learngene_models::{Classifier, Model};
use learngene_training::{
    DEFAULT_RIDGE, Evaluation, Features, evaluate, frozen_features, knn, ridge_probe,
};
use serde::Serialize;

use crate::{
    args::{CheckpointArgs, DeviceArgs, at_least_one, dataset, number},
    hub::Source,
    images::BadImagesArgs,
    preprocess_args::PreprocessArgs,
    progress,
    text::count,
};

/// Measures a checkpoint's accuracy on labelled images, or what its features are worth untrained.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene eval runs/descendant/best.safetensors --data cifar10 --json\n  \
    learngene eval descendant.safetensors --data cifar10-sample --frozen knn,linear"
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images: the name of a dataset or a folder.
    #[arg(long, value_name = "NAME|FOLDER", value_parser = dataset, help_heading = "Images")]
    data: String,
    /// Which part of the dataset: train or test (a folder's val where it has no test).
    #[arg(long, default_value_t = Split::Test, help_heading = "Images")]
    split: Split,
    /// Takes the classes of the images for those of the checkpoint by their order, also where they are
    /// called otherwise.
    #[arg(long, conflicts_with = "frozen", help_heading = "Images")]
    by_number: bool,
    /// Images of one forward pass.
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one,
        help_heading = "Images")]
    batch_size: NonZeroUsize,
    /// Compares the features of test images with those of training images, by one way or several;
    /// nothing is trained and the checkpoint needs no classifier.
    #[arg(long, value_name = "WAY[,WAY]", value_enum, value_delimiter = ',', help_heading = FROZEN)]
    frozen: Vec<Way>,
    /// Which features are compared.
    #[arg(long, value_enum, default_value_t, requires = "frozen", help_heading = FROZEN)]
    pool: Pool,
    /// Neighbours that vote, for `--frozen knn` [default: 10].
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "frozen",
        help_heading = FROZEN)]
    k: Option<NonZeroUsize>,
    /// Penalty for `--frozen linear`, relative to the mean variance of a feature [default: 0.01].
    #[arg(long, value_name = "LAMBDA", value_parser = number::<f64>, requires = "frozen", help_heading = FROZEN)]
    ridge: Option<f64>,
    #[command(flatten)]
    bad_images: BadImagesArgs,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints JSON; a list where `--frozen` names several ways.
    #[arg(long)]
    json: bool,
}

const FROZEN: &str = "Frozen features";

/// How frozen features are judged.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Way {
    /// Vote of the nearest training images, by cosine similarity.
    Knn,
    /// Ridge regression onto the classes.
    Linear,
}

/// Which of the last layer's tokens are features, in timm's words.
#[derive(Clone, Copy, Default, PartialEq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Pool {
    /// What the classifier reads: a ViT's class token, a Swin's mean patch.
    #[default]
    Token,
    /// The mean patch.
    Avg,
    /// Both, side by side.
    Both,
}

impl From<Pool> for learngene_models::Pool {
    fn from(pool: Pool) -> Self {
        match pool {
            Pool::Token => Self::Token,
            Pool::Avg => Self::Avg,
            Pool::Both => Self::Both,
        }
    }
}

/// What the features are worth.
#[derive(Serialize)]
struct FrozenResult {
    #[serde(flatten)]
    judge: Judge,
    pool: Pool,
    /// In percent.
    top1: f64,
    /// Test images.
    images: usize,
}

/// A way with its setting.
#[derive(Serialize)]
#[serde(tag = "frozen", rename_all = "lowercase")]
enum Judge {
    Knn { k: NonZeroUsize },
    Linear { ridge: f64 },
}

/// Neighbours that vote where no number is given.
const DEFAULT_K: NonZeroUsize = NonZeroUsize::new(10).expect("it is not zero");

pub fn run(args: Args) -> anyhow::Result<()> {
    args.check_ways()?;
    let device = args.device.device.open()?;
    let checkpoint = args.checkpoint.read(args.preprocess.image_size, None)?;
    let image_size = checkpoint.shape.image().size;
    let PretrainedCfg { preprocessing, ref label_names } = checkpoint.pretrained_cfg;
    let preprocess =
        args.preprocess.check(image_size, preprocessing, Some(&args.checkpoint.checkpoint))?;
    let label_names = label_names.clone();
    let model = Model::load(&checkpoint.shape, &checkpoint.parameters, &device)?;
    drop(checkpoint); // Its parameters are the model's now.
    let checkpoint = &args.checkpoint.checkpoint;
    if !args.frozen.is_empty() {
        return args.run_frozen(&model, &preprocess, &device);
    }
    ensure!(
        model.num_classes() > 0,
        "the model of {checkpoint} has no classifier: fine-tune it with `learngene train`, or judge \
         its features with --frozen"
    );
    check_split_classes(&args.data)?;
    let images: Arc<dyn Dataset> = args.bad_images.open(&args.data, args.split)?.into();
    ensure!(
        !images.classes().is_empty(),
        "the images of {} are unlabelled: put those of each class into a folder of its name",
        args.data
    );
    if !args.by_number {
        check_names(checkpoint, &label_names, &args.data, images.classes())?;
    }
    let evaluation = evaluate(&model, &images, &preprocess, args.batch_size, &device)?;
    super::print(args.json, &evaluation, |Evaluation { top1, top5, loss, images }| {
        let images = count(*images, "image", "images");
        format!("top-1 {top1:.2} %, top-5 {top5:.2} %, loss {loss:.4} on {images}")
    })
}

/// Refuses images of other classes than the model learnt, as far as it names them: a number would mean
/// another class.
fn check_names(
    checkpoint: &Source,
    learnt: &[String],
    data: &str,
    found: &[String],
) -> anyhow::Result<()> {
    let mut pairs = learnt.iter().zip(found).enumerate();
    match pairs.find(|(_, (learnt, found))| learnt != found) {
        Some((class, (learnt, found))) => bail!(
            "class {class} of {checkpoint} is `{learnt}`, but of {data} it is `{found}`: give images of \
             the classes that it learnt, or --by-number if they are the same under other names"
        ),
        None => Ok(()),
    }
}

impl Args {
    /// Refuses settings of a way that is not asked for.
    fn check_ways(&self) -> anyhow::Result<()> {
        for (flag, is_given, way, name) in [
            ("--k", self.k.is_some(), Way::Knn, "knn"),
            ("--ridge", self.ridge.is_some(), Way::Linear, "linear"),
        ] {
            ensure!(
                !is_given || self.frozen.contains(&way),
                "{flag} has no effect without --frozen {name}: leave it out, or ask for that too"
            );
        }
        Ok(())
    }

    fn run_frozen(
        &self,
        model: &Model,
        preprocess: &CheckedPreprocess,
        device: &Device,
    ) -> anyhow::Result<()> {
        ensure!(
            self.split == Split::Test,
            "--frozen compares test images with training images, and --split train would compare \
             these with themselves"
        );
        let TrainTest { train, test } = self.bad_images.open_train_test(&self.data)?;
        let (k, ridge) = (self.k.unwrap_or(DEFAULT_K), self.ridge.unwrap_or(DEFAULT_RIDGE));
        ensure!(
            !self.frozen.contains(&Way::Knn) || k.get() <= train.len(),
            "--k asks for {k} neighbours, but there are {} training images",
            train.len()
        );
        let features = |images: Box<dyn Dataset>, name: &'static str| -> anyhow::Result<Features> {
            let bar = progress::bar(images.len() as u64, "images").with_message(name);
            let mut show = |done| bar.set_position(done as u64);
            let features = |batch| match self.pool {
                // The last layer then passes the class token alone.
                Pool::Token => model.features(batch),
                pool => model.pooled_features(batch, pool.into()),
            };
            let (images, size): (Arc<dyn Dataset>, _) = (images.into(), self.batch_size);
            let features = frozen_features(features, &images, preprocess, size, device, &mut show)?;
            bar.finish_and_clear();
            Ok(features)
        };
        let train = features(train, "training features")?;
        let test = features(test, "test features")?;
        let results = self.frozen.iter().map(|way| {
            let (judge, top1) = match way {
                Way::Knn => (Judge::Knn { k }, knn(&train, &test, k)?),
                Way::Linear => (Judge::Linear { ridge }, ridge_probe(&train, &test, ridge)?),
            };
            Ok(FrozenResult { judge, pool: self.pool, top1, images: test.images() })
        });
        let results = results.collect::<anyhow::Result<Vec<FrozenResult>>>()?;
        match &results[..] {
            [one] => super::print(self.json, one, describe),
            _ => super::print(self.json, &results, |results| {
                results.iter().map(describe).collect::<Vec<_>>().join("\n")
            }),
        }
    }
}

fn describe(FrozenResult { judge, pool, top1, images }: &FrozenResult) -> String {
    let judge = match judge {
        Judge::Knn { k } => format!("{k} nearest neighbours"),
        Judge::Linear { ridge } => format!("linear probe, ridge {ridge}"),
    };
    let pool = match pool {
        Pool::Token => "",
        Pool::Avg => " of mean patches",
        Pool::Both => " of class token and mean patch",
    };
    format!("top-1 {top1:.2} % by {judge}{pool} on {}", count(*images, "image", "images"))
}
