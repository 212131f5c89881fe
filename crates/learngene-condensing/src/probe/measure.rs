use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_models::Model;

use super::{
    Contrast, HeadStatistics, ImageDistances, accumulator::DistanceAccumulator,
    field::AttentionField,
};
use crate::{distances::Convention, error::ClusteringError};

/// What a probe measured.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeStatistics {
    /// Mean and spread of every head's distance.
    pub heads: HeadStatistics,
    /// Attention rows left out, because almost all their mass lay on the class token, or on pairs
    /// that a Swin masks.
    pub skipped_rows: u64,
    /// `[layer]`: side of the square that one query attends to, in pixels of the input.
    pub attended_side: Vec<usize>,
    /// Layers of each stage; a ViT is one stage.
    pub depths: Vec<usize>,
}

/// Measures every head's mean attention distance over a stream of image batches.
///
/// Each image passes through the model once. Attention is reduced on the device, layer by layer;
/// one number per head and image is fetched, so memory does not grow with the images.
///
/// # Shapes
/// - batches: normalised images, each `[batch, 3, image_size, image_size]`
///
/// # Errors
/// The stream's own error; no image; images that are nearly blank, as those of the published
/// probe were (normalised by statistics on another scale); attention that is not finite.
pub fn probe<E: StdError + Send + Sync + 'static>(
    model: &Model,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    convention: Convention,
    device: &Device,
) -> Result<ProbeStatistics, ClusteringError> {
    measure(model, batches, convention, device, |_, _| {})
}

/// [`probe`] that keeps what it measured of every image too: one number per head and image, four
/// bytes each.
///
/// # Errors
/// As [`probe`].
pub fn probe_each_image<E: StdError + Send + Sync + 'static>(
    model: &Model,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    convention: Convention,
    device: &Device,
) -> Result<(ProbeStatistics, ImageDistances), ClusteringError> {
    let mut images = ImageDistances::new(model.config().num_heads());
    let show = |distances: &[f32], batch| images.push(distances, batch);
    let statistics = measure(model, batches, convention, device, show)?;
    Ok((statistics, images))
}

/// A probe whose distances of every batch are shown, as the accumulator takes them.
fn measure<E: StdError + Send + Sync + 'static>(
    model: &Model,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    convention: Convention,
    device: &Device,
    mut show: impl FnMut(&[f32], usize),
) -> Result<ProbeStatistics, ClusteringError> {
    let config = model.config();
    let fields = AttentionField::of_layers(&config, device);
    let mut accumulator = DistanceAccumulator::new(config.num_heads());
    let (mut skipped_rows, mut contrast) = (0, Contrast::default());
    for batch in batches {
        let images = batch.map_err(|source| ClusteringError::Images { source: source.into() })?;
        let [batch, ..] = images.dims();
        if batch == 0 {
            continue; // The model takes no empty batch, and a stream may well end with one.
        }
        contrast.push(images.clone());
        let mut layers = Vec::new();
        model.forward_observed(images, |layer, weights| {
            layers.push(fields[layer].mean_attention_distance(weights, convention));
        });
        let (distances, skipped): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
        let distances = fetch(Tensor::cat(distances, 0));
        accumulator.push(&distances, batch)?;
        show(&distances, batch);
        skipped_rows += fetch(Tensor::cat(skipped, 0)).iter().map(|rows| *rows as u64).sum::<u64>();
    }
    contrast.check()?;
    let heads = accumulator.finish()?;
    let attended_side = (0..config.depth()).map(|layer| config.attended_side(layer)).collect();
    let depths = config.stages().iter().map(|layers| layers.len()).collect();
    Ok(ProbeStatistics { heads, skipped_rows, attended_side, depths })
}

pub(super) fn fetch(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before")
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use learngene_models::{ModelConfig, SwinConfig, VitConfig};

    use super::*;

    fn tiny(device: &Device) -> Model {
        let vit = VitConfig::uniform(16, 1, 2).with_image_size(16).with_patch_size(8);
        ModelConfig::Vit(vit).init(device)
    }

    #[test]
    fn batches_without_images_are_passed_over() {
        let device = Device::flex();
        let vit = tiny(&device);
        let run = |batches: &[usize]| {
            let batches = batches.iter().map(|batch| {
                let values = (0..batch * 3 * 256).map(|i| (i % 7) as f32).collect::<Vec<_>>();
                Ok(Tensor::from_data(TensorData::new(values, [*batch, 3, 16, 16]), &device))
            });
            probe::<std::io::Error>(&vit, batches, Convention::Renormalized, &device)
        };
        let measured = run(&[2, 0]).expect("images with spread");
        assert_eq!(measured, run(&[2]).expect("images with spread"));
        assert!(matches!(run(&[0]), Err(ClusteringError::NoImages)));
    }

    /// As told by the maps of the same model, reduced by hand.
    #[test]
    fn a_swin_is_probed_window_by_window() {
        let device = Device::flex();
        let config = SwinConfig::new(8, vec![vec![2, 1], vec![3, 2]], vec![4, 8], vec![16, 32])
            .with_window_size(2)
            .with_image_size(32)
            .with_patch_size(4);
        let model = ModelConfig::Swin(config.clone()).init(&device);
        let values = (0..3 * 3 * 1024).map(|i| (i * i % 13) as f32 / 4.0).collect::<Vec<_>>();
        let images = Tensor::<4>::from_data(TensorData::new(values, [3, 3, 32, 32]), &device);
        let measured = probe::<std::io::Error>(
            &model,
            [Ok(images.clone())],
            Convention::Renormalized,
            &device,
        )
        .expect("images with spread");
        assert_eq!(measured.attended_side, [8, 8, 16, 16]);
        assert_eq!(measured.depths, [2, 2]);
        assert_eq!(measured.skipped_rows, 0);

        let attention = model.forward_attention(images).attention;
        for (layer, weights) in attention.into_iter().enumerate() {
            let [count, heads, tokens, _] = weights.dims();
            let weights: Vec<f32> = weights.into_data().try_into_vec().expect("f32");
            let pixels = super::super::geometry::patch_distances((2, 2), 4 << (layer / 2));
            for head in 0..heads {
                let row = |row: usize| {
                    let at = row / tokens * heads * tokens * tokens
                        + head * tokens * tokens
                        + row % tokens * tokens;
                    let pixels = &pixels[row % tokens * tokens..];
                    weights[at..at + tokens].iter().zip(pixels).map(|(w, d)| w * d).sum::<f32>()
                };
                let mean = (0..count * tokens).map(row).sum::<f32>() / (count * tokens) as f32;
                let got = measured.heads.mean[layer][head];
                assert!((got - f64::from(mean)).abs() < 1e-4, "layer {layer}, head {head}");
            }
        }
    }

    /// The published probe normalised pixels from 0 to 1 by statistics from 0 to 255.
    #[test]
    fn the_published_probes_inputs_are_refused_as_blank() {
        let device = Device::flex();
        let vit = tiny(&device);
        let noise = Tensor::<4>::random(
            [4, 3, 16, 16],
            burn::tensor::Distribution::Uniform(0.0, 1.0),
            &device,
        );
        let statistics =
            |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
        let published =
            (noise.clone() - statistics([123.7, 116.3, 103.5])) / statistics([58.4, 57.1, 57.4]);
        let run =
            |images| probe::<std::io::Error>(&vit, [Ok(images)], Convention::Renormalized, &device);
        let error = run(published).expect_err("nearly constant");
        assert!(matches!(error, ClusteringError::BlankImages { images: 4, .. }), "{error}");
        let right = (noise - statistics([0.485, 0.456, 0.406])) / statistics([0.229, 0.224, 0.225]);
        assert_eq!(run(right).expect("images with spread").heads.images, 4);
    }
}
