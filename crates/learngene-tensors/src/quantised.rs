//! Tensors of few bits: whole numbers, the levels, times scales that neighbouring values share.

use half::f16;

use crate::{
    Dtype, Error, Result, Tensor,
    safetensors::{Format, check_finite},
};

/// Neighbouring values of a row that share a scale in [`Grid::Groups4`].
const GROUP: usize = 32;

/// What a scale is worth trying as, in parts of the one that reaches the largest value of a group of
/// 4 bits: a finer grid often costs less than it cuts off.
const TRIED: [f64; 10] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 1.05, 1.1, 1.15];

/// Which tensors of few bits there are. Scales are f16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// A matrix of 8 bits, levels -127 to 127, a scale for each row.
    Rows8,
    /// A matrix of 4 bits, levels -8 to 7, a scale for each 32 neighbouring values of a row.
    Groups4,
    /// A lower triangle row by row, 8 bits, levels -127 to 127, a scale for each row. What is
    /// above 0 on the diagonal stays so.
    Triangle8,
}

impl Grid {
    /// Number format of the levels in a file.
    pub fn format(self) -> Format {
        match self {
            Self::Rows8 | Self::Triangle8 => Format::I8,
            Self::Groups4 => Format::U8,
        }
    }

    /// Shape of the levels in a file, of a tensor of this shape: of 4 bits two rows share one.
    pub fn levels_shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Rows8 | Self::Triangle8 => shape.to_vec(),
            Self::Groups4 => vec![shape[0].div_ceil(2), shape[1]],
        }
    }

    /// Shape of the scales of a tensor of this shape.
    pub fn scales_shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Rows8 => vec![shape[0]],
            Self::Groups4 => vec![shape[0], shape[1].div_ceil(GROUP)],
            Self::Triangle8 => vec![rows_of_triangle(shape[0])],
        }
    }

    /// Neighbouring values of a row of a matrix that share a scale.
    ///
    /// # Panics
    /// Panics for a triangle.
    pub fn group(self, row: usize) -> usize {
        match self {
            Self::Rows8 => row,
            Self::Groups4 => GROUP,
            Self::Triangle8 => panic!("rows of a triangle differ in length"),
        }
    }

    /// Scales worth trying for values that share one, as f16 holds them.
    pub fn scales(self, values: &[f64]) -> Vec<f64> {
        let largest = values
            .iter()
            .fold(0.0, |most: f64, value| if value.abs() > most.abs() { *value } else { most });
        let held = |scale: f64| f64::from(f16::from_f64(scale));
        match self {
            _ if largest == 0.0 => vec![0.0],
            Self::Rows8 | Self::Triangle8 => vec![held(largest.abs() / 127.0)],
            // Levels reach one further below 0 than above it, so the scale has the sign by which the
            // largest value lies there.
            Self::Groups4 => TRIED.iter().map(|part| held(part * largest / -8.0)).collect(),
        }
    }

    /// The level next to a value, times its scale.
    pub fn level(self, value: f64, scale: f64) -> i8 {
        if scale == 0.0 {
            return 0;
        }
        let level = (value / scale).round();
        let (least, most) = match self {
            Self::Rows8 | Self::Triangle8 => (-127.0, 127.0),
            Self::Groups4 => (-8.0, 7.0),
        };
        level.clamp(least, most) as i8
    }

    /// Lengths of the runs of values that share a scale, in their order.
    fn runs(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Rows8 => vec![shape[1]; shape[0]],
            Self::Groups4 => {
                let of_row = (0..shape[1]).step_by(GROUP).map(|at| GROUP.min(shape[1] - at));
                of_row.collect::<Vec<_>>().repeat(shape[0])
            }
            Self::Triangle8 => (1..=rows_of_triangle(shape[0])).collect(),
        }
    }
}

fn rows_of_triangle(values: usize) -> usize {
    (0..).find(|rows| rows * (rows + 1) / 2 >= values).expect("rows grow beyond any number")
}

/// A tensor of few bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    grid: Grid,
    shape: Vec<usize>,
    levels: Vec<i8>,
    /// Each a number of f16.
    scales: Vec<f32>,
}

impl Quantised {
    /// The tensor of these levels, row-major, and scales.
    ///
    /// # Panics
    /// Panics when there are not as many levels and scales as the shape has.
    pub fn new(
        grid: Grid,
        shape: impl Into<Vec<usize>>,
        levels: Vec<i8>,
        scales: Vec<f32>,
    ) -> Self {
        let shape = shape.into();
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        assert_eq!(levels.len(), count(&shape), "levels of {shape:?}");
        assert_eq!(scales.len(), count(&grid.scales_shape(&shape)), "scales of {shape:?}");
        Self { grid, shape, levels, scales }
    }

    /// A tensor with each value rounded to the nearest level, by the scales with the least squared
    /// error.
    pub fn nearest(grid: Grid, tensor: &Tensor) -> Self {
        let mut values = &tensor.values[..];
        let (mut levels, mut scales) = (Vec::with_capacity(values.len()), Vec::new());
        for length in grid.runs(&tensor.shape) {
            let (run, rest) = values.split_at(length);
            values = rest;
            let run: Vec<f64> = run.iter().copied().map(f64::from).collect();
            let error = |scale: f64| -> f64 {
                let left = |value: &f64| value - f64::from(grid.level(*value, scale)) * scale;
                run.iter().map(|value| left(value).powi(2)).sum()
            };
            let tried = grid.scales(&run).into_iter();
            let scale = tried.map(|scale| (error(scale), scale)).min_by(|a, b| a.0.total_cmp(&b.0));
            let (_, scale) = scale.expect("there is a scale for any values");
            levels.extend(run.iter().map(|value| grid.level(*value, scale)));
            if grid == Grid::Triangle8 && run[length - 1] > 0.0 {
                let last = levels.last_mut().expect("a row has a value on the diagonal");
                *last = 1.max(*last);
            }
            scales.push(scale as f32);
        }
        Self::new(grid, tensor.shape.clone(), levels, scales)
    }

    /// The tensor's values. They are exact: a level times a number of f16 fits f32.
    pub fn tensor(&self) -> Tensor {
        let runs = self.grid.runs(&self.shape);
        let scales = runs.into_iter().zip(&self.scales);
        let scales = scales.flat_map(|(length, scale)| std::iter::repeat_n(*scale, length));
        let values = self.levels.iter().zip(scales);
        let values = values.map(|(level, scale)| f32::from(*level) * scale).collect();
        Tensor::new(self.shape.clone(), values)
    }

    /// Some rows of a matrix, in this order.
    ///
    /// # Panics
    /// Panics for a triangle, or when there is no such row.
    pub fn select_rows(&self, rows: &[usize]) -> Self {
        let width = self.shape[1];
        let scales = width.div_ceil(self.grid.group(width));
        let of = |row: &usize| self.levels[row * width..(row + 1) * width].to_vec();
        let of_scales = |row: &usize| self.scales[row * scales..(row + 1) * scales].to_vec();
        Self::new(
            self.grid,
            [rows.len(), width],
            rows.iter().flat_map(of).collect(),
            rows.iter().flat_map(of_scales).collect(),
        )
    }

    /// How it was rounded.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Its scales.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Bytes of the levels, and of the scales.
    pub fn encode(&self) -> [Vec<u8>; 2] {
        let levels = match self.grid {
            Grid::Rows8 | Grid::Triangle8 => bytemuck::cast_slice(&self.levels).to_vec(),
            Grid::Groups4 => {
                let bits = |level: &i8| (level + 8) as u8;
                let width = self.shape[1];
                let pair = |rows: &[i8]| -> Vec<u8> {
                    let (low, high) = rows.split_at(width);
                    // A missing last row counts as zeros.
                    let high = high.iter().chain(std::iter::repeat(&0));
                    low.iter().zip(high).map(|(low, high)| bits(low) | bits(high) << 4).collect()
                };
                self.levels.chunks(2 * width).flat_map(pair).collect()
            }
        };
        [levels, Dtype::F16.encode(&self.scales).into_owned()]
    }

    /// The tensor of this name and shape from the bytes of its levels and scales.
    ///
    /// # Errors
    /// Bytes that [`Quantised::encode`] never makes.
    ///
    /// # Panics
    /// Panics when there are not as many bytes as the shape has.
    pub fn decode(name: &str, grid: Grid, shape: &[usize], bytes: [&[u8]; 2]) -> Result<Self> {
        let scales = Dtype::F16.decode(bytes[1]);
        check_finite(&format!("scales of {name}"), &scales, Dtype::F16)?;
        let levels = match grid {
            Grid::Rows8 | Grid::Triangle8 => {
                let levels: &[i8] = bytemuck::cast_slice(bytes[0]);
                if let Some(index) = levels.iter().position(|level| *level == i8::MIN) {
                    let found = format!("-128 at index {index}");
                    return Err(Error::invalid(name, found, "levels from -127 to 127"));
                }
                levels.to_vec()
            }
            Grid::Groups4 => {
                let level = |bits: u8| bits as i8 - 8;
                let pair = |bytes: &[u8]| {
                    let low = bytes.iter().map(|byte| level(byte & 15));
                    let high = bytes.iter().map(|byte| level(byte >> 4));
                    low.chain(high).collect::<Vec<_>>()
                };
                let mut levels: Vec<i8> = bytes[0].chunks(shape[1]).flat_map(pair).collect();
                let missing = levels.split_off(shape.iter().product());
                if missing.iter().any(|level| *level != 0) {
                    return Err(Error::invalid(name, "a row beyond the last", "zeros there"));
                }
                levels
            }
        };
        Ok(Self::new(grid, shape, levels, scales))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const GRIDS: [Grid; 3] = [Grid::Rows8, Grid::Groups4, Grid::Triangle8];

    /// A tensor of a grid, of some rows of these values again and again.
    fn tensor(grid: Grid, rows: usize, width: usize, values: &[f32]) -> Tensor {
        let shape = match grid {
            Grid::Triangle8 => vec![rows * (rows + 1) / 2],
            _ => vec![rows, width],
        };
        let count = shape.iter().product();
        Tensor::new(shape, values.iter().copied().cycle().take(count).collect())
    }

    proptest! {
        /// Rounding leaves at most half a step, but for what levels do not reach, and nothing is lost
        /// on the way through bytes.
        #[test]
        fn levels_are_near_and_survive_their_bytes(
            rows in 1usize..6, width in 1usize..70, values in vec(-4f32..4.0, 1..90)
        ) {
            for grid in GRIDS {
                let tensor = tensor(grid, rows, width, &values);
                let rounded = Quantised::nearest(grid, &tensor);
                let bytes = rounded.encode();
                let lengths = [grid.levels_shape(&tensor.shape), grid.scales_shape(&tensor.shape)];
                let lengths = lengths.map(|shape| shape.iter().product::<usize>());
                prop_assert_eq!([bytes[0].len(), bytes[1].len()], [lengths[0], 2 * lengths[1]]);
                let read = Quantised::decode("x", grid, &tensor.shape, [&bytes[0], &bytes[1]]);
                prop_assert_eq!(read.expect("its own bytes"), rounded.clone());

                let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                let step = if grid == Grid::Groups4 { largest / 7.0 } else { largest / 126.0 };
                for (value, got) in tensor.values.iter().zip(rounded.tensor().values) {
                    prop_assert!((value - got).abs() <= 2.5 * step, "{:?}: {}, {}", grid, value, got);
                }
            }
        }
    }

    #[test]
    fn rows_of_8_bits_worked_out_by_hand() {
        let tensor = Tensor::new([2, 3], vec![127.0, -63.6, 0.4, 0.0, -0.0, 0.0]);
        let rounded = Quantised::nearest(Grid::Rows8, &tensor);
        assert_eq!(rounded.tensor().values, [127.0, -64.0, 0.0, 0.0, 0.0, 0.0]);
        let [levels, scales] = rounded.encode();
        assert_eq!(levels, [127, 192, 0, 0, 0, 0]); // -64 in two's complement
        assert_eq!(scales, [0, 0x3c, 0, 0]); // 1 and 0 in f16
        assert_eq!(rounded.select_rows(&[1, 0]).tensor().values[3..], [127.0, -64.0, 0.0]);
    }

    #[test]
    fn two_rows_of_4_bits_share_a_byte() {
        let values = [-8.0, 7.0, 3.0, 8.0, -7.0, 2.0, -8.0, 1.0, 0.0];
        let rounded = Quantised::nearest(Grid::Groups4, &Tensor::new([3, 3], values.to_vec()));
        assert_eq!(rounded.tensor().values, values);
        let [levels, scales] = rounded.encode();
        // Levels -8 7 3, then by a scale of -1: -8 7 -2, then -8 1 0 and a row of zeros.
        assert_eq!(levels, [0x00, 0xff, 0x6b, 0x80, 0x89, 0x88]);
        assert_eq!(Dtype::F16.decode(&scales), [1.0, -1.0, 1.0]);
        let groups = Grid::Groups4.scales_shape(&[2, 65]);
        assert_eq!((groups, Grid::Groups4.levels_shape(&[3, 65])), (vec![2, 3], vec![2, 65]));
    }

    #[test]
    fn a_diagonal_stays_above_0() {
        let triangle = Tensor::new([6], vec![1.0, 1.0, 1e-3, 254.0, -2.0, 0.5]);
        let rounded = Quantised::nearest(Grid::Triangle8, &triangle).tensor().values;
        assert!([0, 2, 5].into_iter().all(|end| rounded[end] > 0.0), "{rounded:?}");
        assert_eq!(rounded[3..], [254.0, -2.0, 2.0]);
    }

    fn check_refused(grid: Grid, levels: &[u8], scales: &[u8], message: &str) {
        let refused = Quantised::decode("x", grid, &[1, 2], [levels, scales]);
        assert_eq!(refused.expect_err(message).to_string(), message);
    }

    #[test]
    fn bytes_that_are_never_made_are_refused() {
        let message = "x: found -128 at index 1, expected levels from -127 to 127";
        check_refused(Grid::Rows8, &[0, 128], &[0, 0x3c], message);
        let message = "x: found a row beyond the last, expected zeros there";
        check_refused(Grid::Groups4, &[0x88, 0x98], &[0, 0x3c], message);
        let message = "scales of x: found inf at index 0, expected finite values that f16 can hold";
        check_refused(Grid::Rows8, &[0, 0], &[0, 0x7c], message);
    }
}
