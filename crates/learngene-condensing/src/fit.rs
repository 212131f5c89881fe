//! Layers cut to size one after another, each fitted on the tokens that those before it leave.

use std::collections::BTreeMap;

use learngene_format::{Fit, LayerFits, Residual, Store, nested_names};
use learngene_least_squares::{self as least_squares, LinearMap, Moments, NestedFit};
use learngene_models::{Classifier, Model};
use learngene_shape::Parameter;
use learngene_tensors::{Quantised, Result, StateDict, Tensor};

use crate::{
    FitOptions,
    half::Half,
    measure::linear,
    rounding::{are_rounded_by_inputs, round_map},
    sums::{TokenSums, unsolvable},
    tokens::{TOKENS_PER_FEATURE, Tokens},
};

/// A model whose layers are cut and fitted to those of an ancestor, from the first on. Of both, the
/// layers that are done are forgotten.
pub(crate) struct Fitting {
    pub ancestor: Model,
    /// The model, with what was fitted so far.
    pub own: Model,
    /// Tokens of the ancestor, and of the model.
    pub tokens: [Tokens; 2],
    pub ridge: f64,
    /// How the file stores values.
    pub store: Store,
    /// Whether the file holds what a matrix is for fewer inputs.
    pub any_size: bool,
    /// Whether nothing of the ancestor was left out or rounded so far, so that there is nothing to make
    /// up for.
    pub is_whole: bool,
}

/// Layers that were cut and fitted.
#[derive(Default)]
pub(crate) struct Fitted {
    /// Their parameters, by the names of the format.
    pub tensors: StateDict,
    /// Of these the ones of few bits.
    pub quantised: BTreeMap<String, Quantised>,
    /// `[layer]`: the heads that are kept, in their order.
    pub heads: Vec<Vec<usize>>,
    pub fits: Vec<LayerFits>,
}

/// Which heads or hidden units a layer keeps, in their order, by the moments of all.
pub(crate) type Keep<'k> = dyn FnMut(usize, Half, &Moments) -> Result<Vec<usize>> + 'k;

impl Fitting {
    /// Starts with the tokens of the chosen images.
    pub fn new(
        ancestor: Model,
        own: Model,
        tokens: Tokens,
        options: FitOptions,
        store: Store,
    ) -> Self {
        Self {
            ancestor,
            own,
            tokens: [tokens.clone(), tokens],
            ridge: options.ridge,
            store,
            any_size: options.any_size,
            is_whole: store.of_matrices().is_none(),
        }
    }

    /// Fits so many of the first layers.
    pub fn run(mut self, depth: usize, keep: &mut Keep<'_>) -> Result<Fitted> {
        let mut fitted = Fitted::default();
        for layer in 0..depth {
            self.tokens[0].enter(&self.ancestor, layer);
            self.tokens[1].enter(&self.own, layer);
            let (heads, attention) = self.fit(layer, Half::Attention, keep, &mut fitted)?;
            let (_, ffn) = self.fit(layer, Half::Ffn, keep, &mut fitted)?;
            fitted.tensors.extend(self.own.layer_parameters(layer));
            fitted.heads.push(heads);
            fitted.fits.push(LayerFits { attention, ffn });
            self.ancestor.forget_layer(layer);
            self.own.forget_layer(layer);
        }
        Ok(fitted)
    }

    /// Cuts and fits one half of a layer; says which groups it keeps and how well it was fitted. Gives
    /// matrices of few bits, and tensors for fewer inputs.
    fn fit(
        &mut self,
        layer: usize,
        half: Half,
        keep: &mut Keep<'_>,
        fitted: &mut Fitted,
    ) -> Result<(Vec<usize>, Fit)> {
        let shape = self.own.shape();
        let first = self.round_first(layer, half)?;
        let moments = self.moments(layer, half)?;
        let kept = keep(layer, half, &moments)?;
        let inputs = half.features_of(&shape, layer, &kept);
        let moments = moments.of(&inputs);
        let mut parameters = self.own.layer_parameters(layer);
        let weight = half.weight(&shape, layer);
        let prior = linear(&parameters, &weight).of_inputs(&inputs);
        self.is_whole &= inputs.len() == half.num_features(&self.ancestor.shape(), layer);
        let best = match self.is_whole {
            true => moments.unchanged(prior, self.ridge).map(|(nested, fit)| (nested, None, fit)),
            false => moments.best(prior, self.ridge, |map| round_map(map, self.store, &moments)),
        };
        let (nested, of_weight, fit) = best.map_err(unsolvable(layer))?;
        drop(moments);

        parameters.extend(half.cut(&parameters, &shape, layer, &kept).collect::<Vec<_>>());
        let names = [weight.name.clone(), weight.bias_name()];
        parameters.extend(names.into_iter().zip(tensors_of(&nested.map)));
        let mut sizes = shape.layer_sizes()[layer];
        match half {
            Half::Attention => sizes.num_heads = kept.len(),
            Half::Ffn => sizes.hidden_dim = kept.len(),
        }
        self.own.replace_layer(layer, sizes, parameters)?;
        let (own, [_, tokens]) = (&self.own, &mut self.tokens);
        tokens.replace(|tokens| half.run(own, layer, tokens));

        let first = first.map(|(matrix, quantised)| {
            let rows = half.rows_of(&matrix, &kept);
            (matrix.name, quantised.select_rows(&rows))
        });
        fitted.quantised.extend(first);
        if self.any_size {
            let names = nested_names(&weight).into_iter();
            fitted.tensors.extend(names.zip(tensors_of_factor(&nested)));
        }
        fitted.quantised.extend(of_weight.map(|of| (weight.name, of)));
        Ok((kept, fit_of(&fit)))
    }

    /// Rounds the first matrix of a half, where the file has it in few bits, in the model too. Heads and
    /// hidden units are cut from it later: its rows are rounded each for itself.
    fn round_first(&mut self, layer: usize, half: Half) -> Result<Option<(Parameter, Quantised)>> {
        let Some(grid) = self.store.of_matrices() else { return Ok(None) };
        let shape = self.own.shape();
        let weight = half.first_weight(&shape, layer);
        let mut parameters = self.own.layer_parameters(layer);
        let map = linear(&parameters, &weight);
        let (map, quantised) = if are_rounded_by_inputs(self.store) {
            let mut sums = TokenSums::default();
            let tokens = &self.tokens[1];
            let drawn = tokens.drawn(TOKENS_PER_FEATURE * shape.layer(layer).embed_dim);
            for (tokens, drawn) in tokens.0.iter().zip(drawn) {
                let tokens = drawn.of(tokens.clone()).unsqueeze_dim(0);
                sums.push(self.own.normed(layer, half.part(), tokens).squeeze_dim(0), None);
            }
            let (map, quantised) = round_map(map, self.store, &sums.moments(layer)?);
            (map, quantised.expect("the store has few bits"))
        } else {
            let [weight, bias] = tensors_of(&map);
            let quantised = Quantised::nearest(grid, &weight);
            (LinearMap::from_rows(&quantised.tensor().values, &bias.values), quantised)
        };
        let names = [weight.name.clone(), weight.bias_name()];
        parameters.extend(names.into_iter().zip(tensors_of(&map)));
        self.own.replace_layer(layer, shape.layer_sizes()[layer], parameters)?;
        Ok(Some((weight, quantised)))
    }

    /// Moments of what a half of a layer reads last, for targets that bring the model's tokens to the
    /// ancestor's after it; takes the ancestor's tokens there.
    fn moments(&mut self, layer: usize, half: Half) -> Result<Moments> {
        let features = half.num_features(&self.own.shape(), layer);
        let drawn = self.tokens[0].drawn(TOKENS_PER_FEATURE * features);
        let mut sums = TokenSums::default();
        let [of_ancestor, own] = &mut self.tokens;
        for ((of_ancestor, own), drawn) in of_ancestor.0.iter_mut().zip(&own.0).zip(drawn) {
            *of_ancestor = half.run(&self.ancestor, layer, of_ancestor.clone());
            let features = half.features(&self.own, layer, own.clone(), &drawn);
            let targets = drawn.of(of_ancestor.clone()) - drawn.of(own.clone());
            sums.push(features, Some(targets));
        }
        sums.moments(layer)
    }
}

fn fit_of(fit: &least_squares::Fit) -> Fit {
    let residual = |of: least_squares::Residual| Residual {
        relative: of.relative,
        median_channel: of.median_channel,
        worst_channel: of.worst_channel,
    };
    Fit { before: residual(fit.before), after: residual(fit.after) }
}

/// Weight and bias as a checkpoint has them.
fn tensors_of(map: &LinearMap) -> [Tensor; 2] {
    let (inputs, outputs) = map.weight.dim();
    let [weight, bias] = map.to_rows();
    [Tensor::new([outputs, inputs], weight), Tensor::new([outputs], bias)]
}

/// The factor and the means of a nested fit. Fits do not depend on the factor's scale, so it is such
/// that its diagonal is 1 on average and any number format holds it.
fn tensors_of_factor(nested: &NestedFit) -> [Tensor; 2] {
    let packed = nested.factor.packed();
    let scale = nested.factor.lower().diag().mean().unwrap_or(1.0);
    let factor: Vec<f32> = packed.iter().map(|value| (value / scale) as f32).collect();
    let means: Vec<f32> = nested.feature_means.iter().map(|mean| *mean as f32).collect();
    [Tensor::new([factor.len()], factor), Tensor::new([means.len()], means)]
}
