//! Cholesky's factor row by row, on one thread.

/// Inner product in eight running sums, which the compiler keeps in vector registers.
///
/// The order of additions is fixed, so the result is the same on every machine. A longer list is
/// read as far as the shorter one.
pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest = left_rest.iter().zip(right_rest).map(|(left, right)| left * right);
    sums.into_iter().chain(rest).sum()
}

/// The lower triangular `L` of `A = L L^T`, for a few hundred rows; [`Cholesky`](crate::Cholesky)
/// is for more.
pub struct RowCholesky(Vec<Vec<f64>>);

impl RowCholesky {
    /// Factors a symmetric matrix of which the lower triangle is read.
    ///
    /// # Errors
    /// Where the matrix is not positive definite, rounding considered: the first row without a
    /// positive pivot.
    pub fn of(mut matrix: Vec<Vec<f64>>) -> Result<Self, usize> {
        let size = matrix.len();
        let largest = (0..size).map(|row| matrix[row][row]).fold(0.0, f64::max);
        // Pivots below the rounding of the sums that they are the difference of are zero.
        let least = largest * size as f64 * f64::EPSILON;
        for row in 0..size {
            let (above, current) = matrix.split_at_mut(row);
            let current = &mut current[0];
            for (column, other) in above.iter().enumerate() {
                let product = dot(&current[..column], &other[..column]);
                current[column] = (current[column] - product) / other[column];
            }
            let pivot = current[row] - dot(&current[..row], &current[..row]);
            if pivot.is_nan() || pivot <= least {
                return Err(row);
            }
            current[row] = pivot.sqrt();
        }
        Ok(Self(matrix))
    }

    /// Solves `A x = b` in place.
    pub fn solve(&self, x: &mut [f64]) {
        let Self(factor) = self;
        for row in 0..x.len() {
            x[row] = (x[row] - dot(&factor[row][..row], &x[..row])) / factor[row][row];
        }
        // Column by column, because rows of L are columns of its transpose.
        for row in (0..x.len()).rev() {
            x[row] /= factor[row][row];
            let solved = x[row];
            x[..row].iter_mut().zip(&factor[row]).for_each(|(x, factor)| *x -= factor * solved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_worked_out_by_hand() {
        // [[4, 2], [2, 5]] = L L^T with L = [[2, 0], [1, 2]].
        let factor = RowCholesky::of(vec![vec![4.0, 0.0], vec![2.0, 5.0]]);
        let factor = factor.unwrap_or_else(|row| panic!("no pivot in row {row}"));
        assert_eq!(factor.0, [[2.0, 0.0], [1.0, 2.0]]);
        let mut x = [10.0, 13.0];
        factor.solve(&mut x);
        assert_eq!(x, [1.5, 2.0]);
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused_at_its_row() {
        let refused = |matrix| RowCholesky::of(matrix).err();
        assert_eq!(refused(vec![vec![1.0, 0.0], vec![2.0, 1.0]]), Some(1));
        assert_eq!(refused(vec![vec![f64::NAN]]), Some(0));
    }
}
