//! Matrices as the file of a learngene gives them back.

use learngene_format::Store;
use learngene_least_squares::{Levels, LinearMap, Moments, Sums, round_by};
use learngene_models::Classifier;
use learngene_tensors::{Grid, Quantised, Result, StateDict};

use crate::{
    fit::{Fitting, tensors_of},
    measure::linear,
    sums::push,
    tokens::Half,
};

/// Whether the first matrix of each half is rounded by what it reads, as the last one is. Of 4 bits that
/// takes a fifth off the error that is left (desk ancestor, half of its values, 256 images: of the last
/// FFN .077 against .096). Of 8 bits there is nothing to gain, and levels next to the ancestor's own
/// values can be compared with these.
pub(crate) fn are_rounded_by_inputs(store: Store) -> bool {
    store == Store::Int4
}

/// The first matrix of a half of a layer in few bits.
pub(crate) struct FirstMatrix {
    /// Name of its weight.
    pub weight: String,
    /// Weight and bias.
    pub tensors: StateDict,
    /// The weight.
    pub quantised: Quantised,
}

impl Fitting<'_> {
    /// Rounds the first matrix of a half, where the file has it in few bits, in the model too. Heads and
    /// hidden units are cut from it later: its rows are rounded each for itself.
    pub fn round_first(
        &mut self,
        layer: usize,
        half: Half,
        fitted: &StateDict,
    ) -> Result<Option<FirstMatrix>> {
        let Some(grid) = self.store.of_matrices() else { return Ok(None) };
        let shape = self.own.shape();
        let weight = half.first_weight(&shape, layer);
        let map = linear(self.parameters, &weight);
        let (map, quantised) = if are_rounded_by_inputs(self.store) {
            let mut sums = Sums::new(shape.layer(layer).embed_dim, 0);
            for tokens in &self.tokens[1].0 {
                let normed = self.own.normed(layer, half.part(), tokens.clone());
                push(&mut sums, layer, normed, None)?;
            }
            let (map, quantised) = round_map(map, self.store, &sums.moments());
            (map, quantised.expect("the store has few bits"))
        } else {
            let [weight, bias] = tensors_of(&map);
            let quantised = Quantised::nearest(grid, &weight);
            (LinearMap::from_rows(&quantised.tensor().values, &bias.values), quantised)
        };
        let names = [weight.name.clone(), weight.bias_name()];
        let tensors: StateDict = names.into_iter().zip(tensors_of(&map)).collect();
        self.replace_layer(layer, shape.layer_sizes()[layer], &[&tensors, fitted])?;
        Ok(Some(FirstMatrix { weight: weight.name, tensors, quantised }))
    }
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
