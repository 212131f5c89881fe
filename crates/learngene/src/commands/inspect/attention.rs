//! `learngene inspect --attention`

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use burn::tensor::{Tensor, TensorData};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use learngene_datasets::{BadImages, Dataset, ImageFiles, Split, load_batch, open};
use learngene_models::Model;
use learngene_report::data::AttentionMap;

use crate::{
    args::{CheckpointArgs, DeviceArgs, whole_number},
    files::{prepare_folder, write_whole},
    kind::Kind,
    preprocess_args::PreprocessArgs,
    text::count,
};

/// What `--attention` draws. A map is what a head pays each key from each query after softmax, the class token
/// included, times 255: one byte each, in base64. Of a Swin it is that of the first window.
#[derive(clap::Args)]
#[command(next_help_heading = "Attention")]
pub struct AttentionArgs {
    /// Draws where every head of a checkpoint looks in an image: a file, or one of a dataset or folder by its
    /// index from 0, as in cifar10-sample:3. Needs --png or --out.
    #[arg(long, value_name = "IMAGE|NAME:INDEX")]
    attention: Option<String>,
    /// Which part of a dataset the image comes from: train or test (a folder's val where it has no test).
    #[arg(long, default_value_t = Split::Test, requires = "attention", hide_short_help = true)]
    split: Split,
    /// Layers to draw, from 0; the first and the last by default.
    #[arg(long, value_name = "N[,N..]", value_delimiter = ',', requires = "attention",
        value_parser = whole_number::<usize>, allow_hyphen_values = true)]
    layers: Option<Vec<usize>>,
    /// Folder for a grey PNG of each map; made where it is missing.
    #[arg(long, value_name = "FOLDER", requires = "attention")]
    png: Option<PathBuf>,
    /// Makes the largest weight of each PNG white. Without, white is all of a query's attention on one
    /// key, so a head that looks at many leaves its map nearly black.
    #[arg(long, requires = "png")]
    brighten: bool,
    /// File for the maps, as JSON.
    #[arg(long, short, value_name = "FILE", requires = "attention",
        value_parser = Kind::AttentionMaps.name())]
    out: Option<PathBuf>,
    /// What the maps call the model.
    #[arg(long, value_name = "NAME", default_value = "ancestor", hide = true)]
    name: String,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// One map with its weights, `[query][key]`, row by row.
struct Map {
    layer: usize,
    head: usize,
    tokens: usize,
    weights: Vec<f32>,
}

impl Map {
    /// One byte for each weight; `white` and more is 255.
    fn bytes(&self, white: f32) -> Vec<u8> {
        self.weights.iter().map(|weight| (255.0 * weight / white).round() as u8).collect()
    }

    fn to_data(&self, model: &str) -> AttentionMap {
        AttentionMap {
            model: model.to_owned(),
            layer: self.layer,
            head: self.head,
            tokens: self.tokens,
            values: STANDARD.encode(self.bytes(1.0)),
        }
    }

    fn png(&self, brighten: bool) -> anyhow::Result<Vec<u8>> {
        let side = u32::try_from(self.tokens).context("the map is too large for a picture")?;
        // Above 0, for the weights of a query sum to 1.
        let largest = self.weights.iter().copied().fold(0.0, f32::max);
        let pixels = self.bytes(if brighten { largest } else { 1.0 });
        let mut png = Vec::new();
        let encoder = PngEncoder::new(&mut png);
        encoder.write_image(&pixels, side, side, ExtendedColorType::L8)?;
        Ok(png)
    }
}

impl AttentionArgs {
    /// Whether maps are asked for.
    pub fn is_asked_for(&self) -> bool {
        self.attention.is_some()
    }

    /// Draws the maps of a checkpoint.
    pub fn draw(self, model: &CheckpointArgs, json: bool) -> anyhow::Result<()> {
        let text = self.attention.as_deref().context("no image is given")?;
        ensure!(self.png.is_some() || self.out.is_some(), "--attention needs --png or --out");
        let (images, index) = picture(text, self.split)?;
        let mut inputs: Vec<&Path> = model.checkpoint.file().into_iter().collect();
        let file = Path::new(text);
        inputs.extend(file.is_file().then_some(file));
        if let Some(out) = &self.out {
            Kind::AttentionMaps.prepare(out, &inputs)?;
        }
        let checkpoint = model.read(self.preprocess.image_size, None)?;
        let (image_size, known) =
            (checkpoint.shape.image().size, checkpoint.pretrained_cfg.preprocessing);
        let preprocess = self.preprocess.check(image_size, known, Some(&model.checkpoint))?;
        let layers = layers(self.layers, checkpoint.shape.depth())?;
        if let Some(folder) = &self.png {
            prepare_folder(folder)?;
        }

        let device = self.device.device.open()?;
        let batch = load_batch(images.as_ref(), &[index], &preprocess, None)?;
        let pixels = Tensor::from_data(TensorData::new(batch.pixels, batch.shape), &device);
        let model = Model::load(&checkpoint.shape, &checkpoint.parameters, &device)?;
        let maps = maps(&model, pixels, &layers)?;
        if let Some(folder) = &self.png {
            for map in &maps {
                let name = format!("layer{}_head{}.png", map.layer, map.head);
                write_whole(&folder.join(name), &map.png(self.brighten)?)?;
            }
        }
        let data: Vec<AttentionMap> = maps.iter().map(|map| map.to_data(&self.name)).collect();
        if let Some(out) = &self.out {
            write_whole(out, &serde_json::to_vec_pretty(&data)?)?;
        }
        super::super::print(json, &data, |data| {
            let (maps, layers) =
                (count(data.len(), "map", "maps"), count(layers.len(), "layer", "layers"));
            format!("{maps} of {layers}")
        })
    }
}

/// One image: a file, or that of an index in a dataset.
fn picture(text: &str, split: Split) -> anyhow::Result<(Box<dyn Dataset>, usize)> {
    if Path::new(text).is_file() {
        return Ok((Box::new(ImageFiles::one(Path::new(text))?), 0));
    }
    let parts = text.rsplit_once(':').and_then(|(name, index)| Some((name, index.parse().ok()?)));
    let (name, index) = parts.with_context(|| {
        format!(
            "--attention is `{text}`, wanted a file, or a dataset and an index as in cifar10-sample:3"
        )
    })?;
    let images = open(name, split, BadImages::Refuse)?;
    let len = images.len();
    ensure!(
        index < len,
        "--attention is `{text}`, but {name} has {len} {split} images, so the last index is {}",
        len.saturating_sub(1)
    );
    Ok((images, index))
}

/// The layers asked for, each once and rising.
fn layers(asked: Option<Vec<usize>>, depth: usize) -> anyhow::Result<Vec<usize>> {
    let mut layers = asked.unwrap_or_else(|| vec![0, depth - 1]);
    layers.sort_unstable();
    layers.dedup();
    let absent = layers.iter().find(|layer| **layer >= depth);
    if let Some(layer) = absent {
        anyhow::bail!("--layers has {layer}, but the model's layers are 0 to {}", depth - 1);
    }
    Ok(layers)
}

/// Maps of every head of these layers, in their order.
///
/// # Shapes
/// - image: `[1, 3, image_size, image_size]`
fn maps(model: &Model, image: Tensor<4>, layers: &[usize]) -> anyhow::Result<Vec<Map>> {
    let mut kept = Vec::new();
    model.forward_observed(image, |layer, weights| {
        if layers.contains(&layer) {
            kept.push((layer, weights.slice_dim(0, 0..1))); // [1, num_heads, tokens, tokens]
        }
    });
    let mut maps = Vec::new();
    for (layer, weights) in kept {
        let [_, num_heads, tokens, _] = weights.dims();
        let weights = weights.into_data().convert::<f32>();
        let weights: Vec<f32> =
            weights.try_into_vec().context("the device returned another number format")?;
        ensure!(
            weights.iter().all(|weight| weight.is_finite()),
            "attention of layer {layer} is not finite"
        );
        for (head, weights) in (0..num_heads).zip(weights.chunks_exact(tokens * tokens)) {
            maps.push(Map { layer, head, tokens, weights: weights.to_vec() });
        }
    }
    Ok(maps)
}
