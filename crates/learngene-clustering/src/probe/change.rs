//! How much every layer of an ancestor changes what it is given.

use std::error::Error as StdError;

use burn::tensor::Tensor;
use learngene_models::{Classifier, Model};
use ndarray::{Array2, Axis};

use super::{Contrast, measure::fetch};
use crate::error::ClusteringError;

/// With fewer images any two representations are equally similar.
const LEAST_IMAGES: u64 = 3;

/// How much every layer changes its representation.
#[derive(Clone, Debug, PartialEq)]
pub struct RepresentationChange {
    /// `[layer]`: 1 - CKA of what the layer reads and what it leaves, in `[0, 1]`; 0 where it does
    /// nothing but turn and scale the whole space.
    pub change: Vec<f64>,
    /// Number of images.
    pub images: u64,
}

/// Measures how much every layer changes its representation, over a stream of image batches.
///
/// A representation of n images is the mean of their tokens, `X: [n, embed_dim]`, before a layer
/// (where a Swin merges patches, after that) and `Y` after it, columns centred over images. Their
/// similarity is the linear CKA of Kornblith et al., "Similarity of Neural Network Representations
/// Revisited", ICML 2019, <https://arxiv.org/abs/1905.00414>:
///
/// ```text
/// |X^T Y|^2 / (|X^T X| |Y^T Y|)        Frobenius norms
/// ```
///
/// Of every image one mean token for each layer is kept, so memory grows with them, by four bytes
/// for each channel.
///
/// # Shapes
/// - batches: normalised images, each `[batch, 3, image_size, image_size]`
///
/// # Errors
/// The stream's own error; fewer than three images, or images that all look the same; images that
/// are nearly blank; tokens that are not finite.
pub fn representation_change<E: StdError + Send + Sync + 'static>(
    model: &Model,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
) -> Result<RepresentationChange, ClusteringError> {
    let config = model.config();
    let mut layers: Vec<[Vec<f32>; 2]> = vec![Default::default(); config.depth()];
    let mut contrast = Contrast::default();
    for batch in batches {
        let images = batch.map_err(|source| ClusteringError::Images { source: source.into() })?;
        if images.dims()[0] == 0 {
            continue;
        }
        contrast.push(images.clone());
        let mut tokens = model.embed(images);
        let mut means = Vec::new();
        for layer in 0..layers.len() {
            tokens = model.enter(layer, tokens);
            means.push(mean_tokens(&tokens));
            let heads = model.heads(layer, tokens.clone());
            tokens = tokens + model.project(layer, heads);
            tokens = tokens.clone() + model.feed_forward(layer, tokens);
            means.push(mean_tokens(&tokens));
        }
        let lengths: Vec<usize> = means.iter().map(|mean| mean.dims()[0]).collect();
        // Of all layers at once, for the device stands still meanwhile.
        let mut fetched = fetch(Tensor::cat(means, 0)).into_iter();
        for (values, length) in layers.iter_mut().flatten().zip(lengths) {
            values.extend(fetched.by_ref().take(length));
        }
    }
    let images = contrast.check()?;
    if images < LEAST_IMAGES {
        return Err(ClusteringError::FewImages { got: images, want: LEAST_IMAGES });
    }
    let change = layers.into_iter().enumerate().map(|(layer, representations)| {
        if !representations.iter().flatten().all(|value| value.is_finite()) {
            return Err(ClusteringError::TokensNotFinite { layer });
        }
        let [read, left] = representations.map(|values| centred(values, images as usize));
        match cka(&read, &left) {
            // Rounding aside, it lies between 0 and 1.
            similarity if similarity.is_finite() => Ok((1.0 - similarity).clamp(0.0, 1.0)),
            _ => Err(ClusteringError::EqualImages { layer }),
        }
    });
    Ok(RepresentationChange { change: change.collect::<Result<_, _>>()?, images })
}

/// `[batch, seq, embed_dim]` to `[batch * embed_dim]`.
fn mean_tokens(tokens: &Tensor<3>) -> Tensor<1> {
    tokens.clone().mean_dim(1).flatten(0, 2)
}

/// `[images, embed_dim]`, the mean over images subtracted.
fn centred(values: Vec<f32>, images: usize) -> Array2<f64> {
    let width = values.len() / images;
    let values: Vec<f64> = values.into_iter().map(f64::from).collect();
    let mut rows = Array2::from_shape_vec((images, width), values).expect("whole rows");
    let mean = rows.mean_axis(Axis(0)).expect("at least one image");
    rows -= &mean;
    rows
}

/// Linear CKA of centred representations; not a number where one of them is constant.
fn cka(x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let squared_norm = |a: &Array2<f64>, b: &Array2<f64>| -> f64 {
        a.t().dot(b).iter().map(|value| value * value).sum()
    };
    squared_norm(x, y) / (squared_norm(x, x) * squared_norm(y, y)).sqrt()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use learngene_models::{HostTensor, ModelConfig, SwinConfig, VitConfig};
    use ndarray::array;

    use super::*;

    fn check_cka(x: Array2<f64>, y: Array2<f64>, wanted: f64) {
        let centre = |a: Array2<f64>| &a - &a.mean_axis(Axis(0)).expect("rows");
        assert!((cka(&centre(x), &centre(y)) - wanted).abs() < 1e-12);
    }

    #[test]
    fn turned_and_scaled_is_the_same() {
        let x = array![[1., 2.], [0., -1.], [3., 0.5]];
        check_cka(x.clone(), x.dot(&array![[0., -7.], [7., 0.]]), 1.0);
    }

    /// X has the squares 2 and 2 along two axes, Y keeps the first: 4 / (sqrt(8) * 2).
    #[test]
    fn what_is_lost_counts() {
        let x = array![[1., 0.], [-1., 0.], [0., 1.], [0., -1.]];
        check_cka(x.clone(), array![[1.], [-1.], [0.], [0.]], 0.5f64.sqrt());
        check_cka(x, array![[1.], [1.], [-1.], [-1.]], 0.0);
    }

    fn images(count: usize, device: &Device) -> Tensor<4> {
        let values = (0..count * 3 * 256).map(|i| (i * i % 13) as f32 / 4.0).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [count, 3, 16, 16]), device)
    }

    fn measure(model: &Model, batches: &[usize]) -> Result<RepresentationChange, ClusteringError> {
        let device = model.device();
        let all = images(batches.iter().sum::<usize>().max(1), &device);
        let mut start = 0;
        let batches = batches.iter().map(|batch| {
            start += batch;
            Ok(match *batch {
                0 => Tensor::from_data(TensorData::new(Vec::<f32>::new(), [0, 3, 16, 16]), &device),
                _ => all.clone().slice_dim(0, start - batch..start),
            })
        });
        representation_change::<std::io::Error>(model, batches)
    }

    fn configs() -> [ModelConfig; 2] {
        let swin = SwinConfig::new(8, vec![vec![2, 1], vec![3]], vec![4, 8], vec![16, 32])
            .with_window_size(2)
            .with_image_size(16)
            .with_patch_size(4);
        let vit = VitConfig::uniform(16, 3, 2).with_image_size(16).with_patch_size(8);
        [vit.into(), swin.into()]
    }

    /// A layer whose branches end in zeros leaves what it reads; batches are of no account.
    #[test]
    fn a_layer_that_does_nothing_changes_nothing() {
        let device = Device::flex();
        for config in configs() {
            let mut parameters = config.init(&device).state_dict();
            for name in ["attn.proj.weight", "attn.proj.bias", "mlp.fc2.weight", "mlp.fc2.bias"] {
                let name = format!("{}.{name}", config.block(1));
                let HostTensor { shape, values } = parameters.remove(&name).expect("a parameter");
                parameters.insert(name, HostTensor::new(shape, vec![0.0; values.len()]));
            }
            let model = config.load(&parameters, &device).expect("the same names");
            let whole = measure(&model, &[6]).expect("enough images");
            assert!(whole.change[1] < 1e-9, "{:?}", whole.change);
            assert!(whole.change[0] > 1e-9 && whole.change[2] > 1e-9, "{:?}", whole.change);
            assert_eq!(whole.images, 6);
            let parts = measure(&model, &[4, 0, 2]).expect("enough images");
            for (a, b) in whole.change.iter().zip(&parts.change) {
                assert!((a - b).abs() < 1e-6, "{a} against {b}");
            }
        }
    }

    #[test]
    fn too_few_images_are_refused() {
        let model = configs()[0].init(&Device::flex());
        let message = |batches: &[usize]| measure(&model, batches).expect_err("few").to_string();
        assert_eq!(
            message(&[1, 1]),
            "the change of representations needs at least 3 images, got 2"
        );
        assert!(matches!(measure(&model, &[0]), Err(ClusteringError::NoImages)));
    }

    #[test]
    fn equal_images_are_refused() {
        let device = Device::flex();
        let model = configs()[0].init(&device);
        let batch = Ok(images(1, &device).repeat_dim(0, 4));
        let error = representation_change::<std::io::Error>(&model, [batch]);
        assert!(matches!(error, Err(ClusteringError::EqualImages { layer: 0 })), "{error:?}");
    }

    #[test]
    fn blank_images_are_refused() {
        let device = Device::flex();
        let model = configs()[0].init(&device);
        let blank = Ok(Tensor::zeros([3, 3, 16, 16], &device));
        let error = representation_change::<std::io::Error>(&model, [blank]);
        assert!(matches!(error, Err(ClusteringError::BlankImages { images: 3, .. })), "{error:?}");
    }
}
