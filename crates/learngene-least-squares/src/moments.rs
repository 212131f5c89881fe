//! What least squares need to know of features and targets: sums over rows, no row itself.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::{
    LinearMap, NotFinite,
    product::{add_product, product},
};

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

/// Sums over all rows that were computed elsewhere, such as on a GPU.
pub struct Products<'a> {
    /// Number of rows, at least 1.
    pub rows: u64,
    /// Of a feature times a feature or target: `[features, features + targets]`, row-major. Of the
    /// former only those on and above the diagonal are read.
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
        let rows = Array2::from_shape_vec((count, width + outputs), rows).expect("as many values");
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
            let products = block.slice_mut(s![.., first..]);
            add_product(products, 1.0, left.t(), rows.slice(s![.., first..]));
        });
        Ok(())
    }

    /// The moments of at least one row.
    pub fn moments(&self) -> Moments {
        moments(self.rows, self.products.view(), self.sums.view(), self.squares.view())
    }
}

impl Products<'_> {
    /// The moments of the rows.
    ///
    /// # Errors
    /// A sum that is not finite.
    pub fn moments(&self) -> Result<Moments, NotFinite> {
        let Self { rows, products, sums, squares } = *self;
        if !products.iter().chain(sums).chain(squares).all(|value| value.is_finite()) {
            return Err(NotFinite);
        }
        let shape = (sums.len() - squares.len(), sums.len());
        let products = ArrayView2::from_shape(shape, products).expect("a product for each pair");
        Ok(moments(rows, products, sums.into(), squares.into()))
    }
}

fn moments<T: Copy + Into<f64>>(
    rows: u64,
    products: ArrayView2<'_, T>,
    sums: ArrayView1<'_, T>,
    squares: ArrayView1<'_, T>,
) -> Moments {
    let rows = rows as f64;
    let means: Array1<f64> = sums.mapv(|sum| sum.into() / rows);
    let (feature_means, target_means) = means.view().split_at(Axis(0), products.nrows());
    let size = feature_means.len();
    let centred = |row: usize, column: usize| {
        products[[row, column]].into() / rows - means[row] * means[column]
    };
    Moments {
        covariance: Array2::from_shape_fn((size, size), |(row, column)| {
            centred(row.min(column), row.max(column))
        }),
        cross: Array2::from_shape_fn((size, target_means.len()), |(row, column)| {
            centred(row, size + column)
        }),
        target_variances: (size..means.len())
            .map(|target| {
                let mean_square = squares[target - size].into() / rows;
                let variance = mean_square - means[target].powi(2);
                // What rounding leaves of nothing is nothing.
                if variance > 1e-12 * mean_square { variance } else { 0.0 }
            })
            .collect(),
        feature_means: feature_means.to_owned(),
        target_means: target_means.to_owned(),
    }
}

impl Moments {
    /// The moments of targets that are this map of the features: they follow from those of the
    /// features, so nothing need be measured of targets.
    pub fn with_targets_of(self, map: &LinearMap) -> Self {
        let cross = product(self.covariance.view(), &map.weight);
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
