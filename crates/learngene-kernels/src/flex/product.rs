//! Products of matrices as small as one attention head's, where preparing a general matrix
//! product would take longer than the product itself.

use std::array::from_fn;

use multiversion::multiversion;

use super::math::LANES;

/// Rows of a product computed together: as many sums as the registers of AVX2 hold.
const BLOCK: usize = 6;

/// A matrix inside a longer slice: rows of `width` elements, `stride` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix that fills its slice.
    pub(crate) fn dense(values: &'a [f32], width: usize) -> Self {
        Self { values, rows: values.len() / width, width, stride: width }
    }

    #[inline(always)]
    fn row(self, i: usize) -> &'a [f32] {
        &self.values[i * self.stride..][..self.width]
    }
}

/// The right factor of a product: a copy whose rows are filled up to whole SIMD registers.
pub(crate) struct Packed {
    values: Vec<f32>,
    width: usize,
    stride: usize,
}

impl Packed {
    /// The matrix itself.
    pub(crate) fn new(matrix: Matrix<'_>) -> Self {
        let mut packed = Self::zeros(matrix.rows, matrix.width);
        for (i, row) in packed.values.chunks_exact_mut(packed.stride).enumerate() {
            row[..matrix.width].copy_from_slice(matrix.row(i));
        }
        packed
    }

    /// Its transpose.
    pub(crate) fn transposed(matrix: Matrix<'_>) -> Self {
        let mut packed = Self::zeros(matrix.width, matrix.rows);
        for i in 0..matrix.rows {
            let column = packed.values[i..].iter_mut().step_by(packed.stride);
            for (packed, value) in column.zip(matrix.row(i)) {
                *packed = *value;
            }
        }
        packed
    }

    fn zeros(rows: usize, width: usize) -> Self {
        let stride = width.next_multiple_of(LANES);
        Self { values: vec![0.0; rows * stride], width, stride }
    }
}

/// `left * right`, row by row.
pub(crate) fn multiply(left: Matrix<'_>, right: &Packed) -> Vec<f32> {
    let mut product = vec![0.0; left.rows * right.width];
    multiply_into(&mut product, left, right);
    product
}

/// `transpose(left) * right`, row by row.
pub(crate) fn multiply_transposed(left: Matrix<'_>, right: &Packed) -> Vec<f32> {
    let mut product = vec![0.0; left.width * right.width];
    multiply_transposed_into(&mut product, left, right);
    product
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn multiply_into(product: &mut [f32], left: Matrix, right: &Packed) {
    if left.rows < BLOCK {
        for (i, row) in product.chunks_exact_mut(right.width).enumerate() {
            let left = left.row(i);
            multiply_rows(row, |k| [left[k]], right);
        }
        return;
    }
    for start in (0..left.rows).step_by(BLOCK) {
        let start = start.min(left.rows - BLOCK); // The last block may repeat rows.
        let left: [&[f32]; BLOCK] = from_fn(|r| left.row(start + r));
        multiply_rows(&mut product[start * right.width..], |k| left.map(|row| row[k]), right);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn multiply_transposed_into(product: &mut [f32], left: Matrix, right: &Packed) {
    if left.width < BLOCK {
        for (i, row) in product.chunks_exact_mut(right.width).enumerate() {
            multiply_rows(row, |k| [left.values[k * left.stride + i]], right);
        }
        return;
    }
    for start in (0..left.width).step_by(BLOCK) {
        let start = start.min(left.width - BLOCK); // The last block may repeat rows.
        let left = |k| {
            let row = &left.values[k * left.stride + start..][..BLOCK];
            from_fn::<f32, BLOCK, _>(|r| row[r])
        };
        multiply_rows(&mut product[start * right.width..], left, right);
    }
}

/// `product[r] = sum_k left(k)[r] * right[k]` for `ROWS` rows, one register wide at a time, in
/// the order of `k`.
#[inline(always)]
fn multiply_rows<const ROWS: usize>(
    product: &mut [f32],
    left: impl Fn(usize) -> [f32; ROWS],
    right: &Packed,
) {
    for column in (0..right.width).step_by(LANES) {
        let mut sums = [[0.0; LANES]; ROWS];
        for (k, right) in right.values.chunks_exact(right.stride).enumerate() {
            let right = &right[column..][..LANES];
            let left = left(k);
            for r in 0..ROWS {
                for i in 0..LANES {
                    sums[r][i] = left[r].mul_add(right[i], sums[r][i]);
                }
            }
        }
        let width = LANES.min(right.width - column);
        for (row, sums) in product.chunks_exact_mut(right.width).zip(&sums) {
            row[column..][..width].copy_from_slice(&sums[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A matrix of small whole numbers, whose products are exact, inside a wider one.
    fn matrix(rows: usize, width: usize, stride: usize, seed: usize) -> Vec<f32> {
        (0..rows * stride + width).map(|i| ((i * 7 + seed) % 11) as f32 - 5.0).collect()
    }

    proptest! {
        #[test]
        fn products_are_sums_of_products(
            (rows, depth, width) in (1_usize..20, 1_usize..20, 1_usize..40),
            gap in 0_usize..5,
            seed in 0_usize..11,
        ) {
            let stride = depth + gap;
            let left = matrix(rows, depth, stride, seed);
            let left = Matrix { values: &left, rows, width: depth, stride };
            let right = matrix(depth, width, width + gap, seed + 3);
            let right = Matrix { values: &right, rows: depth, width, stride: width + gap };
            let wanted: Vec<f32> = (0..rows * width)
                .map(|at| (left.row(at / width), at % width))
                .map(|(row, j)| (0..depth).map(|k| row[k] * right.row(k)[j]).sum())
                .collect();

            prop_assert_eq!(&multiply(left, &Packed::new(right)), &wanted);

            let turn = |matrix: Matrix<'_>| -> Vec<f32> {
                let columns = 0..matrix.width;
                columns.flat_map(|j| (0..matrix.rows).map(move |i| matrix.row(i)[j])).collect()
            };
            let (left, right) = (turn(left), turn(right));
            let (left, right) = (Matrix::dense(&left, rows), Matrix::dense(&right, depth));
            prop_assert_eq!(&multiply_transposed(left, &Packed::transposed(right)), &wanted);
        }
    }
}
