//! Products of matrices on all threads.

use ndarray::{Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

/// Columns that one thread works on.
const BLOCK: usize = 64;

/// Product of two matrices, split among threads by columns of the right one.
pub(crate) fn product(left: ArrayView2<'_, f64>, right: &Array2<f64>) -> Array2<f64> {
    let mut product = Array2::zeros((left.nrows(), right.ncols()));
    let columns: Vec<_> = product.axis_chunks_iter_mut(Axis(1), BLOCK).enumerate().collect();
    columns.into_par_iter().for_each(|(index, mut columns)| {
        let first = index * BLOCK;
        let right = right.slice(s![.., first..first + columns.ncols()]);
        general_mat_mul(1.0, &left, &right, 0.0, &mut columns);
    });
    product
}
