//! Matrices as the file of a learngene gives them back.

use learngene_format::Store;
use learngene_least_squares::{Levels, LinearMap, Moments, round_by};
use learngene_tensors::{Grid, Quantised};

/// Whether the first matrix of each half is rounded by what it reads, as the last one is. Of 4 bits that
/// takes a fifth off the error that is left (desk ancestor, half of its values, 256 images: of the last
/// FFN .077 against .096). Of 8 bits the levels are those next to the ancestor's own values, which can be
/// compared with these.
pub(crate) fn are_rounded_by_inputs(store: Store) -> bool {
    store == Store::Int4
}

/// A map as a file holds it, its matrix of few bits rounded so that outputs change little on the inputs
/// of these moments; with that matrix, `[outputs, inputs]`, where it is of few bits.
///
/// The bias makes up for what rounding does to the outputs' means.
pub(crate) fn round_map(
    map: LinearMap,
    store: Store,
    moments: &Moments,
) -> (LinearMap, Option<Quantised>) {
    let Some(grid) = store.of_matrices() else {
        return (map.rounded(|values| store.dtype().round(values)), None);
    };
    let matrix = map.weight.t().to_owned();
    let rounded = round_by(&matrix, &moments.covariance, &Steps(grid));
    let rounded = rounded.expect("moments are finite where a matrix was fitted to them");
    let weight = rounded.values.t().to_owned();
    let bias = &map.bias + &moments.feature_means.dot(&(&map.weight - &weight));
    let bias: Vec<f32> = bias.iter().map(|value| *value as f32).collect();
    let bias = store.dtype().round(bias).into_iter().map(f64::from).collect();
    let quantised = Quantised::new(
        grid,
        [matrix.nrows(), matrix.ncols()],
        rounded.levels.iter().map(|level| *level as i8).collect(),
        rounded.scales.iter().map(|scale| *scale as f32).collect(),
    );
    (LinearMap { weight, bias }, Some(quantised))
}

/// Levels of a matrix of few bits.
struct Steps(Grid);

impl Levels for Steps {
    fn group(&self, inputs: usize) -> usize {
        self.0.group(inputs)
    }

    fn scales(&self, values: &[f64]) -> Vec<f64> {
        self.0.scales(values)
    }

    fn level(&self, value: f64, scale: f64) -> f64 {
        f64::from(self.0.level(value, scale))
    }
}

#[cfg(test)]
mod tests;
