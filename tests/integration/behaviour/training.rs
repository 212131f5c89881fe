//! What every epoch of training does.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::tensor::Device;
use image::RgbImage;
use learngene_checkpoints::ReadOptions;
use learngene_datasets::{Dataset, DatasetError, Split};
use learngene_models::{Classifier, Model};
use learngene_training::{Evaluation, Execution, FitData, Fitted, Metrics, Recipe, evaluate, fit};

use crate::support::{folder, load, preprocess, random_parameters, sample, tiny};

/// The same model each time.
fn model() -> Model {
    let shape = tiny();
    load(&shape, &random_parameters(&shape, 3), &Device::flex())
}

fn train(images: Arc<dyn Dataset>, recipe: &Recipe, run: &Path) -> Fitted<Model> {
    let model = model();
    let data = FitData {
        train: images,
        test: sample(Split::Test, 40),
        preprocess: preprocess(model.image_size()),
        teacher: None,
    };
    fit(model, &data, recipe, run, &Execution::on(&[Device::flex()]), Arc::new(()))
        .expect("a short run")
}

fn recipe() -> Recipe {
    let warmup_epochs = Some(0.0);
    Recipe { epochs: 2, batch_size: 16, learning_rate: 0.1, warmup_epochs, ..Recipe::default() }
}

/// Images that count how often each is looked at.
struct Counting {
    images: Arc<dyn Dataset>,
    looks: Vec<AtomicUsize>,
}

impl Dataset for Counting {
    fn len(&self) -> usize {
        self.images.len()
    }
    fn classes(&self) -> &[String] {
        self.images.classes()
    }
    fn label(&self, index: usize) -> Option<usize> {
        self.images.label(index)
    }
    fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        self.looks[index].fetch_add(1, Ordering::Relaxed);
        self.images.image(index)
    }
    fn name(&self, index: usize) -> String {
        self.images.name(index)
    }
}

/// The published loop broke off in the middle of every epoch.
#[test]
fn every_epoch_learns_from_every_image() {
    let images = sample(Split::Train, 50);
    let looks = (0..images.len()).map(|_| AtomicUsize::new(0)).collect();
    let counting = Arc::new(Counting { images, looks });
    // At least: images are loaded ahead, some of the epoch after the last among them.
    let run = folder();
    let recipe = Recipe { epochs: 3, ..recipe() };
    let fitted = train(counting.clone(), &recipe, run.path());
    let last = fitted.metrics.last().expect("the last epoch was evaluated");
    assert_eq!((last.step, last.epoch), (12, 3.0), "50 images are 4 batches of 16");
    let looks: Vec<usize> =
        counting.looks.iter().map(|looks| looks.load(Ordering::Relaxed)).collect();
    assert!(looks.iter().all(|looks| *looks >= 3), "{looks:?}");
}

/// The published loop went on in evaluation mode after the first evaluation, without stochastic depth.
#[test]
fn branches_are_left_out_after_an_evaluation_too() {
    let parameters = |epochs, evaluations_per_epoch, drop_path| {
        let run = folder();
        let recipe = Recipe { epochs, evaluations_per_epoch, drop_path, ..recipe() };
        train(sample(Split::Train, 32), &recipe, run.path()).model.state_dict()
    };
    // One epoch of two steps: with two evaluations the first lies between them.
    assert_eq!(parameters(1, 2, 0.5), parameters(1, 1, 0.5), "evaluations change nothing");
    assert_ne!(parameters(1, 2, 0.5), parameters(1, 2, 0.0), "some branches are left out");
}

/// The published code kept an average that it never evaluated, and no checkpoint of the best epoch.
#[test]
fn the_average_is_evaluated_and_the_best_of_both_is_kept() {
    let run = folder();
    let recipe = Recipe { epochs: 4, ema_decay: 0.9, ..recipe() };
    let metrics = train(sample(Split::Train, 64), &recipe, run.path()).metrics;
    let ema = |line: &Metrics| line.ema.expect("there is an average");
    assert!(metrics.iter().any(|line| line.test != ema(line)), "it is the model: {metrics:?}");
    let top1 = |evaluation: Evaluation| evaluation.top1;
    let best = |values: Vec<f64>| values.into_iter().fold(0.0, f64::max);
    check_best(run.path(), "best", best(metrics.iter().map(|line| top1(line.test)).collect()));
    check_best(run.path(), "best_ema", best(metrics.iter().map(|line| top1(ema(line))).collect()));
}

/// The checkpoint of that name has the highest top-1 that was measured.
fn check_best(run: &Path, name: &str, highest: f64) {
    let path = run.join(name).with_extension("safetensors");
    let options = ReadOptions { num_heads: Some(vec![6]), ..ReadOptions::default() };
    let read = learngene_checkpoints::read(&path, &options).expect("it was written");
    let model = load(&tiny(), &read.parameters, &Device::flex());
    let preprocess = preprocess(model.image_size());
    let batch_size = 16.try_into().expect("not zero");
    let test = sample(Split::Test, 40);
    let found = evaluate(&model, &test, &preprocess, batch_size, &Device::flex());
    assert_eq!(found.expect("the images are good").top1, highest, "{name}");
}
