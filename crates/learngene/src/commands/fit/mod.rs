//! `learngene fit`

mod page;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::ensure;
use learngene_checkpoints::Checkpoint;
use learngene_condensing::{FitOptions, RunningAncestor, Worth, condense_to, measure};
use learngene_datasets::{CheckedPreprocess, Dataset, TrainTest};
use learngene_expansion::{Descendant, DescendantConfig, expand};
use learngene_format::{Convention, HeadOrder, Learngene};
use learngene_models::{Classifier, Model};
use learngene_shape::Place;
use learngene_tensors::{Sha256, StateDict, Tensor};
use learngene_training::{
    Evaluation, Execution, FitData, Fitted, FittedClassifier, Recipe, Teacher, confusion, fit,
    fitted_classifier, frozen_features,
};
use serde::{Deserialize, Serialize};

use self::page::Page;
use crate::{
    ancestry::ProbeImages,
    args::{CheckpointArgs, DeviceArgs, at_least_one, dataset, number, whole_number},
    budget_args::BudgetArgs,
    commands::sizes,
    device::memory,
    environment::environment,
    files::{lock_folder, prepare_folder, read, write_whole},
    images::BadImagesArgs,
    preprocess_args::PreprocessArgs,
    progress::{self, TrainingProgress},
    rates,
    text::{count, thousands},
};

/// Images that the ancestor is shown, at most.
const SHOWN: usize = 256;

/// Images of one forward pass.
const BATCH: usize = 16;

/// Ridge of the classifier that training begins with.
const RIDGE: f64 = 0.1;

/// Rows of the table of sizes.
const ROWS: usize = 16;

/// The file of that table.
const SIZES: &str = "sizes.json";

/// Makes a model of a given size from a pretrained one, fine-tuned on a folder of images.
///
/// It keeps the layers, heads and hidden units that best preserve the features of the training images, fits
/// the matrices that read them and a classifier, finds a learning rate on a fifth of the training images, and
/// fine-tunes, by the labels and by what MODEL makes of the images. The folder --out then holds the model, best.safetensors and last.safetensors. A fit that was interrupted goes
/// on when started again. It needs at least 32 training images.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene fit hf:timm/deit_tiny_patch16_224.fb_in1k --data flowers/ --max-params 3M --out runs/flowers\n  \
    learngene predict runs/flowers photos/"
)]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images: the name of a dataset, or a folder of train/CLASS/ and test/CLASS/ (or val/CLASS/, where
    /// there is no test).
    #[arg(long, value_name = "NAME|FOLDER", value_parser = dataset, help_heading = "Images")]
    data: String,
    #[command(flatten)]
    bad_images: BadImagesArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Shows the sizes to choose from, and ends.
    #[arg(long, help_heading = "Budget")]
    dry_run: bool,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    /// Passes over the training images.
    #[arg(long, value_name = "N", default_value = "10", value_parser = at_least_one,
        help_heading = "Training")]
    epochs: NonZeroUsize,
    /// Images of one optimiser step.
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least_one,
        help_heading = "Training")]
    batch_size: NonZeroUsize,
    /// Peak learning rate, used as it is [default: found by short runs].
    #[arg(long, value_name = "RATE", value_parser = number::<f64>, help_heading = "Training")]
    lr: Option<f64>,
    /// Learns from labels alone, not from MODEL as well: faster, and less accurate.
    #[arg(long, help_heading = "Training")]
    no_teacher: bool,
    /// Seed of the classifier, order and augmentation.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number::<u64>,
        help_heading = "Training")]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
    /// Folder for the model and all that leads to it; made where it is missing.
    #[arg(
        long,
        short,
        value_name = "FOLDER",
        help_heading = "Output",
        required_unless_present = "dry_run"
    )]
    out: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// What a folder's learngene was made of.
#[derive(PartialEq, Serialize, Deserialize)]
struct Origin {
    ancestor_sha256: Sha256,
    images_sha256: Sha256,
    budget: Option<String>,
}

/// What was made.
#[derive(Serialize)]
struct Summary {
    parameters: u64,
    macs: u64,
    ancestor_parameters: u64,
    /// At the peak.
    learning_rate: f64,
    /// On the test images, after the last epoch.
    #[serde(flatten)]
    test: Evaluation,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let TrainTest { train, test } = args.bad_images.open_train_test(&args.data)?;
    let (train, test): (Arc<dyn Dataset>, Arc<dyn Dataset>) = (train.into(), test.into());
    args.recipe().check()?;
    let ancestor = args.checkpoint.read(args.preprocess.image_size, None)?;
    let (size, known) = (ancestor.shape.image().size, ancestor.pretrained_cfg.preprocessing);
    let preprocess = args.preprocess.check(size, known, Some(&args.checkpoint.checkpoint))?;
    let device = args.device.device.open()?;
    let ancestor_parameters = ancestor.shape.count_parameters();
    let shown = ProbeImages::new(train.clone(), SHOWN, preprocess.clone(), BATCH, device.clone())?;
    if args.budget.flag().is_none() || args.dry_run {
        return args.show_sizes(ancestor, &shown, train.classes().len());
    }
    prepare_folder(args.out())?;
    let _lock = lock_folder(args.out())?;
    let learngene = args.learngene(ancestor, &shown, train.classes().len())?;
    let config = DescendantConfig {
        num_classes: Some(train.classes().len()),
        seed: args.seed,
        ..DescendantConfig::default()
    };
    let Descendant { shape, parameters, .. } = expand(&learngene, &config)?;
    let (parameter_count, macs) = (shape.count_parameters(), shape.count_macs());
    tracing::info!(
        "{} of {} parameters in {}",
        thousands(parameter_count),
        thousands(ancestor_parameters),
        count(shape.depth(), "layer", "layers")
    );
    let model = Model::load(&shape, &parameters, &device)?;
    let teacher = match args.no_teacher {
        true => None,
        false => Some(args.teacher(&model, train.as_ref(), &preprocess)?),
    };
    let data = FitData { train, test, preprocess, teacher };
    let (fitted, learning_rate) = args.fine_tune(&model, &parameters, &data)?;
    args.write_page(&fitted, &data)?;
    let test = fitted.metrics.last().expect("a run ends with an evaluation").test;
    let summary =
        Summary { parameters: parameter_count, macs, ancestor_parameters, learning_rate, test };
    super::print(args.json, &summary, |summary| {
        format!(
            "{out}: top-1 {:.2} % on {} test images, {} of {} parameters, {} multiply-accumulates an \
             image; {out}/index.html shows it, `learngene predict {out} IMAGES` uses it",
            summary.test.top1,
            thousands(summary.test.images as u64),
            thousands(summary.parameters),
            thousands(summary.ancestor_parameters),
            thousands(summary.macs),
            out = args.out().display()
        )
    })
}

/// An ancestor, and what its parts are worth.
struct Measured {
    ancestor: RunningAncestor,
    worth: Worth,
}

impl Measured {
    fn new(ancestor: Checkpoint, shown: &ProbeImages) -> anyhow::Result<Self> {
        let settings = shown.settings(ancestor.sha256, Convention::Renormalized);
        let ancestor = RunningAncestor::load(ancestor, &shown.device)?;
        let bar = progress::bar(shown.len() as u64, "images").with_message("measuring");
        let worth = measure(&ancestor, settings, HeadOrder::Output, &mut shown.again(&bar))?;
        bar.finish_and_clear();
        Ok(Self { ancestor, worth })
    }
}

impl Args {
    fn out(&self) -> &Path {
        self.out.as_deref().expect("it may be left out for a dry run alone")
    }

    fn recipe(&self) -> Recipe {
        let recipe = Recipe {
            epochs: self.epochs.get(),
            batch_size: self.batch_size.get(),
            min_learning_rate: 1e-6,
            seed: self.seed,
            ..Recipe::default()
        };
        self.lr.map_or(recipe.clone(), |rate| recipe.at_peak(rate))
    }

    /// Shows what there is to choose from; without a budget and unless asked for, that is an error.
    fn show_sizes(
        &self,
        ancestor: Checkpoint,
        shown: &ProbeImages,
        classes: usize,
    ) -> anyhow::Result<()> {
        let shape = ancestor.shape.with_num_classes(classes)?;
        let Measured { worth, .. } = Measured::new(ancestor, shown)?;
        let rows = sizes::rows(&shape, &worth.curves, ROWS, None)?;
        super::print(self.json, &rows, |rows| sizes::table(rows))?;
        if let Some(choice) = self.budget.choose(&shape, &worth.curves, &self.device.device)? {
            let parameters = thousands(choice.shape(&shape)?.count_parameters());
            tracing::info!("chosen: {parameters} parameters");
        }
        ensure!(self.dry_run, "choose a size with --max-params, --max-macs or --max-latency");
        Ok(())
    }

    /// The descendant with a fitted classifier, fine-tuned; and the learning rate of that.
    fn fine_tune(
        &self,
        model: &Model,
        parameters: &StateDict,
        data: &FitData,
    ) -> anyhow::Result<(Fitted<Model>, f64)> {
        let (shape, device) = (model.shape(), &model.device());
        let choice = &self.device.device;
        let execution = Execution {
            environment: Some(environment(std::slice::from_ref(choice))?),
            ..Execution::on(std::slice::from_ref(device))
        };
        let recipe = self.recipe().resuming_in(self.out());
        let recipe = match memory(choice, device) {
            Some(bytes) => recipe.within(&shape, bytes),
            None => recipe,
        };
        let start = |data: &FitData| self.with_fitted_classifier(model, parameters, data);
        let learning_rate = match self.lr {
            Some(rate) => rate,
            // What is held out must not have taught the classifier.
            None => rates::find(data, &recipe, &self.out().join("rates"), &execution, start)?,
        };
        let observer = TrainingProgress::new(None, "test", data.train.classes().len())
            .with_teacher(data.teacher.is_some());
        let (model, recipe) = (start(data)?, recipe.at_peak(learning_rate));
        let fitted = fit(model, data, &recipe, self.out(), &execution, Arc::new(observer))?;
        Ok((fitted, learning_rate))
    }

    /// The page of the run, index.html.
    fn write_page(&self, fitted: &Fitted<Model>, data: &FitData) -> anyhow::Result<()> {
        let FitData { test, preprocess, .. } = data;
        let Fitted { model, metrics, .. } = fitted;
        let confusion = confusion(model, test, preprocess, self.batch_size, &model.device())?;
        let sizes: Vec<sizes::Row> = serde_json::from_slice(&read(&self.out().join(SIZES))?)?;
        let page = Page::new(&model.shape(), &sizes, metrics, test.classes(), &confusion)?;
        write_whole(&self.out().join("index.html"), page.render()?.as_bytes())
    }

    /// MODEL as a teacher.
    fn teacher(
        &self,
        student: &Model,
        images: &dyn Dataset,
        preprocess: &CheckedPreprocess,
    ) -> anyhow::Result<Teacher> {
        let ancestor = self.checkpoint.read(self.preprocess.image_size, None)?;
        let model = Model::load(&ancestor.shape, &ancestor.parameters, &student.device())?;
        let label_names = ancestor.pretrained_cfg.label_names;
        Ok(Teacher::new(model, &label_names, student, images, preprocess)?)
    }

    /// The learngene of the folder, made where there is none yet.
    fn learngene(
        &self,
        ancestor: Checkpoint,
        shown: &ProbeImages,
        classes: usize,
    ) -> anyhow::Result<Learngene> {
        let path = self.out().join("model.learngene");
        let origin = Origin {
            ancestor_sha256: ancestor.sha256,
            images_sha256: shown.sha256,
            budget: self.budget.text(),
        };
        let note = self.out().join("fit.json");
        if note.exists() {
            ensure!(
                serde_json::from_slice::<Origin>(&read(&note)?).is_ok_and(|found| found == origin),
                "{} holds a fit of another model, size or images: choose another --out",
                self.out().display()
            );
            if path.exists() {
                return Ok(Learngene::read(&path)?);
            }
        }
        let shape = ancestor.shape.with_num_classes(classes)?;
        let Measured { ancestor, worth } = Measured::new(ancestor, shown)?;
        let rows = sizes::rows(&shape, &worth.curves, ROWS, None)?;
        let choice = self.budget.choose(&shape, &worth.curves, &self.device.device)?;
        let choice = choice.expect("without a budget sizes are shown");
        let bar = progress::bar(shown.len() as u64, "images").with_message("fitting");
        let (options, mut images) =
            (FitOptions { any_size: false, ..FitOptions::default() }, shown.again(&bar));
        let learngene = condense_to(ancestor, &worth, &choice.sizes, &mut images, options)?;
        bar.finish_and_clear();
        write_whole(&self.out().join(SIZES), &serde_json::to_vec_pretty(&rows)?)?;
        write_whole(&note, &serde_json::to_vec_pretty(&origin)?)?;
        learngene.write(&path)?;
        Ok(learngene)
    }

    /// The model with a classifier that is fitted to the training images.
    fn with_fitted_classifier(
        &self,
        model: &Model,
        parameters: &StateDict,
        data: &FitData,
    ) -> anyhow::Result<Model> {
        let (shape, device) = (model.shape(), model.device());
        let mut parameters = parameters.clone();
        let bar = progress::bar(data.train.len() as u64, "images").with_message("classifier");
        let mut show = |done| bar.set_position(done as u64);
        let batch = NonZeroUsize::new(BATCH).expect("it is not zero");
        let features = |images| model.features(images);
        let features =
            frozen_features(features, &data.train, &data.preprocess, batch, &device, &mut show)?;
        bar.finish_and_clear();
        let FittedClassifier { weight, bias } = fitted_classifier(&features, RIDGE)?;
        for parameter in shape.parameters() {
            if parameter.place == Place::Classifier {
                let values = if parameter.axes.len() == 2 { &weight } else { &bias };
                parameters
                    .insert(parameter.name.clone(), Tensor::new(parameter.shape(), values.clone()));
            }
        }
        Ok(Model::load(&shape, &parameters, &device)?)
    }
}
