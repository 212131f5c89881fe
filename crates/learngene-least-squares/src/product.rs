//! Products of matrices, on the calling thread and on all.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

/// Columns that one thread works on.
const BLOCK: usize = 64;

/// Product of two matrices, split among threads by columns of the right one.
pub(crate) fn product(left: ArrayView2<'_, f64>, right: &Array2<f64>) -> Array2<f64> {
    let mut product = Array2::zeros((left.nrows(), right.ncols()));
    let columns: Vec<_> = product.axis_chunks_iter_mut(Axis(1), BLOCK).enumerate().collect();
    columns.into_par_iter().for_each(|(index, columns)| {
        let first = index * BLOCK;
        let right = right.slice(s![.., first..first + columns.ncols()]);
        add_product(columns, 1.0, left, right);
    });
    product
}

/// Adds `scale * left * right` to a matrix, on the calling thread.
#[allow(unsafe_code)]
pub(crate) fn add_product(
    mut sum: ArrayViewMut2<'_, f64>,
    scale: f64,
    left: ArrayView2<'_, f64>,
    right: ArrayView2<'_, f64>,
) {
    let (rows, columns, inner) = (left.nrows(), right.ncols(), left.ncols());
    assert_eq!(sum.dim(), (rows, columns), "a sum as large as the product");
    assert_eq!(right.nrows(), inner, "as many rows on the right as columns on the left");
    if sum.is_empty() || inner == 0 {
        return;
    }
    let ([sum_row, sum_column], [left_row, left_column], [right_row, right_column]) =
        (strides(sum.strides()), strides(left.strides()), strides(right.strides()));
    // SAFETY: pointers, dimensions and strides are those of borrowed views, and the sum is borrowed
    // mutably, so nothing else reads or writes it.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            sum.as_mut_ptr(),
            sum_column,
            sum_row,
            true,
            left.as_ptr(),
            left_column,
            left_row,
            right.as_ptr(),
            right_column,
            right_row,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Strides of rows and of columns.
fn strides(strides: &[isize]) -> [isize; 2] {
    [strides[0], strides[1]]
}
