//! What least squares need to know of features and targets: sums over rows, no row itself.

use ndarray::{Array1, Array2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

use crate::{LinearMap, NotFinite};

/// Columns of a block of products. Blocks are shared among threads, so it decides how work can be
/// split, and with it nothing else.
const BLOCK: usize = 128;

/// Sums over all rows seen so far, in f64. A row is what is known of one case, such as a token:
/// its features and its targets.
pub struct Sums {
    rows: u64,
    features: usize,
    /// Of a feature times a feature or target: `[features, features + targets]`; of the former the
    /// blocks on and above the diagonal.
    products: Array2<f64>,
    /// `[features + targets]`
    sums: Array1<f64>,
    /// Of targets: `[targets]`.
    squares: Array1<f64>,
}

/// Sums over some rows that were computed elsewhere, such as on a GPU.
pub struct Products<'a> {
    /// Number of rows.
    pub rows: u64,
    /// Of a feature times a feature or target: `[features, features + targets]`, row-major.
    pub products: &'a [f32],
    /// Of features, then of targets: `[features + targets]`.
    pub sums: &'a [f32],
    /// Of squared targets: `[targets]`.
    pub squares: &'a [f32],
}

/// Means and centred second moments over rows.
pub struct Moments {
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
    /// Sums over no row. Without targets these may be a map of the features, of which nothing need
    /// be measured: [`Moments::with_targets_of`].
    pub fn new(features: usize, targets: usize) -> Self {
        let width = features + targets;
        Self {
            rows: 0,
            features,
            products: Array2::zeros((features, width)),
            sums: Array1::zeros(width),
            squares: Array1::zeros(targets),
        }
    }

    /// Takes some rows.
    ///
    /// # Shapes
    /// - features: `[rows, features]`, row-major
    /// - targets: `[rows, targets]`, row-major
    ///
    /// # Errors
    /// A number that is not finite. The rows are then left out, all of them.
    ///
    /// # Panics
    /// Panics when there are not as many rows of targets as of features.
    pub fn push(&mut self, features: &[f32], targets: &[f32]) -> Result<(), NotFinite> {
        let (width, outputs) = (self.features, self.squares.len());
        let count = features.len() / width;
        assert_eq!(features.len(), count * width, "whole rows of features");
        assert_eq!(targets.len(), count * outputs, "a row of targets for each of features");
        let mut rows = vec![0.0; count * (width + outputs)];
        rows.par_chunks_exact_mut(width + outputs).enumerate().for_each(|(index, row)| {
            let features = &features[index * width..][..width];
            let targets = &targets[index * outputs..][..outputs];
            let values = features.iter().chain(targets);
            row.iter_mut().zip(values).for_each(|(wide, value)| *wide = f64::from(*value));
        });
        let rows = Array2::from_shape_vec((count, width + outputs), rows);
        self.push_rows(&rows.expect("as many values"))
    }

    /// Takes some rows, features before targets: `[rows, features + targets]`.
    ///
    /// # Errors
    /// A number that is not finite. The rows are then left out, all of them.
    pub fn push_rows(&mut self, rows: &Array2<f64>) -> Result<(), NotFinite> {
        if !rows.iter().all(|value| value.is_finite()) {
            return Err(NotFinite);
        }
        self.rows += rows.nrows() as u64;
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

    /// Takes rows whose sums are known.
    ///
    /// # Errors
    /// A sum that is not finite. Nothing is then taken.
    pub fn push_products(&mut self, of: &Products<'_>) -> Result<(), NotFinite> {
        let Products { rows, products, sums, squares } = *of;
        if !products.iter().chain(sums).chain(squares).all(|value| value.is_finite()) {
            return Err(NotFinite);
        }
        self.rows += rows;
        let add = |sum: &mut f64, value: &f32| *sum += f64::from(*value);
        self.products.iter_mut().zip(products).for_each(|(sum, value)| add(sum, value));
        self.sums.iter_mut().zip(sums).for_each(|(sum, value)| add(sum, value));
        self.squares.iter_mut().zip(squares).for_each(|(sum, value)| add(sum, value));
        Ok(())
    }

    /// Takes the rows of other sums too.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.products += &other.products;
        self.sums += &other.sums;
        self.squares += &other.squares;
    }

    /// The moments of at least one row.
    pub fn moments(&self) -> Moments {
        let rows = self.rows as f64;
        let means = &self.sums / rows;
        let (feature_means, target_means) = means.view().split_at(Axis(0), self.features);
        let centred = |row: usize, column: usize| {
            self.products[[row, column]] / rows - means[row] * means[column]
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
                    let mean_square = self.squares[target - size] / rows;
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
    /// The moments of targets that are this map of the features: they follow from those of the
    /// features, so nothing need be measured of targets.
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

    /// The moments of these targets times a matrix: `[targets, others]`. Nothing is known of the others'
    /// variances, which are said to be nothing.
    pub fn times(&self, matrix: &Array2<f64>) -> Self {
        Self {
            feature_means: self.feature_means.clone(),
            target_means: self.target_means.dot(matrix),
            covariance: self.covariance.clone(),
            cross: self.cross.dot(matrix),
            target_variances: Array1::zeros(matrix.ncols()),
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
