//! `learngene predict`

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use learngene_checkpoints::PretrainedCfg;
use learngene_datasets::{CheckedPreprocess, Dataset, ImageFiles, Split, load_batch};
use learngene_models::{Classifier, Model};
use learngene_tensors::{Dtype, StateDict, Tensor as HostTensor, safetensors};
use serde::Serialize;

use crate::{
    args::{CheckpointArgs, DeviceArgs, at_least_one},
    images::BadImagesArgs,
    kind::Kind,
    preprocess_args::PreprocessArgs,
    progress,
    text::count,
};

/// Predicts the classes of images.
///
/// Prints the most likely classes of every image with their probabilities, or writes the features that the
/// classifier reads.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  learngene predict runs/flowers photos/ garden.jpg\n  \
    learngene predict runs/flowers photos/ --top 1 --csv > classes.csv\n  \
    learngene predict hf:timm/deit_tiny_patch16_224.fb_in1k photos/ --features embeddings.safetensors")]
pub struct Args {
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Images: files, folders, or names of datasets, of which the test images are taken.
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<String>,
    /// Classes to print for each image, most likely first.
    #[arg(long, value_name = "N", default_value = "3", value_parser = at_least_one)]
    top: NonZeroUsize,
    /// Images of one forward pass.
    #[arg(long, value_name = "N", default_value = "16", value_parser = at_least_one)]
    batch_size: NonZeroUsize,
    #[command(flatten)]
    bad_images: BadImagesArgs,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Prints CSV: image, class, probability.
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    csv: bool,
    /// Prints JSON.
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Writes the features that the classifier reads instead, a tensor `features` [images, width] in f32;
    /// the metadata `images` lists the names.
    #[arg(long, value_name = "FILE", value_parser = Kind::Outputs.name(), help_heading = "Output",
        conflicts_with_all = ["csv", "json", "top"])]
    features: Option<PathBuf>,
}

/// What a model says of an image.
#[derive(Serialize)]
struct Prediction {
    image: String,
    /// Most likely first.
    classes: Vec<Probable>,
}

#[derive(Serialize)]
struct Probable {
    class: String,
    probability: f64,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(features) = &args.features {
        let images = args.images.iter().map(Path::new);
        let inputs: Vec<&Path> =
            args.checkpoint.checkpoint.file().into_iter().chain(images).collect();
        Kind::Outputs.prepare(features, &inputs)?;
    }
    let all = args.images.iter().map(|path| args.open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let device = args.device.device.open()?;
    let source = &args.checkpoint.checkpoint;
    let checkpoint = args.checkpoint.read(args.preprocess.image_size, None)?;
    let PretrainedCfg { preprocessing, label_names } = checkpoint.pretrained_cfg;
    let size = checkpoint.shape.image().size;
    let preprocess = args.preprocess.check(size, preprocessing, Some(source))?;
    let model = Model::load(&checkpoint.shape, &checkpoint.parameters, &device)?;
    ensure!(
        args.features.is_some() || model.num_classes() > 0,
        "the model of {source} has no classifier: fine-tune it with `learngene train`, or write its \
         features with --features"
    );
    let outputs = |images: Tensor<4>| match args.features {
        Some(_) => model.features(images),
        None => model.forward(images),
    };
    let outputs = args.outputs(&all, outputs, &preprocess, &device)?;
    let Some(file) = &args.features else { return args.print(outputs, &label_names) };
    write_features(file, outputs)
}

/// Images, and the path that their names are relative to, where there are several.
type Named<'a> = (&'a str, Box<dyn Dataset>);

/// What a model makes of an image, by its path.
type Output = (String, Vec<f32>);

impl Args {
    /// An image, a folder or a dataset.
    fn open<'a>(&self, path: &'a str) -> anyhow::Result<Named<'a>> {
        let images: Box<dyn Dataset> = match Path::new(path).is_file() {
            true => Box::new(ImageFiles::one(Path::new(path))?),
            false => self.bad_images.open(path, Split::Test)?,
        };
        Ok((path, images))
    }

    /// What the model makes of every image.
    ///
    /// # Errors
    /// An image that cannot be read; a number that is not finite.
    fn outputs(
        &self,
        all: &[Named<'_>],
        outputs: impl Fn(Tensor<4>) -> Tensor<2>,
        preprocess: &CheckedPreprocess,
        device: &Device,
    ) -> anyhow::Result<Vec<Output>> {
        let total = all.iter().map(|(_, images)| images.len() as u64).sum();
        let bar = progress::bar(total, "images").with_message("predicting");
        let mut named = Vec::new();
        for (path, images) in all {
            let is_file = Path::new(path).is_file();
            let indices: Vec<usize> = (0..images.len()).collect();
            for indices in indices.chunks(self.batch_size.get()) {
                let batch = load_batch(images.as_ref(), indices, preprocess, None)?;
                let pixels = TensorData::new(batch.pixels, batch.shape);
                let outputs = outputs(Tensor::from_data(pixels, device));
                let [_, width] = outputs.dims();
                let values: Vec<f32> =
                    outputs.into_data().convert::<f32>().try_into_vec().context("no f32")?;
                for (index, values) in indices.iter().zip(values.chunks_exact(width)) {
                    let name = match is_file {
                        true => (*path).to_owned(),
                        false => format!("{}/{}", path.trim_end_matches('/'), images.name(*index)),
                    };
                    let is_finite = values.iter().all(|value| value.is_finite());
                    ensure!(is_finite, "{name}: the model's output is not finite");
                    named.push((name, values.to_vec()));
                }
                bar.inc(indices.len() as u64);
            }
        }
        bar.finish_and_clear();
        Ok(named)
    }

    fn print(&self, outputs: Vec<Output>, label_names: &[String]) -> anyhow::Result<()> {
        let predictions: Vec<Prediction> = outputs
            .into_iter()
            .map(|(image, logits)| {
                let classes = probable(&logits, self.top.get()).into_iter();
                let classes = classes.map(|(class, probability)| {
                    let name = label_names.get(class).cloned();
                    let class = name.unwrap_or_else(|| format!("class {class}"));
                    Probable { class, probability }
                });
                Prediction { image, classes: classes.collect() }
            })
            .collect();
        if self.csv {
            return super::say(to_csv(&predictions)?.trim_end());
        }
        super::print(self.json, &predictions, |predictions| {
            predictions.iter().map(describe).collect::<Vec<_>>().join("\n")
        })
    }
}

/// The classes of the largest logits with their probabilities, most likely first.
fn probable(logits: &[f32], top: usize) -> Vec<(usize, f64)> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    let mut classes: Vec<(usize, f64)> =
        powers.into_iter().map(|power| power / sum).enumerate().collect();
    classes.sort_by(|one, other| other.1.total_cmp(&one.1)); // Stable: of equals the first.
    classes.truncate(top);
    classes
}

/// `cat.jpg: tabby 93.1 %, tiger cat 4.2 %`.
fn describe(Prediction { image, classes }: &Prediction) -> String {
    let classes = classes
        .iter()
        .map(|Probable { class, probability }| format!("{class} {:.1} %", 100.0 * probability));
    format!("{image}: {}", classes.collect::<Vec<_>>().join(", "))
}

/// A row for each class of each image.
fn to_csv(predictions: &[Prediction]) -> anyhow::Result<String> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(["image", "class", "probability"])?;
    for Prediction { image, classes } in predictions {
        for Probable { class, probability } in classes {
            rows.write_record([image, class, &probability.to_string()])?;
        }
    }
    let bytes = rows.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8(bytes)?)
}

fn write_features(file: &Path, outputs: Vec<Output>) -> anyhow::Result<()> {
    let (names, rows): (Vec<String>, Vec<Vec<f32>>) = outputs.into_iter().unzip();
    let width = rows.first().map_or(0, Vec::len);
    let mut tensors = StateDict::default();
    tensors.insert("features", HostTensor::new([rows.len(), width], rows.concat()));
    let metadata = ("images", &*serde_json::to_string(&names)?);
    safetensors::write(file, metadata, Dtype::F32, tensors.parts())?;
    let images = count(names.len(), "image", "images");
    super::say(format_args!("{}: {width} features of {images}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_softmax_and_equals_keep_their_order() {
        let classes = probable(&[0.0, 3f32.ln(), 0.0, 100f32.ln()], 3);
        let expected = [(3, 100.0 / 105.0), (1, 3.0 / 105.0), (0, 1.0 / 105.0)];
        for ((class, probability), (expected, wanted)) in classes.into_iter().zip(expected) {
            assert_eq!(class, expected);
            assert!((probability - wanted).abs() < 1e-6, "{probability}");
        }
    }
}
