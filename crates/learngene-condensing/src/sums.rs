//! Moments of tokens on a device; errors name the layer that made them.

use burn::tensor::Tensor;
use learngene_least_squares::{Moments, NotFinite, Products};
use learngene_tensors::{Error, Result};

/// Columns of a block of products. Of features with each other only blocks on and above the diagonal
/// are computed.
const BLOCK: usize = 512;

/// Sums over tokens, in `f32` where the tokens are: a small part of the time that it takes in `f64` on
/// the host.
///
/// The sums are centred afterwards: what rounding does to a variance or covariance, relative to it, is
/// about 1e-7 times 1 + (mean / std)^2 of the features and targets: below 1e-4 while means are less
/// than 30 standard deviations.
#[derive(Default)]
pub(crate) struct TokenSums {
    tokens: usize,
    features: usize,
    /// Of some features with themselves, those that follow, and all targets.
    products: Vec<Tensor<2>>,
    /// Of features, then of targets: `[1, features + targets]`.
    sums: Option<Tensor<2>>,
    /// Of targets: `[1, targets]`.
    squares: Option<Tensor<2>>,
}

impl TokenSums {
    /// Takes some tokens.
    ///
    /// # Shapes
    /// - features: `[tokens, features]`
    /// - targets: `[tokens, targets]`; none where they are a linear map of the features
    pub fn push(&mut self, features: Tensor<2>, targets: Option<Tensor<2>>) {
        let [tokens, width] = features.dims();
        (self.tokens, self.features) = (self.tokens + tokens, width);
        let all = match targets {
            Some(targets) => {
                add(&mut self.squares, targets.clone().powi_scalar(2).sum_dim(0));
                Tensor::cat(vec![features.clone(), targets], 1)
            }
            None => features.clone(),
        };
        add(&mut self.sums, all.clone().sum_dim(0));
        let starts = (0..width).step_by(BLOCK);
        let products = starts.map(|start| {
            let block = features.clone().slice_dim(1, start..width.min(start + BLOCK));
            block.transpose().matmul(all.clone().slice_dim(1, start..))
        });
        if self.products.is_empty() {
            self.products = products.collect();
        } else {
            let so_far = std::mem::take(&mut self.products).into_iter();
            self.products = so_far.zip(products).map(|(sum, product)| sum + product).collect();
        }
    }

    /// The moments of all tokens, which that layer made.
    pub fn moments(self, layer: usize) -> Result<Moments> {
        let sums = self.sums.map_or_else(Vec::new, fetch);
        let mut products = vec![0.0; self.features * sums.len()];
        for (index, block) in self.products.into_iter().enumerate() {
            let (start, [_, width]) = (index * BLOCK, block.dims());
            let rows = products[start * sums.len()..].chunks_exact_mut(sums.len());
            for (row, values) in rows.zip(fetch(block).chunks_exact(width)) {
                row[start..].copy_from_slice(values);
            }
        }
        let squares = self.squares.map_or_else(Vec::new, fetch);
        let rows = self.tokens as u64;
        let moments = Products { rows, products: &products, sums: &sums, squares: &squares };
        moments.moments().map_err(|_| not_finite(layer))
    }
}

/// Adds a value to a sum that may be of nothing yet.
pub(crate) fn add(sum: &mut Option<Tensor<2>>, value: Tensor<2>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + value,
        None => value,
    });
}

/// A fit of a layer that has no solution; for `map_err`.
pub(crate) fn unsolvable(layer: usize) -> impl FnOnce(NotFinite) -> Error {
    move |_| {
        let found = "no solution, because its outputs are too large for numbers";
        Error::invalid(format!("fit of layer {layer}"), found, "smaller outputs")
    }
}

fn not_finite(layer: usize) -> Error {
    let place = format!("tokens that layer {layer} makes of the images");
    Error::invalid(place, "a number that is infinite or NaN", "finite numbers")
}

/// The numbers of a tensor, brought to the host.
pub(crate) fn fetch<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before")
}
