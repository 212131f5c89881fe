//! Matrices rounded to few levels so that what they make of their inputs changes least.
//!
//! GPTQ (Frantar et al., 2022, <https://arxiv.org/abs/2210.17323>), by the factor of the inputs'
//! covariance itself in place of that of its inverse: the same equations, with nothing inverted.

use ndarray::{Array2, ArrayView1, Axis, s};
use rayon::prelude::*;

use crate::{Cholesky, NotFinite, dot, product::product};

/// Penalty on the covariance, in parts of the inputs' mean variance: what images do not show an input
/// to do counts a little all the same.
const PENALTY: f64 = 1e-2;

/// The numbers that the values of a matrix may become: levels times a scale, which neighbouring
/// inputs of a row share.
pub trait Levels: Sync {
    /// How many of so many inputs share a scale; the last group may have fewer.
    fn group(&self, inputs: usize) -> usize;

    /// Scales worth trying for values that share one, at least one.
    fn scales(&self, values: &[f64]) -> Vec<f64>;

    /// The level that is nearest to a value by a scale.
    fn level(&self, value: f64, scale: f64) -> f64;
}

/// A matrix of levels times scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// `[outputs, inputs]`
    pub levels: Array2<f64>,
    /// `[outputs, groups]`
    pub scales: Array2<f64>,
    /// The matrix: `[outputs, inputs]`.
    pub values: Array2<f64>,
}

/// Rounds a matrix, `[outputs, inputs]`, so that its outputs change little: the mean square of what
/// they change by, but for their means, is the sum of `e G e^T` over the rows `e` of the change, with
/// `G` the inputs' covariance.
///
/// Inputs are rounded in their order, and what is left of one is made up for by the later ones. A row
/// for which rounding to the nearest level does better is rounded so.
///
/// # Errors
/// A covariance that is not finite.
pub fn round_by(
    matrix: &Array2<f64>,
    covariance: &Array2<f64>,
    to: &impl Levels,
) -> Result<Rounded, NotFinite> {
    let inputs = matrix.ncols();
    let carry = Carry::of(covariance)?;
    let [nearest, carried] = [Carry::none(inputs), carry].map(|carry| {
        let rows: Vec<_> = matrix.rows().into_iter().collect();
        let rows: Vec<Row> = rows.into_par_iter().map(|row| carry.round(row, to)).collect();
        let values = |row: &Row| row.values.clone();
        let change = matrix - &stack(rows.iter().map(values), inputs);
        // [outputs]
        let errors =
            (product(covariance.view(), &change.t().to_owned()) * change.t()).sum_axis(Axis(0));
        (rows, errors)
    });
    let both = nearest.0.into_iter().zip(carried.0).zip(nearest.1.iter().zip(&carried.1));
    let better: Vec<Row> = both
        .map(
            |((nearest, carried), (of_nearest, of_carried))| {
                if of_carried < of_nearest { carried } else { nearest }
            },
        )
        .collect();
    let groups = inputs.div_ceil(to.group(inputs));
    Ok(Rounded {
        levels: stack(better.iter().map(|row| row.levels.clone()), inputs),
        scales: stack(better.iter().map(|row| row.scales.clone()), groups),
        values: stack(better.into_iter().map(|row| row.values), inputs),
    })
}

fn stack(rows: impl Iterator<Item = Vec<f64>>, width: usize) -> Array2<f64> {
    let values: Vec<f64> = rows.flatten().collect();
    let shape = (values.len() / width, width);
    Array2::from_shape_vec(shape, values).expect("rows are equally long")
}

/// One rounded row.
struct Row {
    levels: Vec<f64>,
    scales: Vec<f64>,
    values: Vec<f64>,
}

/// How what is left of earlier inputs is carried to later ones.
///
/// With the covariance `G = R R^T`, `R` zero below the diagonal, a change `e` of a row costs
/// `|e R|^2`, the sum over inputs `j` of `R_jj^2 (e_j + sum over i < j of e_i R_ij / R_jj)^2`. So the
/// level of input `j` is the one next to `w_j + sum over i < j of e_i R_ij / R_jj`.
struct Carry {
    /// `[j, i]`: `R_ij / R_jj` where `i < j`.
    weights: Array2<f64>,
    /// `[j]`: `R_jj^2`.
    costs: Vec<f64>,
}

impl Carry {
    /// Nothing is carried: every value goes to its nearest level.
    fn none(inputs: usize) -> Self {
        Self { weights: Array2::zeros((inputs, inputs)), costs: vec![1.0; inputs] }
    }

    fn of(covariance: &Array2<f64>) -> Result<Self, NotFinite> {
        let inputs = covariance.nrows();
        let variance = covariance.diag().mean().unwrap_or(0.0);
        if variance == 0.0 {
            return Ok(Self::none(inputs));
        }
        // The factor of the matrix turned end for end, turned back.
        let turned = covariance.slice(s![..;-1, ..;-1]).to_owned();
        let factor = Cholesky::of_penalised(&turned, PENALTY * variance, variance);
        let factor = factor.ok_or(NotFinite)?.lower();
        let factor = factor.slice(s![..;-1, ..;-1]);
        let weights = Array2::from_shape_fn((inputs, inputs), |(later, earlier)| {
            if earlier < later { factor[[earlier, later]] / factor[[later, later]] } else { 0.0 }
        });
        Ok(Self { weights, costs: factor.diag().mapv(|entry| entry * entry).to_vec() })
    }

    /// A row of the matrix, rounded group by group, each by the scale that costs least.
    fn round(&self, row: ArrayView1<'_, f64>, to: &impl Levels) -> Row {
        let inputs = row.len();
        let mut errors = vec![0.0; inputs];
        let mut rounded = Row { levels: vec![0.0; inputs], scales: Vec::new(), values: Vec::new() };
        for start in (0..inputs).step_by(to.group(inputs)) {
            let end = inputs.min(start + to.group(inputs));
            let carried = |input: usize, errors: &[f64], from: usize| {
                let weights = self.weights.row(input);
                let weights = weights.to_slice().expect("rows lie one after another");
                dot(&errors[from..], &weights[from..errors.len()])
            };
            // With what groups before this one leave.
            let wanted: Vec<f64> = (start..end)
                .map(|input| row[input] + carried(input, &errors[..start], 0))
                .collect();
            let mut best: Option<(f64, f64, Vec<f64>)> = None;
            for scale in to.scales(&wanted) {
                let (mut cost, mut levels) = (0.0, Vec::with_capacity(end - start));
                for input in start..end {
                    let wanted = wanted[input - start] + carried(input, &errors[..input], start);
                    let level = to.level(wanted, scale);
                    cost += self.costs[input] * (wanted - level * scale).powi(2);
                    errors[input] = row[input] - level * scale;
                    levels.push(level);
                }
                if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                    best = Some((cost, scale, levels));
                }
            }
            let (_, scale, levels) = best.expect("there is a scale for any values");
            for (input, level) in (start..end).zip(levels) {
                errors[input] = row[input] - level * scale;
                rounded.levels[input] = level;
                rounded.values.push(level * scale);
            }
            rounded.scales.push(scale);
        }
        rounded
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Levels -2 to 1 by a scale for two inputs.
    struct Coarse;

    impl Levels for Coarse {
        fn group(&self, _: usize) -> usize {
            2
        }

        fn scales(&self, values: &[f64]) -> Vec<f64> {
            let largest = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            vec![largest, largest / 1.5, largest / 2.0]
        }

        fn level(&self, value: f64, scale: f64) -> f64 {
            if scale == 0.0 { 0.0 } else { (value / scale).round().clamp(-2.0, 1.0) }
        }
    }

    const INPUTS: usize = 5;

    fn matrix(rows: usize, columns: usize, values: &[f64]) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(row, column)| values[row * columns + column])
    }

    /// `e G e^T` of each row.
    fn errors(change: &Array2<f64>, covariance: &Array2<f64>) -> Vec<f64> {
        (change.dot(covariance) * change).sum_axis(Axis(1)).to_vec()
    }

    /// The least error of a row over all levels by the scales given.
    fn least(
        row: ArrayView1<'_, f64>,
        scales: ArrayView1<'_, f64>,
        covariance: &Array2<f64>,
    ) -> f64 {
        let levels = |mut index: usize| {
            let mut level = || {
                let level = (index % 4) as f64 - 2.0;
                index /= 4;
                level
            };
            (0..INPUTS).map(|_| level()).collect::<Vec<_>>()
        };
        let error = |index: usize| {
            let levels = levels(index).into_iter().enumerate();
            let change = levels.map(|(input, level)| row[input] - level * scales[input / 2]);
            let change = Array2::from_shape_vec((1, INPUTS), change.collect()).expect("one row");
            errors(&change, covariance)[0]
        };
        (0..4_usize.pow(INPUTS as u32)).map(error).fold(f64::INFINITY, f64::min)
    }

    proptest! {
        /// No row is worse than with each value at its nearest level, none better than the best of all.
        #[test]
        fn rounding_lies_between_the_nearest_levels_and_the_best(
            values in vec(-1.0..1.0, 3 * INPUTS), root in vec(-1.0..1.0, 7 * INPUTS)
        ) {
            let (matrix, root) = (matrix(3, INPUTS, &values), matrix(7, INPUTS, &root));
            let covariance = root.t().dot(&root);
            let rounded = round_by(&matrix, &covariance, &Coarse).expect("finite");
            let identity = Array2::eye(INPUTS);
            let nearest = round_by(&matrix, &identity, &Coarse).expect("finite");
            let of = |rounded: &Rounded| errors(&(&matrix - &rounded.values), &covariance);
            for (row, (ours, nearest)) in of(&rounded).into_iter().zip(of(&nearest)).enumerate() {
                prop_assert!(ours <= nearest + 1e-9, "{} {}", ours, nearest);
                let least = least(matrix.row(row), rounded.scales.row(row), &covariance);
                prop_assert!(least <= ours + 1e-9, "{} {}", least, ours);
            }
            for ((row, input), value) in rounded.values.indexed_iter() {
                let scale = rounded.scales[[row, input / 2]];
                prop_assert_eq!(*value, rounded.levels[[row, input]] * scale);
            }
        }
    }

    /// Of two equal inputs the second makes up for what the first leaves.
    #[test]
    fn what_is_left_of_an_input_is_carried_to_the_next() {
        struct Whole;
        impl Levels for Whole {
            fn group(&self, inputs: usize) -> usize {
                inputs
            }
            fn scales(&self, _: &[f64]) -> Vec<f64> {
                vec![1.0]
            }
            fn level(&self, value: f64, _: f64) -> f64 {
                value.round()
            }
        }
        let matrix = matrix(1, 3, &[0.4, 0.4, 0.4]);
        let covariance = Array2::ones((3, 3));
        let rounded = round_by(&matrix, &covariance, &Whole).expect("finite");
        assert_eq!(rounded.values.row(0).to_vec(), [0.0, 1.0, 0.0]);
        let alone = round_by(&matrix, &Array2::eye(3), &Whole).expect("finite");
        assert_eq!(alone.values.row(0).to_vec(), [0.0, 0.0, 0.0]);
        let unseen = round_by(&matrix, &Array2::zeros((3, 3)), &Whole).expect("finite");
        assert_eq!(unseen, alone);
        let broken = Array2::from_elem((3, 3), f64::NAN);
        assert_eq!(round_by(&matrix, &broken, &Whole), Err(NotFinite));
    }
}
