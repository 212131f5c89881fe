//! `learngene train`

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow, ensure};
use burn::tensor::Device;
use learngene_datasets::{
    Dataset, DatasetError, Fraction, HeldOut, Split, TrainTest, Workers, fraction, hold_out,
};
use learngene_expansion::{TransformationPlan, from_scratch};
use learngene_models::{Classifier, Model};
use learngene_shape::Shape;
use learngene_training::{
    Execution, FitData, Metrics, Observer, Precision, Recipe, attach, fit, holds_run, recipe_help,
};
use serde::Serialize;

#[cfg(feature = "dashboard")]
use crate::dashboard::Dashboard;
use crate::{
    args::{CheckpointArgs, DevicesArgs, Either, at_least_one, dataset, number},
    checkpoint_file::log_readers,
    device::{DeviceChoice, after_a_loss, open_all},
    environment::environment,
    files::{lock_folder, prepare_folder, read, write_whole},
    images::BadImagesArgs,
    preprocess_args::PreprocessArgs,
    progress::TrainingProgress,
    rates,
    recipe_args::RecipeArgs,
    teacher_args::TeacherArgs,
    text::{self, count, thousands},
    transform_args::{TransformArgs, WarmUp},
    transformations_file::{self, Learnt},
};

const EXAMPLE: &str = "Example:\n  learngene train descendant.safetensors \
    --data cifar10 --recipe recipe.toml --out runs/descendant\n\n\
    A run that was interrupted goes on when started again.";

/// Fine-tunes a checkpoint, or trains a model of a given shape from scratch.
///
/// It learns from the training images and is evaluated on the test images after every epoch, or on what
/// --hold-out sets apart of the training images. best.safetensors is the checkpoint of the highest top-1 of
/// all evaluations, the earliest of equals; that top-1 is a little too high, since it was chosen by these
/// images. last.safetensors is the one after the last epoch, chosen by nothing, and its top-1 is printed.
#[derive(clap::Args)]
#[command(
    after_help = EXAMPLE,
    after_long_help = after_long_help()
)]
#[command(group = clap::ArgGroup::new("start").required(true).args(["checkpoint", "config"]))]
pub struct Args {
    #[command(flatten)]
    start: Either<CheckpointArgs, ShapeArgs>,
    /// Images: the name of a dataset, or a folder of train/CLASS/ and test/CLASS/ (or val/CLASS/, where
    /// there is no test).
    #[arg(long, value_name = "NAME|FOLDER", value_parser = dataset, help_heading = "Images")]
    data: String,
    /// Evaluates on so large a share of the training images, held out, instead of the test images, which
    /// are not read then: what a learning rate is to be chosen on, such as 0.2.
    #[arg(long, value_name = "SHARE", value_parser = number::<f64>, help_heading = "Images")]
    hold_out: Option<f64>,
    /// Learns from this fraction of the training images, of every class alike and drawn by the seed,
    /// such as 0.25; a smaller one is part of every larger one.
    #[arg(long, value_name = "SHARE", value_parser = number::<f64>, help_heading = "Images")]
    fraction: Option<f64>,
    #[command(flatten)]
    bad_images: BadImagesArgs,
    /// Threads that load images ahead of the device [default: one for each core].
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Images")]
    workers: Option<NonZeroUsize>,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    teacher: TeacherArgs,
    #[command(flatten)]
    transform: TransformArgs,
    #[command(flatten)]
    devices: DevicesArgs,
    /// Folder for metrics and checkpoints, best.safetensors and last.safetensors; made where it is missing.
    #[arg(long, short, value_name = "FOLDER", help_heading = "Output")]
    out: PathBuf,
    /// Shows the run in the whole terminal, with curves.
    #[arg(long, help_heading = "Output", conflicts_with = "json",
        hide = cfg!(not(feature = "dashboard")))]
    dashboard: bool,
    /// Prints JSON.
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// What a model trained from scratch looks like.
#[derive(clap::Args)]
#[command(next_help_heading = "Instead of a checkpoint")]
struct ShapeArgs {
    /// Shape of a model to train from scratch, as JSON with the keys of
    /// datasets/desk_ancestor/shape.json.
    #[arg(long, value_name = "FILE", conflicts_with = "CheckpointArgs")]
    config: PathBuf,
}

/// What long help ends with.
fn after_long_help() -> String {
    format!("Recipe file with all keys and their defaults:\n\n{}\n{EXAMPLE}", recipe_help())
}

/// What a run did and measured.
#[derive(Serialize)]
struct Summary {
    recipe: Recipe,
    /// What part of the training images was drawn; null for all of them.
    fraction: Option<Fraction>,
    /// What share of the training images is evaluated on, in place of test images; null for none.
    hold_out: Option<f64>,
    train_images: usize,
    /// Images that are evaluated on.
    test_images: usize,
    classes: usize,
    metrics: Vec<Metrics>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if cfg!(not(feature = "dashboard")) && args.dashboard {
        return Err(super::not_built("--dashboard", "dashboard"));
    }
    let recipe = args.recipe.recipe()?;
    let teacher_weight = args.teacher.teacher_weight.unwrap_or(recipe.teacher_weight);
    let recipe = Recipe { teacher_weight, ..recipe };
    recipe.check()?;
    let checkpoint = args.start.left().map(|args| args.checkpoint.path()).transpose()?;
    let warm_up = args.transform.warm_up(checkpoint, &recipe)?;
    let warm_up_epochs = warm_up.as_ref().map_or(0, |warm_up| warm_up.epochs);
    let before = warm_up_epochs + args.teacher.label_free;
    ensure!(
        before < recipe.epochs,
        "--label-free must leave an epoch of the {} for labels, got {}",
        recipe.epochs,
        args.teacher.label_free
    );
    prepare_folder(&args.out)?;
    let _lock = lock_folder(&args.out)?;
    let (train, test) = args.images(recipe.seed)?;
    let fraction = train.fraction();
    let (train_images, test_images, classes) = (train.len(), test.len(), train.classes().len());
    after_a_loss("the same command goes on from the last checkpoint");
    let devices = open_all(&args.devices.devices)?;
    let device = &devices[0];
    let (model, known) = match &args.start {
        Either::Left(checkpoint) => {
            let checkpoint = checkpoint.read(args.preprocess.image_size, Some(classes))?;
            let model = Model::load(&checkpoint.shape, &checkpoint.parameters, device)?;
            (model, checkpoint.pretrained_cfg.preprocessing)
        }
        Either::Right(ShapeArgs { config }) => {
            (from_shape(config, classes, recipe.seed, device)?, None)
        }
    };

    let shape = model.shape();
    let memory = args.devices.memory(&devices);
    let within = |recipe: Recipe, folder: &Path| {
        let recipe = recipe.resuming_in(folder);
        match memory {
            Some(bytes) => recipe.within(&shape, bytes).resolved(),
            None => recipe.resolved(),
        }
    };
    let mut recipe = within(recipe, &args.out);
    // Asked first, for it may be refused.
    let steps_per_epoch = recipe.steps_per_epoch(train_images);
    let phase = (before > 0).then_some("fine-tuning");
    let observer = args.observer(recipe.epochs - before, steps_per_epoch, classes, phase)?;
    let image_size = shape.image().size;
    let source = args.start.left().map(|args| &args.checkpoint);
    let preprocess = args.preprocess.check(image_size, known, source)?;
    let teacher = args.teacher.teacher(&model, train.as_ref(), &preprocess)?;
    let data = FitData { train, test, preprocess, teacher };
    let execution = Execution {
        devices: &devices,
        workers: args.workers.map_or_else(Workers::default, Workers::new),
        environment: Some(environment(&args.devices.devices)?),
    };
    if args.recipe.finds_rate() {
        let folder = args.out.join("rates");
        let start = |_: &FitData| Ok(model.clone());
        recipe = recipe.at_peak(rates::find(&data, &recipe, &folder, &execution, start)?);
    }
    let held_out = if args.hold_out.is_some() { "held-out training" } else { "test" };
    tracing::info!(
        "{train_images} training and {test_images} {held_out} images of {image_size} px, {classes} \
         classes; {} parameters; {} an epoch, {}; peak learning rate {:.3e} for the batch of {}",
        thousands(shape.count_parameters()),
        count(steps_per_epoch, "step", "steps"),
        count(recipe.epochs, "epoch", "epochs"),
        recipe.peak_learning_rate(),
        recipe.batch_size
    );
    if recipe.micro_batch_size < recipe.batch_size {
        tracing::info!("each device takes at most {} images at once", recipe.micro_batch_size);
    }
    if recipe.precision == Precision::Bf16 && args.devices.devices.iter().any(DeviceChoice::is_cpu)
    {
        tracing::warn!("a CPU is slower in bf16 than in f32");
    }
    let [of_warm_up, rest] = recipe.parted(warm_up_epochs);
    let [label_free, rest] = rest.parted(args.teacher.label_free);
    let mut model = model;
    if let Some(warm_up) = warm_up {
        let folder = args.out.join("warm_up");
        model = args.warm_up(model, &data, &warm_up, &within(of_warm_up, &folder), &execution)?;
    }
    if args.teacher.label_free > 0 {
        let folder = args.out.join("label_free");
        let recipe = within(Recipe { label_weight: 0.0, ..label_free }, &folder);
        let progress = Arc::new(args.progress(classes, Some("teacher alone")));
        model = fit(model, &data, &recipe, &folder, &execution, progress)?.model;
    }
    let fitted = fit(model, &data, &within(rest, &args.out), &args.out, &execution, observer)?;
    log_readers(&args.out.join("last.safetensors"), &shape, "");
    // What came before, in a folder of its own, counts as well.
    let metrics = fitted.metrics.into_iter();
    let metrics =
        metrics.map(|line| Metrics { epoch: before as f64 + line.epoch, ..line }).collect();
    let hold_out = args.hold_out;
    let summary =
        Summary { recipe, fraction, hold_out, train_images, test_images, classes, metrics };
    super::print(args.json, &summary, |summary| match summary.metrics.last() {
        Some(Metrics { epoch, test, .. }) => {
            let epochs = if *epoch == 1.0 { "epoch" } else { "epochs" };
            format!("top-1 {:.2} %, top-5 {:.2} % after {epoch} {epochs}", test.top1, test.top5)
        }
        None => "no evaluation".into(),
    })
}

/// A fresh model of the shape in a file.
fn from_shape(path: &Path, classes: usize, seed: u64, device: &Device) -> anyhow::Result<Model> {
    let place = || format!("{} is not the shape of a model", path.display());
    let shape: Shape = serde_json::from_slice(&read(path)?).with_context(place)?;
    let shape = shape.with_num_classes(classes).with_context(place)?;
    Ok(Model::load(&shape, &from_scratch(&shape, seed), device)?)
}

/// Notes in a warm-up's folder what it learns: at first all transformations compute the same, so the
/// model does not distinguish one warm-up from another. Where another one came to nothing, this one begins.
fn keep_kind(folder: &Path, plan: &TransformationPlan, learnt: &Learnt) -> anyhow::Result<()> {
    prepare_folder(folder)?;
    let kind = serde_json::to_vec_pretty(&serde_json::json!({ "learnt": learnt, "plan": plan }))?;
    let path = folder.join("transformations.json");
    if holds_run(folder) && path.exists() {
        ensure!(
            read(&path)? == kind,
            "{} holds a warm-up of other transformations: choose another --out",
            folder.display()
        );
        return Ok(());
    }
    write_whole(&path, &kind)
}

impl Args {
    /// Learns transformations while everything else is frozen, keeps them in a file, and folds them
    /// into the model.
    fn warm_up(
        &self,
        model: Model,
        data: &FitData,
        WarmUp { plan, learnt, .. }: &WarmUp,
        recipe: &Recipe,
        execution: &Execution,
    ) -> anyhow::Result<Model> {
        let transforming = attach(model, plan, &learnt.config)?;
        let count = transforming.transformations().num_parameters();
        ensure!(
            count > 0,
            "there is nothing to transform: no layer holds copies of a head, and no networks are \
             shared or asked for"
        );
        tracing::info!(
            "warm-up of {} of transformations, {} parameters",
            text::count(recipe.epochs, "epoch", "epochs"),
            thousands(count as u64)
        );
        let folder = self.out.join("warm_up");
        keep_kind(&folder, plan, learnt)?;
        let progress = Arc::new(self.progress(data.train.classes().len(), Some("transformations")));
        let fitted = fit(transforming, data, recipe, &folder, execution, progress)?;
        let file = folder.join("transformations.safetensors");
        if !file.exists() {
            // What is read back is folded, and its transformations are the identity.
            ensure!(
                !fitted.read_back,
                "{} is missing: the warm-up in {folder} ended, but was stopped before it wrote what \
                 it learnt; remove {folder}, and the same command learns it again",
                file.display(),
                folder = folder.display()
            );
            let tensors = fitted.model.transformations();
            transformations_file::write(&file, &tensors, learnt)?;
        }
        Ok(fitted.model.fold())
    }

    /// Lines and a bar that show the progress of a run, or a phase of it.
    fn progress(&self, classes: usize, phase: Option<&'static str>) -> TrainingProgress {
        let evaluated_on = if self.hold_out.is_some() { "held-out" } else { "test" };
        TrainingProgress::new(phase, evaluated_on, classes).with_teacher(self.teacher.is_given())
    }

    /// What shows the progress of the run.
    #[cfg_attr(not(feature = "dashboard"), expect(unused_variables))]
    fn observer(
        &self,
        epochs: usize,
        steps_per_epoch: usize,
        classes: usize,
        phase: Option<&'static str>,
    ) -> anyhow::Result<Arc<dyn Observer>> {
        #[cfg(feature = "dashboard")]
        if self.dashboard {
            return Ok(Arc::new(Dashboard::new(epochs, steps_per_epoch)?));
        }
        Ok(Arc::new(self.progress(classes, phase)))
    }

    /// Images to learn from and to evaluate on.
    fn images(&self, seed: u64) -> anyhow::Result<(Arc<dyn Dataset>, Arc<dyn Dataset>)> {
        let (train, test): (Arc<dyn Dataset>, Arc<dyn Dataset>) = match self.hold_out {
            Some(share) => {
                let all = self.bad_images.open(&self.data, Split::Train)?;
                let HeldOut { kept, held_out } = hold_out(all.into(), share, seed)?;
                (Arc::new(kept), Arc::new(held_out))
            }
            None => {
                let both = self.bad_images.open_train_test(&self.data);
                let TrainTest { train, test } = both.map_err(|error| match error.downcast_ref() {
                    Some(DatasetError::NotSplit { .. }) => {
                        anyhow!("{error}; --hold-out 0.2 evaluates on a fifth of the training images")
                    }
                    _ => error,
                })?;
                (train.into(), test.into())
            }
        };
        Ok(match self.fraction {
            Some(share) => (Arc::new(fraction(train, share, seed)?), test),
            None => (train, test),
        })
    }
}
