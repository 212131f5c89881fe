//! Products of whole matrices by the crate gemm, as burn's own are, but into memory that was
//! neither cleared nor copied before.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::buffer::{self, add_to_rows, cleared, column_sums};

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// Rows of `columns` elements, one after another.
    pub(crate) fn new(values: &'a [f32], columns: usize) -> Self {
        assert!(!values.is_empty(), "a matrix of nothing is left to burn");
        assert!(values.len().is_multiple_of(columns), "rows are whole");
        let rows = values.len() / columns;
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Rows of `columns` elements, `row_stride` elements apart, from the start of `values` on.
    pub(crate) fn inside(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(rows > 0 && columns > 0, "a matrix of nothing is left to burn");
        let values = &values[..(rows - 1) * row_stride + columns];
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// Who computes a product.
#[derive(Clone, Copy)]
pub(crate) enum Threads {
    /// The caller, one of many that compute parts of something larger.
    Caller,
    /// All threads of the pool.
    All,
}

/// Writes `left * right` over all of `product`, row by row.
#[allow(unsafe_code)]
pub(crate) fn write<'p>(
    product: &'p mut [MaybeUninit<f32>],
    left: View,
    right: View,
    threads: Threads,
) -> &'p mut [f32] {
    assert_eq!(product.len(), left.rows * right.columns, "elements of a product");
    // SAFETY: the rows of the product are as many as there is memory for, and `gemm` writes all.
    unsafe {
        gemm(product.as_mut_ptr().cast::<f32>(), right.columns, left, right, threads);
        product.assume_init_mut()
    }
}

/// Writes `left * right` into rows of `row_stride` elements, each from its element `start` on.
#[allow(unsafe_code)]
pub(crate) fn write_at(rows: &mut [f32], start: usize, row_stride: usize, left: View, right: View) {
    let rows = &mut rows[start..][..(left.rows - 1) * row_stride + right.columns];
    // SAFETY: the last row of the product ends where the slice does.
    unsafe { gemm(rows.as_mut_ptr(), row_stride, left, right, Threads::Caller) }
}

/// Writes `left * right` to memory, in rows `row_stride` elements apart, and reads none of it.
///
/// # Safety
/// Memory must be there for each row of the product.
#[allow(unsafe_code)]
unsafe fn gemm(product: *mut f32, row_stride: usize, left: View, right: View, threads: Threads) {
    assert_eq!(left.columns, right.rows, "columns of the left factor and rows of the right one");
    assert!(left.columns > 0, "a sum over nothing is left to burn");
    let parallelism = match threads {
        Threads::Caller => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: a view's strides lead to every element of its slice and no further, the factors fit
    // each other, and the caller has seen to the product. That the memory of the product may hold
    // anything rests on gemm, which says of `read_dst = false` that it is not read; a test fills it
    // with NaN.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            product,
            1,
            row_stride as isize,
            false,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `left * right`, row by row; the rows of `left` lie one after another.
pub(crate) fn multiply(left: View, right: View) -> Vec<f32> {
    assert_eq!((left.row_stride, left.column_stride), (left.columns, 1), "rows of the left factor");
    let task = rows_per_product(left.rows, right.columns);
    let [product] = buffer::build(
        [(left.rows * right.columns, task * right.columns)],
        left.values.par_chunks(task * left.columns),
        |[product], rows| [write(product, View::new(rows, left.columns), right, Threads::Caller)],
    );
    product
}

/// Rows that one task multiplies by a matrix of so many columns: few enough that they stay in the
/// cache for what follows, and as many tasks for one thread as for another.
pub(crate) fn rows_per_product(rows: usize, columns: usize) -> usize {
    const MOST: usize = 512;
    let threads = rayon::current_num_threads();
    rows_per_task(rows, columns, threads * rows.div_ceil(threads).div_ceil(MOST))
}

/// Rows of a product for each of about so many tasks.
///
/// Each row is summed up in the same order whoever computes it, so this may depend on the number of
/// threads, and results still do not. But gemm sums up small products otherwise: those of 64 rows or
/// less, and those of 256 elements or less. So no task gets so few of many rows: each of at most
/// [`MOST_TASKS`] gets as many of [`LEAST_ROWS`] or more, but for the last, which lacks less than one
/// row for each of the others. So many rows are also worth the packing of the other factor.
pub(crate) fn rows_per_task(rows: usize, columns: usize, tasks: usize) -> usize {
    if columns < LEAST_COLUMNS {
        return rows.max(1);
    }
    rows.div_ceil(tasks.min(rows / LEAST_ROWS).clamp(1, MOST_TASKS)).max(1)
}

const LEAST_ROWS: usize = 128;
const MOST_TASKS: usize = LEAST_ROWS - 64;
/// Of 65 rows, more than 256 elements.
const LEAST_COLUMNS: usize = 4;

/// `x * weight + bias` over all of `y`, by the calling thread.
pub(crate) fn affine<'y>(
    y: &'y mut [MaybeUninit<f32>],
    x: &[f32],
    weight: View,
    bias: &[f32],
) -> &'y mut [f32] {
    let y = write(y, View::new(x, weight.rows), weight, Threads::Caller);
    add_to_rows(y, bias);
    y
}

/// The gradients of weight and bias, `x^T * dy` and the sums of the columns of `dy`.
///
/// The sum runs over all rows of an activation and gives a matrix as small as a weight, which is
/// little to share among threads: so every task sums over a part of the rows, and the parts are
/// added up in their order.
pub(crate) fn weight_gradient(x: View, dy: View) -> (Vec<f32>, Vec<f32>) {
    let rows = x.rows;
    let parts = match rows {
        0..256 => 1,
        256..512 => 2,
        512..4096 => 4,
        _ => 8,
    };
    let part_rows = rows.div_ceil(parts);
    let parts = rows.div_ceil(part_rows);
    let (weight, bias) = (x.columns * dy.columns, dy.columns);
    let threads = if parts == 1 { Threads::All } else { Threads::Caller };

    let x_parts = x.values.par_chunks(part_rows * x.columns);
    let dy_parts = dy.values.par_chunks(part_rows * dy.columns);
    let outputs = [(parts * weight, weight), (parts * bias, bias)];
    let [weights, biases] =
        buffer::build(outputs, x_parts.zip(dy_parts), |[weight, bias], (x_part, dy_part)| {
            let dy_part = View::new(dy_part, dy.columns);
            let x_part = View::new(x_part, x.columns);
            let bias = cleared(bias);
            column_sums(bias, dy_part.values);
            [write(weight, x_part.transposed(), dy_part, threads), bias]
        });
    (buffer::sum_parts(weights, weight), buffer::sum_parts(biases, bias))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small whole numbers, whose products and sums are exact.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7 + seed) % 11) as f32 - 5.0).collect()
    }

    fn by_hand(left: View, right: View) -> Vec<f32> {
        let at = |m: View, i, j| m.values[i * m.row_stride + j * m.column_stride];
        let element = |i, j| (0..left.columns).map(|k| at(left, i, k) * at(right, k, j)).sum();
        (0..left.rows).flat_map(|i| (0..right.columns).map(move |j| element(i, j))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn products_are_sums_of_products(
            (rows, depth, columns) in (1_usize..700, 1_usize..20, 1_usize..20),
            seed in 0_usize..11,
        ) {
            let (x, weight) = (values(rows * depth, seed), values(depth * columns, seed + 3));
            let (dy, bias) = (values(rows * columns, seed + 5), values(columns, seed + 7));
            let (x, weight) = (View::new(&x, depth), View::new(&weight, columns));
            let dy = View::new(&dy, columns);
            prop_assert_eq!(multiply(x, weight), by_hand(x, weight));
            prop_assert_eq!(
                multiply(dy, weight.transposed()),
                by_hand(dy, weight.transposed())
            );

            let (weight_gradient, bias_gradient) = weight_gradient(x, dy);
            prop_assert_eq!(weight_gradient, by_hand(x.transposed(), dy));
            let ones = vec![1.0; rows];
            prop_assert_eq!(bias_gradient, by_hand(View::new(&ones, rows), dy));

            let mut y = vec![MaybeUninit::uninit(); rows * columns];
            let y = affine(&mut y, x.values, weight, &bias);
            let wanted = by_hand(x, weight);
            let wanted: Vec<f32> = wanted.iter().zip(bias.iter().cycle()).map(|(y, b)| y + b).collect();
            prop_assert_eq!(y, wanted);
        }
    }

    /// gemm has ways of its own for one row, one column and short sums.
    #[test]
    fn what_the_memory_of_a_product_held_does_not_matter() {
        for rows in [1, 2, 7, 65] {
            for depth in [1, 2, 3, 600] {
                for columns in [1, 2, 17] {
                    let (left, right) = (values(rows * depth, 1), values(depth * columns, 2));
                    let (left, right) = (View::new(&left, depth), View::new(&right, columns));
                    let wanted = by_hand(left, right);
                    let mut product = vec![f32::NAN; rows * columns];
                    write_at(&mut product, 0, columns, left, right);
                    assert_eq!(product, wanted, "{rows} x {depth} x {columns}");
                    let turned = values(rows * depth, 1);
                    let turned = View::new(&turned, rows).transposed();
                    write_at(&mut product, 0, columns, turned, right);
                    assert_eq!(product, by_hand(turned, right), "{rows} x {depth} x {columns}");
                }
            }
        }
    }

    #[test]
    fn every_thread_gets_as_many_tasks() {
        let tasks = |rows: usize, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.expect("threads can be started");
            rows.div_ceil(pool.install(|| rows_per_product(rows, 96)))
        };
        assert_eq!([1, 95, 788, 4160].map(|rows| tasks(rows, 2)), [1, 1, 2, 10]);
        assert_eq!([1, 95, 788, 4160].map(|rows| tasks(rows, 8)), [1, 1, 6, 16]);
    }

    #[test]
    fn no_task_gets_as_few_rows_of_many_as_gemm_sums_up_otherwise() {
        for rows in (1..2000).chain([8191, 8192, 8193, 100_003]) {
            for tasks in [1, 2, 3, 7, 16, 64, 1000] {
                let task = rows_per_task(rows, 4, tasks);
                let last = rows - (rows.div_ceil(task) - 1) * task;
                assert!(task >= rows || last > 64, "{rows} rows, {tasks} tasks: {task}, {last}");
            }
        }
        assert_eq!(rows_per_task(5000, 3, 8), 5000);
    }
}
