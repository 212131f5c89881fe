//! Tokens on a device as rows of [`Sums`]; errors name the layer that made them.

use burn::tensor::Tensor;
use learngene_least_squares::{NotFinite, Products, Sums};
use learngene_tensors::{Error, Result};

/// Takes the tokens of a batch, which a layer made.
///
/// # Shapes
/// - features: `[batch, seq, features]`
/// - targets: `[batch, seq, targets]`
pub(crate) fn push(
    sums: &mut Sums,
    layer: usize,
    features: Tensor<3>,
    targets: Tensor<3>,
) -> Result<()> {
    sums.push(&fetch(features), &fetch(targets)).map_err(not_finite(layer))
}

/// Takes the features of a batch whose targets are a linear map of them.
///
/// # Shapes
/// - features: `[batch, seq, features]`
pub(crate) fn push_features(sums: &mut Sums, layer: usize, features: Tensor<3>) -> Result<()> {
    sums.push(&fetch(features), &[]).map_err(not_finite(layer))
}

/// Takes the tokens of a batch as [`push`] does, but multiplied where they are, in `f32`: on a GPU,
/// or with many features, a small part of the time.
///
/// The sums are centred afterwards: what rounding does to a variance or covariance, relative to it, is
/// about 1e-7 times 1 + (mean / std)^2 of the features and targets: below 1e-4 while means are less
/// than 30 standard deviations.
///
/// # Shapes
/// - features: `[batch, seq, features]`
/// - targets: `[batch, seq, targets]`
pub(crate) fn push_on_device(
    sums: &mut Sums,
    layer: usize,
    features: Tensor<3>,
    targets: Tensor<3>,
) -> Result<()> {
    let ([batch, seq, width], [_, _, outputs]) = (features.dims(), targets.dims());
    let tokens = batch * seq;
    let features = features.reshape([tokens, width]);
    let targets = targets.reshape([tokens, outputs]);
    let squares = targets.clone().powi_scalar(2).sum_dim(0);
    let rows = Tensor::cat(vec![features.clone(), targets], 1); // [tokens, width + outputs]
    let sum = rows.clone().sum_dim(0);
    let products = fetch(features.transpose().matmul(rows)); // [width, width + outputs]
    let (sum, squares) = (fetch(sum), fetch(squares));
    let products =
        Products { rows: tokens as u64, products: &products, sums: &sum, squares: &squares };
    sums.push_products(&products).map_err(not_finite(layer))
}

/// A fit of a layer that has no solution; for `map_err`.
pub(crate) fn unsolvable(layer: usize) -> impl FnOnce(NotFinite) -> Error {
    move |_| {
        let found = "no solution, because its outputs are too large for numbers";
        Error::invalid(format!("fit of layer {layer}"), found, "smaller outputs")
    }
}

fn not_finite(layer: usize) -> impl FnOnce(NotFinite) -> Error {
    move |_| {
        let place = format!("tokens that layer {layer} makes of the images");
        Error::invalid(place, "a number that is infinite or NaN", "finite numbers")
    }
}

/// The numbers of a tensor, brought to the host.
pub(crate) fn fetch<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before")
}
