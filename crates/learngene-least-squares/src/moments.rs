//! What least squares need to know of features and targets: sums over tokens, no token itself.

use burn::tensor::Tensor;
use ndarray::{Array1, Array2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

use super::linear_map::LinearMap;
use crate::error::ClusteringError;

/// Columns of a block of products. Blocks are shared among threads, so it decides how work can be
/// split, and with it nothing else.
const BLOCK: usize = 128;

/// Sums over all tokens seen so far, in f64.
pub(crate) struct Sums {
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
pub(crate) struct Moments {
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
        self.push_rows(layer, &joined(features, targets))
    }

    /// Takes the tokens of a batch whose targets are a linear map of the features, so that they need
    /// not be looked at: [`Moments::with_targets_of`].
    ///
    /// # Shapes
    /// - features: `[batch, seq, features]`
    pub fn push_features(
        &mut self,
        layer: usize,
        features: Tensor<3>,
    ) -> Result<(), ClusteringError> {
        let [batch, seq, width] = features.dims();
        let values = fetch(features).into_iter().map(f64::from).collect();
        let rows = Array2::from_shape_vec((batch * seq, width), values).expect("as many values");
        self.push_rows(layer, &rows)
    }

    /// Takes the tokens of a batch as [`Sums::push`] does, but multiplied where they are, in `f32`: on
    /// a GPU, or with many features, a small part of the time. What rounding does to an error is far
    /// below 1e-4 of the targets' variance.
    ///
    /// # Shapes
    /// - features: `[batch, seq, features]`
    /// - targets: `[batch, seq, targets]`
    pub fn push_on_device(
        &mut self,
        layer: usize,
        features: Tensor<3>,
        targets: Tensor<3>,
    ) -> Result<(), ClusteringError> {
        let ([batch, seq, width], [_, _, outputs]) = (features.dims(), targets.dims());
        let tokens = batch * seq;
        let features = features.reshape([tokens, width]);
        let targets = targets.reshape([tokens, outputs]);
        let squares = targets.clone().powi_scalar(2).sum_dim(0);
        let rows = Tensor::cat(vec![features.clone(), targets], 1); // [tokens, width + outputs]
        let sums = rows.clone().sum_dim(0);
        let products = fetch(features.transpose().matmul(rows)); // [width, width + outputs]
        let (sums, squares) = (fetch(sums), fetch(squares));
        let mut numbers = products.iter().chain(&sums).chain(&squares);
        if !numbers.all(|value| value.is_finite()) {
            return Err(ClusteringError::TokensNotFinite { layer });
        }
        self.tokens += tokens as u64;
        let add = |sum: &mut f64, value: f32| *sum += f64::from(value);
        self.products.iter_mut().zip(products).for_each(|(sum, value)| add(sum, value));
        self.sums.iter_mut().zip(sums).for_each(|(sum, value)| add(sum, value));
        self.squares.iter_mut().zip(squares).for_each(|(sum, value)| add(sum, value));
        Ok(())
    }

    /// Takes tokens one a row: features, then targets.
    fn push_rows(&mut self, layer: usize, rows: &Array2<f64>) -> Result<(), ClusteringError> {
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

    /// Takes the tokens of another layer too.
    pub fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.products += &other.products;
        self.sums += &other.sums;
        self.squares += &other.squares;
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
    /// The moments of features of which the targets are this map: nothing is measured of targets,
    /// as a map of known features says all of them.
    pub fn with_targets_of(self, map: &LinearMap) -> Self {
        let cross = self.covariance.dot(&map.weight);
        let variances = (&map.weight * &cross).sum_axis(Axis(0));
        Self {
            target_means: self.feature_means.dot(&map.weight) + &map.bias,
            target_variances: variances.mapv(|variance| variance.max(0.0)),
            cross,
            ..self
        }
    }

    /// The moments of some features alone.
    pub fn of(&self, features: &[usize]) -> Self {
        Self {
            feature_means: self.feature_means.select(Axis(0), features),
            target_means: self.target_means.clone(),
            covariance: self.covariance.select(Axis(0), features).select(Axis(1), features),
            cross: self.cross.select(Axis(0), features),
            target_variances: self.target_variances.clone(),
        }
    }

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

fn fetch<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before")
}
