use std::error::Error as StdError;

use burn::tensor::{Device, Tensor, TensorData};
use learngene_models::{Model, ModelConfig};

use super::{DistanceAccumulator, HeadStatistics, patch_distances};
use crate::{distances::Convention, error::ClusteringError};

/// Attention rows whose mass on patches is below this say nothing about distance.
const LEAST_MASS: f64 = 1e-6;

/// Standard deviation of normalised pixels below which images count as blank.
const LEAST_SPREAD: f64 = 0.1;

/// What a probe measured.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeStatistics {
    /// Mean and spread of every head's distance.
    pub heads: HeadStatistics,
    /// Attention rows left out, because almost all their mass lay on the class token.
    pub skipped_rows: u64,
    /// `[layer]`: side of the square that one query attends to, in pixels of the input.
    pub attended_side: Vec<usize>,
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
    let config = model.config();
    let ModelConfig::Vit(vit) = &config else { todo!("windows follow in the next commit") };
    let grid = vit.grid_size();
    let pixels = patch_distances((grid, grid), vit.patch_size);
    let patches = vit.num_patches();
    let pixels: Tensor<2> = Tensor::from_data(TensorData::new(pixels, [patches, patches]), device);

    let mut accumulator = DistanceAccumulator::new(config.num_heads());
    let (mut skipped_rows, mut variance) = (0, 0.0);
    for batch in batches {
        let images = batch.map_err(|source| ClusteringError::Images { source: source.into() })?;
        let [batch, ..] = images.dims();
        if batch == 0 {
            continue; // The model takes no empty batch, and a stream may well end with one.
        }
        variance += batch as f64 * mean_variance(images.clone());
        let mut layers = Vec::new();
        model.forward_observed(images, |_, weights| {
            layers.push(mean_attention_distance(weights, pixels.clone(), convention));
        });
        let (distances, skipped): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
        accumulator.push(&fetch(Tensor::cat(distances, 0)), batch)?;
        skipped_rows += fetch(Tensor::cat(skipped, 0)).iter().map(|rows| *rows as u64).sum::<u64>();
    }
    let images = accumulator.images();
    let heads = accumulator.finish()?;
    let spread = (variance / images as f64).sqrt();
    if spread < LEAST_SPREAD {
        return Err(ClusteringError::BlankImages { images, got: spread, want: LEAST_SPREAD });
    }
    let attended_side = (0..config.depth()).map(|layer| config.attended_side(layer)).collect();
    Ok(ProbeStatistics { heads, skipped_rows, attended_side })
}

/// `d = mean over queries i of sum over keys j of A[i, j] * D[i, j]`, patches only.
///
/// # Shapes
/// - weights: `[batch, num_heads, 1 + patches, 1 + patches]`
/// - pixels: `[patches, patches]`
/// - output: distances in pixels `[batch * num_heads]`, rows left out `[1]`
fn mean_attention_distance(
    weights: Tensor<4>,
    pixels: Tensor<2>,
    convention: Convention,
) -> (Tensor<1>, Tensor<1>) {
    let [batch, num_heads, seq, _] = weights.dims();
    // The class token comes first.
    let weights = weights.slice([0..batch, 0..num_heads, 1..seq, 1..seq]); // [batch, num_heads, patches, patches]
    let mass = weights.clone().sum_dim(3); // [batch, num_heads, patches, 1]
    let counted = mass.clone().greater_equal_elem(LEAST_MASS);
    let rows = counted.clone().float().sum_dim(2); // [batch, num_heads, 1, 1]

    let per_query = (weights * pixels.unsqueeze()).sum_dim(3); // [batch, num_heads, patches, 1]
    let per_query = match convention {
        Convention::Renormalized => per_query / mass.clamp_min(LEAST_MASS),
        Convention::Published => per_query,
    };
    let distance = (per_query * counted.clone().float()).sum_dim(2) / rows;
    let skipped = counted.bool_not().float().sum();
    (distance.reshape([batch * num_heads]), skipped)
}

/// Variance of the pixels inside a channel of an image, averaged over channels and images: offsets
/// between channels, which even blank images have, do not count.
fn mean_variance(images: Tensor<4>) -> f64 {
    let [batch, channels, height, width] = images.dims();
    let channels = images.reshape([batch * channels, height * width]);
    let mean = channels.clone().mean_dim(1);
    let variance: f32 = (channels - mean).powi_scalar(2).mean().into_scalar();
    f64::from(variance)
}

fn fetch(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before")
}

#[cfg(test)]
mod tests {
    use learngene_models::VitConfig;

    use super::*;

    fn tiny(device: &Device) -> Model {
        let vit = VitConfig::uniform(16, 1, 2).with_image_size(16).with_patch_size(8);
        ModelConfig::Vit(vit).init(device)
    }

    /// Two patches 8 px apart on a diagonal grid of 2 x 2, one head, weights by hand.
    fn by_hand(convention: Convention) -> f32 {
        let device = Device::flex();
        // The class token takes half of each patch's attention; the rest stays or goes to the right.
        let row = |query: usize| {
            let mut row = [0.5, 0.0, 0.0, 0.0, 0.0];
            row[1 + query] = 0.25;
            row[1 + (query ^ 1)] = 0.25;
            row
        };
        let weights: Vec<f32> = [[0.2; 5], row(0), row(1), row(2), row(3)].concat();
        let weights = Tensor::from_data(TensorData::new(weights, [1, 1, 5, 5]), &device);
        let pixels =
            Tensor::from_data(TensorData::new(patch_distances((2, 2), 8), [4, 4]), &device);
        let (distance, skipped) = mean_attention_distance(weights, pixels, convention);
        assert_eq!(skipped.into_scalar::<f32>(), 0.0);
        distance.into_scalar()
    }

    #[test]
    fn half_of_the_patches_attention_lies_eight_pixels_away() {
        assert_eq!(by_hand(Convention::Renormalized), 4.0);
    }

    #[test]
    fn the_published_convention_is_low_by_the_class_tokens_share() {
        assert_eq!(by_hand(Convention::Published), 2.0);
    }

    #[test]
    fn rows_without_mass_on_patches_are_left_out_and_counted() {
        let device = Device::flex();
        let weights: Vec<f32> = [
            [0.2; 5],
            [1.0, 0., 0., 0., 0.],
            [0., 0., 1., 0., 0.],
            [0., 0., 0., 0., 1.],
            [0., 0., 0., 0., 1.],
        ]
        .concat();
        let weights = Tensor::from_data(TensorData::new(weights, [1, 1, 5, 5]), &device);
        let pixels =
            Tensor::from_data(TensorData::new(patch_distances((2, 2), 6), [4, 4]), &device);
        let (distance, skipped) =
            mean_attention_distance(weights, pixels, Convention::Renormalized);
        // Three queries are left: one attends to itself, one 6 px away, one to itself.
        assert_eq!(skipped.into_scalar::<f32>(), 1.0);
        assert_eq!(distance.into_scalar::<f32>(), 2.0);
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

    /// Fault 10: the published probe normalised pixels from 0 to 1 by statistics from 0 to 255.
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
