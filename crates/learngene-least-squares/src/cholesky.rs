//! Cholesky's factor of a symmetric matrix, and the equations it solves.
//!
//! Work is shared among threads by blocks of rows or columns whose sizes do not depend on their
//! number, so results do not either.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use crate::product::add_product;

/// Rows or columns of a block.
const BLOCK: usize = 64;

/// A pivot below this part of its diagonal entry is rounding noise of a matrix without full rank.
const LEAST_PIVOT: f64 = 1e-12;

/// What helps out where a matrix has no full rank, in parts of what its diagonal is on average.
const JITTER: [f64; 5] = [1e-10, 1e-8, 1e-6, 1e-4, 1e-2];

/// The lower triangular `L` of `A = L L^T`, computed in blocks on all threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Cholesky(Array2<f64>);

impl Cholesky {
    /// Factors a symmetric matrix of which the lower triangle is read; `None` where it is not
    /// positive definite, rounding considered.
    pub fn of(mut matrix: Array2<f64>) -> Option<Self> {
        let size = matrix.nrows();
        let least: Vec<f64> = matrix.diag().iter().map(|entry| LEAST_PIVOT * entry).collect();
        for start in (0..size).step_by(BLOCK) {
            let end = size.min(start + BLOCK);
            factor_block(matrix.slice_mut(s![start..end, start..end]), &least[start..end])?;
            let diagonal = matrix.slice(s![start..end, start..end]).to_owned();
            let mut below = matrix.slice_mut(s![end.., start..end]);
            row_blocks(&mut below).into_par_iter().for_each(|(_, mut rows)| {
                rows.rows_mut().into_iter().for_each(|mut row| {
                    for column in 0..end - start {
                        let done = s![..column];
                        let sum = row.slice(done).dot(&diagonal.row(column).slice(done));
                        row[column] = (row[column] - sum) / diagonal[[column, column]];
                    }
                });
            });
            let panel = below.to_owned(); // [size - end, end - start]
            let mut rest = matrix.slice_mut(s![end.., end..]);
            row_blocks(&mut rest).into_par_iter().for_each(|(first, mut rows)| {
                let last = first + rows.nrows();
                let left = panel.slice(s![first..last, ..]);
                let right = panel.slice(s![..last, ..]);
                add_product(rows.slice_mut(s![.., ..last]), -1.0, left, right.t());
            });
        }
        Some(Self(matrix))
    }

    /// Factors a matrix with a penalty on its diagonal; where that has no full rank, with the least of
    /// some larger ones, which are small parts of `scale`.
    pub fn of_penalised(matrix: &Array2<f64>, penalty: f64, scale: f64) -> Option<Self> {
        let jitters = JITTER.map(|jitter| jitter * scale);
        [0.0].into_iter().chain(jitters).find_map(|jitter| {
            let mut penalised = matrix.clone();
            penalised.diag_mut().mapv_inplace(|entry| entry + penalty + jitter);
            Self::of(penalised)
        })
    }

    /// `X` of `A X = right`, `[size, columns]`.
    pub fn solve(&self, mut right: Array2<f64>) -> Array2<f64> {
        let columns: Vec<_> = right.axis_chunks_iter_mut(Axis(1), BLOCK).collect();
        columns.into_par_iter().for_each(|mut view| {
            let mut columns = view.to_owned();
            self.forward(&mut columns);
            backward(self.0.view(), &mut columns);
            view.assign(&columns);
        });
        right
    }

    /// `Y` of `L Y = right`, in place: `[size, columns]`.
    pub fn forward(&self, right: &mut Array2<f64>) {
        let factor = &self.0;
        for start in (0..factor.nrows()).step_by(BLOCK) {
            let end = factor.nrows().min(start + BLOCK);
            let (done, mut rows) = right.view_mut().split_at(Axis(0), start);
            let mut rows = rows.slice_mut(s![..end - start, ..]);
            let left = factor.slice(s![start..end, ..start]);
            add_product(rows.view_mut(), -1.0, left, done.view());
            for at in 0..end - start {
                let weights = factor.slice(s![start + at, start..start + at]);
                substitute(&mut rows, at, 0..at, weights.iter(), factor[[start + at, start + at]]);
            }
        }
    }

    /// `L^T X = right` of the leading block of as many rows, in place: `[rows, columns]`.
    pub fn backward_first(&self, right: &mut Array2<f64>) {
        let rows = right.nrows();
        backward(self.0.slice(s![..rows, ..rows]), right);
    }

    /// The first rows of `L^T X`: `[rows, columns]` of `[size, columns]`.
    pub fn transposed_times(&self, right: &Array2<f64>, rows: usize) -> Array2<f64> {
        self.lower().slice(s![.., ..rows]).t().dot(right)
    }

    /// `L`, zero above the diagonal.
    pub fn lower(&self) -> Array2<f64> {
        Array2::from_shape_fn(
            self.0.dim(),
            |(row, column)| {
                if row < column { 0.0 } else { self.0[[row, column]] }
            },
        )
    }

    /// The lower triangle, row by row.
    pub fn packed(&self) -> Vec<f64> {
        let rows = self.0.rows().into_iter().enumerate();
        rows.flat_map(|(at, row)| row.slice(s![..=at]).to_vec()).collect()
    }

    /// The factor whose lower triangle is this, row by row; `None` where it is no triangle with a
    /// diagonal above 0.
    pub fn from_packed(packed: &[f64]) -> Option<Self> {
        let size = (1..).find(|size| size * (size + 1) / 2 >= packed.len())?;
        let mut factor = Array2::zeros((size, size));
        let mut values = packed.iter();
        for row in 0..size {
            for column in 0..=row {
                factor[[row, column]] = *values.next()?;
            }
        }
        let is_one = values.next().is_none() && factor.diag().iter().all(|entry| *entry > 0.0);
        is_one.then_some(Self(factor))
    }
}

/// `L^T X = right`, in place.
fn backward(factor: ArrayView2<'_, f64>, right: &mut Array2<f64>) {
    for start in (0..factor.nrows()).step_by(BLOCK).rev() {
        let end = factor.nrows().min(start + BLOCK);
        let (upper, done) = right.view_mut().split_at(Axis(0), end);
        let (_, mut rows) = upper.split_at(Axis(0), start);
        let below = factor.slice(s![end.., start..end]);
        add_product(rows.view_mut(), -1.0, below.t(), done.view());
        for at in (0..end - start).rev() {
            let weights = factor.slice(s![start + at + 1..end, start + at]);
            let others = at + 1..end - start;
            substitute(&mut rows, at, others, weights.iter(), factor[[start + at, start + at]]);
        }
    }
}

/// One row of a triangular system: less the others by their weights, over the diagonal's entry.
fn substitute<'a>(
    rows: &mut ArrayViewMut2<'_, f64>,
    at: usize,
    others: std::ops::Range<usize>,
    weights: impl Iterator<Item = &'a f64>,
    diagonal: f64,
) {
    for (other, weight) in others.zip(weights) {
        let (mut row, other) = rows.multi_slice_mut((s![at, ..], s![other, ..]));
        row.scaled_add(-weight, &other);
    }
    rows.row_mut(at).mapv_inplace(|value| value / diagonal);
}

/// Blocks of rows, and the first row of each.
fn row_blocks<'a>(matrix: &'a mut ArrayViewMut2<'_, f64>) -> Vec<(usize, ArrayViewMut2<'a, f64>)> {
    let blocks = matrix.axis_chunks_iter_mut(Axis(0), BLOCK);
    blocks.enumerate().map(|(index, rows)| (index * BLOCK, rows)).collect()
}

/// Factors one block on the diagonal, whose pivots must exceed the least.
fn factor_block(mut block: ArrayViewMut2<'_, f64>, least: &[f64]) -> Option<()> {
    for column in 0..block.nrows() {
        let row = block.slice(s![column, ..column]).to_owned();
        let pivot = block[[column, column]] - row.dot(&row);
        if pivot.is_nan() || pivot <= least[column] {
            return None;
        }
        let pivot = pivot.sqrt();
        block[[column, column]] = pivot;
        for below in column + 1..block.nrows() {
            let sum = block.slice(s![below, ..column]).dot(&row);
            block[[below, column]] = (block[[below, column]] - sum) / pivot;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries without pattern, from -1 to 1.
    fn scattered(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            ((row * 7919 + column * 104_729 + row * column * 31) % 2003) as f64 / 1001.5 - 1.0
        })
    }

    #[test]
    fn solutions_solve_within_and_across_blocks() {
        for size in [1, 5, BLOCK, BLOCK + 1, 3 * BLOCK + 17] {
            let root = scattered(size + 3, size);
            let matrix = root.t().dot(&root) + Array2::<f64>::eye(size);
            let wanted = scattered(size, 70);
            let factor = Cholesky::of(matrix.clone()).expect("positive definite");
            let solution = factor.solve(matrix.dot(&wanted));
            let worst = (&solution - &wanted).iter().fold(0.0_f64, |w, d| w.max(d.abs()));
            assert!(worst < 1e-8, "size {size}: {worst}");
        }
    }

    #[test]
    fn only_the_lower_triangle_is_read() {
        let mut matrix = Array2::<f64>::eye(70) * 4.0;
        let whole = Cholesky::of(matrix.clone()).expect("positive definite");
        matrix[[0, 69]] = f64::NAN;
        let half = Cholesky::of(matrix).expect("positive definite");
        let right = scattered(70, 3);
        assert_eq!(whole.solve(right.clone()), half.solve(right));
    }

    #[test]
    fn a_matrix_without_full_rank_has_no_factor() {
        for size in [2, BLOCK + 5] {
            let mut root = scattered(2 * size, size);
            let twin = root.column(0).to_owned();
            root.column_mut(size - 1).assign(&twin);
            assert!(Cholesky::of(root.t().dot(&root)).is_none(), "size {size}");
        }
        assert!(Cholesky::of(Array2::from_elem((1, 1), f64::NAN)).is_none());
        assert!(Cholesky::of(Array2::zeros((1, 1))).is_none());
    }
}
