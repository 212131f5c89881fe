//! Tokens on a device as rows of [`Sums`]; errors name the layer that made them.

use burn::tensor::Tensor;
use learngene_least_squares::{NotFinite, Products, Sums};
use learngene_tensors::{Error, Result};

/// Takes the tokens of a batch, which a layer made. They are multiplied where they are, in `f32`: a small
/// part of the time that it takes in `f64` on the host.
///
/// The sums are centred afterwards: what rounding does to a variance or covariance, relative to it, is
/// about 1e-7 times 1 + (mean / std)^2 of the features and targets: below 1e-4 while means are less
/// than 30 standard deviations.
///
/// # Shapes
/// - features: `[batch, seq, features]`
/// - targets: `[batch, seq, targets]`; none where they are a linear map of the features
pub(crate) fn push(
    sums: &mut Sums,
    layer: usize,
    features: Tensor<3>,
    targets: Option<Tensor<3>>,
) -> Result<()> {
    let rows = |tokens: Tensor<3>| {
        let [batch, seq, width] = tokens.dims();
        tokens.reshape([batch * seq, width])
    };
    let features = rows(features);
    let [tokens, _] = features.dims();
    let (all, squares) = match targets.map(rows) {
        Some(targets) => {
            let squares = fetch(targets.clone().powi_scalar(2).sum_dim(0));
            (Tensor::cat(vec![features.clone(), targets], 1), squares)
        }
        None => (features.clone(), Vec::new()),
    };
    let sum = fetch(all.clone().sum_dim(0));
    let products = fetch(features.transpose().matmul(all)); // [features, features + targets]
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
