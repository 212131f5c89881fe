//! What least squares need to know of features and targets: sums over tokens, no token itself.

use burn::tensor::Tensor;
use ndarray::{Array1, Array2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

use crate::error::ClusteringError;

/// Columns of a block of products. Blocks are shared among threads, so it decides how work can be
/// split, and with it nothing else.
const BLOCK: usize = 128;

/// Sums over all tokens seen so far, in f64.
pub(super) struct Sums {
    tokens: u64,
    features: usize,
    /// Of a feature times a feature or target: `[features, features + targets]`; of the former the
    /// blocks on and above the diagonal.
    products: Array2<f64>,
    /// `[features + targets]`
    sums: Array1<f64>,
    /// Of targets: `[targets]`.
    squares: Array1<f64>,
}

/// Means and centred second moments over tokens.
pub(super) struct Moments {
    /// `[features]`
    pub feature_means: Array1<f64>,
    /// `[targets]`
    pub target_means: Array1<f64>,
    /// Of features with each other: `[features, features]`.
    pub covariance: Array2<f64>,
    /// Of features with targets: `[features, targets]`.
    pub cross: Array2<f64>,
    /// `[targets]`
    pub target_variances: Array1<f64>,
}

impl Sums {
    pub fn new(features: usize, targets: usize) -> Self {
        let width = features + targets;
        Self {
            tokens: 0,
            features,
            products: Array2::zeros((features, width)),
            sums: Array1::zeros(width),
            squares: Array1::zeros(targets),
        }
    }

    /// Takes the tokens of a batch, which a layer made.
    ///
    /// # Shapes
    /// - features: `[batch, seq, features]`
    /// - targets: `[batch, seq, targets]`
    pub fn push(
        &mut self,
        layer: usize,
        features: Tensor<3>,
        targets: Tensor<3>,
    ) -> Result<(), ClusteringError> {
        let rows = joined(features, targets); // [tokens, features + targets]
        if !rows.iter().all(|value| value.is_finite()) {
            return Err(ClusteringError::TokensNotFinite { layer });
        }
        self.tokens += rows.nrows() as u64;
        for row in rows.rows() {
            self.sums += &row;
            let targets = row.slice(s![self.features..]);
            self.squares.zip_mut_with(&targets, |squares, value| *squares += value * value);
        }
        let blocks: Vec<_> =
            self.products.axis_chunks_iter_mut(Axis(0), BLOCK).enumerate().collect();
        blocks.into_par_iter().for_each(|(index, mut block)| {
            let first = index * BLOCK;
            let left = rows.slice(s![.., first..first + block.nrows()]);
            let mut products = block.slice_mut(s![.., first..]);
            general_mat_mul(1.0, &left.t(), &rows.slice(s![.., first..]), 1.0, &mut products);
        });
        Ok(())
    }

    /// The moments of at least one token.
    pub fn moments(&self) -> Moments {
        let tokens = self.tokens as f64;
        let means = &self.sums / tokens;
        let (feature_means, target_means) = means.view().split_at(Axis(0), self.features);
        let centred = |row: usize, column: usize| {
            self.products[[row, column]] / tokens - means[row] * means[column]
        };
        let size = self.features;
        Moments {
            covariance: Array2::from_shape_fn((size, size), |(row, column)| {
                centred(row.min(column), row.max(column))
            }),
            cross: Array2::from_shape_fn((size, target_means.len()), |(row, column)| {
                centred(row, size + column)
            }),
            target_variances: (size..means.len())
                .map(|target| {
                    let mean_square = self.squares[target - size] / tokens;
                    let variance = mean_square - means[target].powi(2);
                    // What rounding leaves of nothing is nothing.
                    if variance > 1e-12 * mean_square { variance } else { 0.0 }
                })
                .collect(),
            feature_means: feature_means.to_owned(),
            target_means: target_means.to_owned(),
        }
    }
}

impl Moments {
    /// The moments of the first features alone.
    pub fn of_first(&self, features: usize) -> Self {
        Self {
            feature_means: self.feature_means.slice(s![..features]).to_owned(),
            target_means: self.target_means.clone(),
            covariance: self.covariance.slice(s![..features, ..features]).to_owned(),
            cross: self.cross.slice(s![..features, ..]).to_owned(),
            target_variances: self.target_variances.clone(),
        }
    }
}

/// Features and targets of each token side by side, in f64.
fn joined(features: Tensor<3>, targets: Tensor<3>) -> Array2<f64> {
    let ([batch, seq, width], [_, _, outputs]) = (features.dims(), targets.dims());
    let fetch = |tensor: Tensor<3>| -> Vec<f32> {
        tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before")
    };
    let (features, targets) = (fetch(features), fetch(targets));
    let mut rows = vec![0.0; batch * seq * (width + outputs)];
    rows.par_chunks_exact_mut(width + outputs).enumerate().for_each(|(token, row)| {
        let features = &features[token * width..][..width];
        let targets = &targets[token * outputs..][..outputs];
        let values = features.iter().chain(targets);
        row.iter_mut().zip(values).for_each(|(wide, value)| *wide = f64::from(*value));
    });
    Array2::from_shape_vec((batch * seq, width + outputs), rows).expect("as many values")
}
