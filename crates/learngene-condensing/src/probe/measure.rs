use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_format::{Convention, Distances, Preprocessing};
use learngene_models::{Classifier, Model};
use learngene_tensors::{Result, Sha256};

use super::{accumulator::DistanceAccumulator, attention_field::AttentionField};
use crate::{
    PRODUCER,
    depth::DepthErrors,
    images::{Visit, each_batch},
    sums::fetch,
};

/// Whom and what a probe looks at, and how: the part of [`Distances`] that is known beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSettings {
    /// Hash of the image list and of the images' contents.
    pub images_sha256: Sha256,
    /// How an image became an input.
    pub preprocessing: Preprocessing,
    /// What becomes of the class token's share of attention.
    pub convention: Convention,
    /// Hash of the ancestor's checkpoint.
    pub ancestor_sha256: Sha256,
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
pub fn probe<E: StdError>(
    model: &Model,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    settings: ProbeSettings,
    device: &Device,
) -> Result<Distances> {
    observe(model, settings, device, None, |visit| each_batch(batches, visit))
}

/// Does the work of [`probe`] on the batches that `show` gives, and stores the features after each layer in
/// `depth`.
pub(crate) fn observe(
    model: &Model,
    settings: ProbeSettings,
    device: &Device,
    mut depth: Option<&mut DepthErrors>,
    show: impl FnOnce(&mut Visit<'_>) -> Result<()>,
) -> Result<Distances> {
    let shape = model.shape();
    let fields = AttentionField::of_layers(&shape, device);
    let mut accumulator = DistanceAccumulator::new(shape.num_heads());
    let mut skipped_rows = 0;
    show(&mut |images| {
        let [batch, ..] = images.dims();
        let mut layers = Vec::new();
        let mut reduce = |layer: usize, weights| {
            layers.push(fields[layer].mean_attention_distance(weights, settings.convention));
        };
        match &mut depth {
            None => drop(model.forward_observed(images, reduce)),
            Some(depth) => {
                let mut tokens = model.embed(images);
                for layer in 0..shape.depth() {
                    let reduce = &mut |weights| reduce(layer, weights);
                    tokens = model.layer_observed(layer, tokens, reduce);
                    depth.after_layer(model, layer, &tokens);
                }
            }
        }
        let (distances, skipped): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
        let distances = fetch(Tensor::cat(distances, 0));
        accumulator.push(&distances, batch)?;
        skipped_rows += fetch(Tensor::cat(skipped, 0)).iter().map(|rows| *rows as u64).sum::<u64>();
        Ok(())
    })?;
    let heads = accumulator.finish();
    let ProbeSettings { images_sha256, preprocessing, convention, ancestor_sha256 } = settings;
    Ok(Distances {
        mean_attention_distance: heads.mean,
        std: heads.std,
        images: heads.images,
        images_sha256,
        preprocessing,
        convention,
        skipped_rows,
        attended_side: shape.layers().iter().map(|layer| layer.field.attended_side()).collect(),
        depths: shape.stages().iter().map(|layers| layers.len()).collect(),
        ancestor_sha256,
        producer: PRODUCER.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use burn::tensor::TensorData;
    use learngene_shape::{Family, Shape, Swin, Vit};

    use super::*;
    use crate::test_ancestor::settings;

    fn tiny() -> Shape {
        let vit = Vit { image_size: 16, patch_size: 8, ..Vit::uniform(16, 1, 2) };
        vit.shape().expect("possible")
    }

    fn probed(model: &Model, images: Vec<Tensor<4>>) -> Result<Distances> {
        let settings = settings(&model.shape(), Sha256::of(b"ancestor"));
        let images = images.into_iter().map(Ok::<_, io::Error>);
        probe(model, images, settings, &Device::flex())
    }

    #[test]
    fn batches_without_images_are_passed_over() {
        let device = Device::flex();
        let model = Model::init(&tiny(), &device);
        let run = |batches: &[usize]| {
            let batches = batches.iter().map(|batch| {
                let values = (0..batch * 3 * 256).map(|i| (i % 7) as f32).collect::<Vec<_>>();
                Tensor::from_data(TensorData::new(values, [*batch, 3, 16, 16]), &device)
            });
            probed(&model, batches.collect())
        };
        let measured = run(&[2, 0]).expect("images with spread");
        assert_eq!(measured.images, 2);
        assert_eq!(measured, run(&[2]).expect("images with spread"));
        assert!(run(&[0]).is_err());
    }

    /// Compared with the maps of the same model, reduced by hand.
    #[test]
    fn a_swin_is_probed_window_by_window() {
        let device = Device::flex();
        let swin = Swin {
            window_size: 2,
            image_size: 32,
            num_heads: vec![2, 1, 3, 2],
            head_dim: vec![4, 8],
            ..Swin::uniform(8, &[2, 2], &[1, 1])
        };
        let model = Model::init(&swin.shape().expect("possible"), &device);
        let values = (0..3 * 3 * 1024).map(|i| (i * i % 13) as f32 / 4.0).collect::<Vec<_>>();
        let images = Tensor::<4>::from_data(TensorData::new(values, [3, 3, 32, 32]), &device);
        let measured = probed(&model, vec![images.clone()]).expect("images with spread");
        assert_eq!(measured.attended_side, [8, 8, 16, 16]);
        assert_eq!(measured.depths, [2, 2]);
        assert_eq!(measured.skipped_rows, 0);
        measured.check().expect("what a file may hold");

        let attention = model.forward_attention(images).attention;
        for (layer, weights) in attention.into_iter().enumerate() {
            let [count, heads, tokens, _] = weights.dims();
            let weights: Vec<f32> = weights.into_data().try_into_vec().expect("f32");
            let pixels = model.shape().layer(layer).field.distances();
            for head in 0..heads {
                let row = |row: usize| {
                    let at = row / tokens * heads * tokens * tokens
                        + head * tokens * tokens
                        + row % tokens * tokens;
                    let pixels = &pixels[row % tokens * tokens..];
                    weights[at..at + tokens].iter().zip(pixels).map(|(w, d)| w * d).sum::<f32>()
                };
                let mean = (0..count * tokens).map(row).sum::<f32>() / (count * tokens) as f32;
                let got = measured.mean_attention_distance[layer][head];
                assert!((got - f64::from(mean)).abs() < 1e-4, "layer {layer}, head {head}");
            }
        }
    }

    /// The published probe normalised pixels from 0 to 1 by statistics from 0 to 255.
    #[test]
    fn the_published_probes_inputs_are_refused_as_blank() {
        let device = Device::flex();
        let model = Model::init(&tiny(), &device);
        let noise = Tensor::<4>::random(
            [4, 3, 16, 16],
            burn::tensor::Distribution::Uniform(0.0, 1.0),
            &device,
        );
        let statistics =
            |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
        let published =
            (noise.clone() - statistics([123.7, 116.3, 103.5])) / statistics([58.4, 57.1, 57.4]);
        let error = probed(&model, vec![published]).expect_err("nearly constant").to_string();
        assert!(error.starts_with("images: found 4 of standard deviation 0.00"), "{error}");
        let right = (noise - statistics([0.485, 0.456, 0.406])) / statistics([0.229, 0.224, 0.225]);
        assert_eq!(probed(&model, vec![right]).expect("images with spread").images, 4);
    }
}
