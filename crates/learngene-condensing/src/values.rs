//! Values of heads, fitted to what is missing after their layer.
//!
//! With its attention fixed, a head writes `x V W`: of its contexts `x` (the normed tokens, averaged by
//! the attention), by its value rows `V` and its columns `W` of the output projection. If `E` is missing
//! of the targets, it should give `E W^+` more, so `V` is fitted to `x V + E W^+` by ridge regression.
//! Each head takes its part of what those before it leave; then the projection is fitted again. This is
//! one step of alternating least squares for the best `V W` of their rank.

use burn::tensor::{Device, Tensor, TensorData};
use learngene_format::{Store, ValueFit};
use learngene_least_squares::{Cholesky, LinearMap, NEGLIGIBLE};
use learngene_models::Classifier;
use learngene_shape::{Head, HeadLayout, Projection};
use learngene_tensors::{Quantised, Result};
use ndarray::Array2;

use crate::{
    fit::Fitting,
    half::Half,
    measure::linear,
    rounding::round_map,
    sums::{TokenSums, fetch, unsolvable},
};

/// Tokens per channel that are looked at: on ViT-S/14 at 84 px, 24 were no better.
const TOKENS_PER_CHANNEL: usize = 8;

/// Ridges that are tried, as multiples of the contexts' mean variance.
const RIDGES: [f64; 3] = [0.1, 0.3, 1.0];

/// What is added to `W W^T` before it is inverted, in parts of its mean diagonal.
const DAMPING: f64 = 1e-3;

/// Value rows of the heads of a layer as the file gives them back, beside them those of few bits.
pub(crate) type ValueMaps = Vec<(LinearMap, Option<Quantised>)>;

/// Tokens that are fitted to, and those of images held out: `[tokens, width]` each.
type Parts = [Tensor<2>; 2];

/// Which parts of the tokens a fit looks at.
#[derive(Clone, Copy)]
enum Seen {
    AllButHeldOut = 1,
    All = 2,
}

/// The attention of a layer whose values are fitted.
pub(crate) struct Values {
    layer: usize,
    layout: HeadLayout,
    /// `[head]`
    contexts: Vec<Parts>,
    /// `[head]`: `V` and its bias as they are.
    values: Vec<LinearMap>,
    /// What the layer should add to the tokens.
    targets: Parts,
    /// The output projection as it is, and its ridge.
    projection: LinearMap,
    ridge: f64,
    store: Store,
}

impl Values {
    /// Fits the values of all heads of a layer; `None` where it does not help on images held out, or
    /// there are too few of them. The ancestor's tokens are those after the attention, the model's those
    /// before it.
    pub fn fit(fitting: &Fitting, layer: usize) -> Result<Option<(ValueMaps, ValueFit)>> {
        let Some(values) = Self::new(fitting, layer) else { return Ok(None) };
        let [_, held_out] = &values.targets;
        let variance = mean_square(&(held_out.clone() - held_out.clone().mean_dim(0)));
        let error = |missing: &Parts| mean_square(&missing[1]) / variance;

        let (projection, missing) = values.project(&values.values, Seen::AllButHeldOut)?;
        let before = error(&missing);
        let mut best = ValueFit { ridge: 0.0, before, after: before };
        for ridge in RIDGES {
            let maps = values.sweep(&projection, missing.clone(), Seen::AllButHeldOut, ridge)?;
            let maps: Vec<LinearMap> = maps.into_iter().map(|(map, _)| map).collect();
            let (_, missing) = values.project(&maps, Seen::AllButHeldOut)?;
            let after = error(&missing);
            if after < best.after {
                best = ValueFit { ridge, before, after };
            }
        }
        if best.after + NEGLIGIBLE >= before {
            return Ok(None);
        }
        let (projection, missing) = values.project(&values.values, Seen::All)?;
        Ok(Some((values.sweep(&projection, missing, Seen::All, best.ridge)?, best)))
    }

    /// `None` where no image would be held out.
    fn new(fitting: &Fitting, layer: usize) -> Option<Self> {
        let Fitting { own: model, tokens: [of_ancestor, own], ridge, store, .. } = fitting;
        let shape = model.shape();
        let sizes = shape.layer(layer);
        let layout = sizes.heads;
        let mut contexts = vec![Batches::default(); layout.num_heads];
        let mut targets = Batches::default();
        let mut images = 0;
        let drawn = own.drawn(TOKENS_PER_CHANNEL * sizes.embed_dim);
        for ((of_ancestor, own), drawn) in of_ancestor.0.iter().zip(&own.0).zip(drawn) {
            let push = |batches: &mut Batches, tokens: Tensor<3>| {
                let parts = drawn.parts(images, tokens);
                batches.0.iter_mut().zip(parts).for_each(|(batches, part)| batches.extend(part));
            };
            let of_heads = model.contexts(layer, own.clone());
            contexts.iter_mut().zip(of_heads).for_each(|(all, of_head)| push(all, of_head));
            push(&mut targets, of_ancestor.clone() - own.clone());
            images += own.dims()[0];
        }
        let parameters = model.layer_parameters(layer);
        let first = linear(&parameters, &Half::Attention.first_weight(&shape, layer));
        let rows = |head| layout.rows(Projection::Value, Head(head));
        Some(Self {
            layer,
            layout,
            contexts: contexts.into_iter().map(Batches::join).collect::<Option<_>>()?,
            values: (0..layout.num_heads).map(|head| first.of_outputs(rows(head))).collect(),
            targets: targets.join()?,
            projection: fitting.last(layer, Half::Attention),
            ridge: *ridge,
            store: *store,
        })
    }

    /// The projection fitted for these values, and what it leaves of the targets.
    fn project(&self, values: &[LinearMap], seen: Seen) -> Result<(LinearMap, Parts)> {
        let features = [0, 1].map(|part| {
            let of_heads = self.contexts.iter().zip(values);
            let of_heads = of_heads.map(|(contexts, values)| apply(values, &contexts[part]));
            Tensor::cat(of_heads.collect(), 1)
        });
        let mut sums = TokenSums::default();
        for (features, targets) in features.iter().zip(&self.targets).take(seen as usize) {
            sums.push(features.clone(), Some(targets.clone()));
        }
        let moments = sums.moments(self.layer)?;
        let projection = moments.fit(&self.projection.weight, self.ridge);
        let projection = projection.map_err(unsolvable(self.layer))?;
        let missing =
            [0, 1].map(|part| self.targets[part].clone() - apply(&projection, &features[part]));
        Ok((projection, missing))
    }

    /// The values of one head after another, fitted to what is missing.
    fn sweep(
        &self,
        projection: &LinearMap,
        mut missing: Parts,
        seen: Seen,
        ridge: f64,
    ) -> Result<ValueMaps> {
        let device = missing[0].device();
        let mut maps = ValueMaps::new();
        for (head, (contexts, values)) in self.contexts.iter().zip(&self.values).enumerate() {
            let columns: Vec<usize> = self.layout.columns(Head(head)).collect();
            let projection = projection.of_inputs(&columns).weight;
            let inverse = on_device(&inverse(&projection), &device);
            let projection = on_device(&projection, &device);
            let mut sums = TokenSums::default();
            for (contexts, missing) in contexts.iter().zip(&missing).take(seen as usize) {
                let more = missing.clone().matmul(inverse.clone());
                sums.push(contexts.clone(), Some(apply(values, contexts) + more));
            }
            let moments = sums.moments(self.layer)?;
            let round = |map| round_map(map, self.store, &moments);
            let best = moments.best(values.clone(), ridge, round);
            let (nested, quantised, _) = best.map_err(unsolvable(self.layer))?;
            let change = LinearMap {
                weight: &nested.map.weight - &values.weight,
                bias: &nested.map.bias - &values.bias,
            };
            for (contexts, missing) in contexts.iter().zip(&mut missing).take(seen as usize) {
                let more = apply(&change, contexts).matmul(projection.clone());
                *missing = missing.clone() - more;
            }
            maps.push((nested.map, quantised));
        }
        Ok(maps)
    }
}

impl Fitting {
    /// Puts fitted values into the first matrix of a layer's attention, and into that of few bits.
    pub fn replace_values(
        &mut self,
        layer: usize,
        maps: ValueMaps,
        mut quantised: Option<&mut Quantised>,
    ) -> Result<()> {
        let shape = self.own.shape();
        let weight = Half::Attention.first_weight(&shape, layer);
        let mut map = linear(&self.own.layer_parameters(layer), &weight);
        let layout = shape.layer(layer).heads;
        for (head, (values, of_few_bits)) in maps.into_iter().enumerate() {
            let rows = layout.rows(Projection::Value, Head(head));
            if let (Some(quantised), Some(of_few_bits)) = (&mut quantised, of_few_bits) {
                quantised.replace_rows(rows.start, &of_few_bits);
            }
            map.replace_outputs(rows, &values);
        }
        self.replace_linear(layer, &weight, &map)
    }
}

/// `W^+ = W^T (W W^T)^-1`, damped.
fn inverse(projection: &Array2<f64>) -> Array2<f64> {
    let square = projection.dot(&projection.t());
    let mean = square.diag().mean().filter(|mean| *mean > 0.0).unwrap_or(1.0);
    let factor = Cholesky::of_penalised(&square, DAMPING * mean, mean);
    factor.expect("weights are finite").solve(projection.clone()).reversed_axes()
}

/// Rows of batches, of both parts.
#[derive(Clone, Default)]
struct Batches([Vec<Tensor<2>>; 2]);

impl Batches {
    fn join(self) -> Option<Parts> {
        let is_whole = self.0.iter().all(|batches| !batches.is_empty());
        is_whole.then(|| self.0.map(|batches| Tensor::cat(batches, 0)))
    }
}

/// `[tokens, inputs]` to `[tokens, outputs]`
fn apply(map: &LinearMap, rows: &Tensor<2>) -> Tensor<2> {
    let device = rows.device();
    let bias = map.bias.clone().insert_axis(ndarray::Axis(0));
    rows.clone().matmul(on_device(&map.weight, &device)) + on_device(&bias, &device)
}

fn on_device(matrix: &Array2<f64>, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = matrix.iter().map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(values, [matrix.nrows(), matrix.ncols()]), device)
}

fn mean_square(values: &Tensor<2>) -> f64 {
    let [mean] = fetch(values.clone().powi_scalar(2).mean())[..] else {
        unreachable!("a mean is one number")
    };
    f64::from(mean)
}
