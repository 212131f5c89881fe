//! `learngene bench`

use std::{convert::Infallible, num::NonZeroUsize, thread, time::Instant};

use burn::tensor::{Device, Tensor, TensorData};
use clap::ValueEnum;
use learngene_clustering::{Convention, probe};
use learngene_datasets::{BadImages, Batch, Preprocess, Split, load_batch, open};
use learngene_expansion::from_scratch;
use learngene_models::{Classifier, Vit, VitConfig};
use learngene_training::{Recipe, Trainer};
use serde::Serialize;

use crate::args::DeviceArgs;

/// Times what a user waits for: training steps, forward passes, probes.
///
/// Models have random weights, images are those of the embedded sample. A time is the median over
/// the iterations, after one that is not counted.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  learngene bench --workloads train_step,forward --shapes micro,deit_small"
)]
pub struct Args {
    /// What is timed.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["train_step", "forward", "probe"])]
    workloads: Vec<Workload>,
    /// Models that it is timed on.
    #[arg(long, value_name = "NAME[,NAME..]", value_delimiter = ',', default_values = ["nano", "micro", "deit_small"])]
    shapes: Vec<Shape>,
    /// Times that each is repeated.
    #[arg(long, value_name = "N", default_value = "5")]
    iterations: NonZeroUsize,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints one line of JSON for each workload and shape.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum Workload {
    /// Forward, cross-entropy, backward, AdamW.
    TrainStep,
    /// Logits of a batch.
    Forward,
    /// Mean attention distances of a batch.
    Probe,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum Shape {
    /// 12 layers of embed_dim 96 on 32 px.
    Nano,
    /// 12 layers of embed_dim 192 on 32 px.
    Micro,
    /// DeiT-Ti/16.
    DeitTiny,
    /// DeiT-S/16.
    DeitSmall,
    /// DeiT-B/16.
    DeitBase,
}

impl Shape {
    fn config(self) -> VitConfig {
        let small = |embed_dim, num_heads| {
            let config = VitConfig::uniform(embed_dim, 12, num_heads);
            config.with_image_size(32).with_patch_size(4).with_num_classes(10)
        };
        match self {
            Self::Nano => small(96, 6),
            Self::Micro => small(192, 3),
            Self::DeitTiny => VitConfig::deit_tiny(),
            Self::DeitSmall => VitConfig::deit_small(),
            Self::DeitBase => VitConfig::deit_base(),
        }
    }

    fn batch(self) -> usize {
        match self {
            Self::Nano | Self::Micro => 64,
            Self::DeitTiny | Self::DeitSmall | Self::DeitBase => 4,
        }
    }
}

/// A line of the result.
#[derive(Serialize)]
struct Timing {
    framework: &'static str,
    device: String,
    threads: usize,
    workload: Workload,
    shape: Shape,
    batch: usize,
    /// Milliseconds.
    ms: f64,
    images_per_second: f64,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let device = args.device.device.open()?;
    for &shape in &args.shapes {
        for &workload in &args.workloads {
            let ms = time(workload, shape, args.iterations, &device)?;
            let batch = shape.batch();
            let timing = Timing {
                framework: crate::PRODUCER,
                device: args.device.device.to_string(),
                threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
                workload,
                shape,
                batch,
                ms,
                images_per_second: batch as f64 / ms * 1e3,
            };
            super::say(if args.json { serde_json::to_string(&timing)? } else { timing.text() })?;
        }
    }
    Ok(())
}

impl Timing {
    fn text(&self) -> String {
        let [workload, shape] = [name(self.workload), name(self.shape)];
        let Self { batch, ms, images_per_second, .. } = self;
        format!(
            "{workload:10} {shape:10} {batch:3} images {ms:9.1} ms {images_per_second:8.1} images/s"
        )
    }
}

/// What the command line calls it.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

/// Milliseconds.
fn time(
    workload: Workload,
    shape: Shape,
    iterations: NonZeroUsize,
    device: &Device,
) -> anyhow::Result<f64> {
    let config = shape.config();
    let vit: Vit = config.load(&from_scratch(&config, 0)?, device)?;
    let batch = images(&config, shape.batch())?;
    let pixels = TensorData::new(batch.pixels.clone(), batch.shape);
    let images = Tensor::<4>::from_data(pixels, device);
    match workload {
        Workload::TrainStep => {
            let recipe = Recipe { label_smoothing: 0.0, ..Recipe::default() };
            let mut trainer = Trainer::new(vit, &recipe, 1, device);
            median(iterations, || {
                trainer.step(batch.clone());
                Ok(device.sync()?)
            })
        }
        Workload::Forward => median(iterations, || {
            let _logits = vit.forward(images.clone());
            Ok(device.sync()?)
        }),
        Workload::Probe => median(iterations, || {
            let batches = [Ok::<_, Infallible>(images.clone())];
            probe(&vit, batches, Convention::Renormalized, device)?;
            Ok(())
        }),
    }
}

/// The first images of the embedded sample, enlarged to the model's input.
fn images(config: &VitConfig, count: usize) -> anyhow::Result<Batch> {
    let sample = open("cifar10-sample", Split::Train, BadImages::Refuse)?;
    let preprocess = Preprocess::new(config.image_size as u32).check()?;
    let indices: Vec<usize> = (0..count).collect();
    Ok(load_batch(sample.as_ref(), &indices, &preprocess, None)?)
}

/// Median time of some work in milliseconds, after it was done once.
fn median(
    iterations: NonZeroUsize,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    work()?;
    let mut times = Vec::with_capacity(iterations.get());
    for _ in 0..iterations.get() {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    Ok(if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of benches/pytorch_baseline.py.
    #[test]
    fn shapes_are_those_of_the_baseline() {
        let sizes = |shape: Shape| {
            let config = shape.config();
            let VitConfig { image_size, patch_size, embed_dim, num_classes, .. } = config;
            let heads = config.num_heads[0];
            (image_size, patch_size, embed_dim, config.depth(), heads, shape.batch(), num_classes)
        };
        assert_eq!(sizes(Shape::Nano), (32, 4, 96, 12, 6, 64, 10));
        assert_eq!(sizes(Shape::Micro), (32, 4, 192, 12, 3, 64, 10));
        assert_eq!(sizes(Shape::DeitSmall), (224, 16, 384, 12, 6, 4, 1000));
    }

    #[test]
    fn the_first_time_is_not_counted() {
        let mut calls = 0;
        let iterations = NonZeroUsize::new(4).expect("four");
        let ms = median(iterations, || {
            calls += 1;
            Ok(())
        });
        assert!(ms.expect("no work fails") >= 0.0);
        assert_eq!(calls, 5);
    }
}
