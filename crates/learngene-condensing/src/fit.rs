//! Layers cut to size one after another, each fitted on the tokens that those before it leave.

use std::collections::BTreeMap;

use learngene_format::{Fit, LayerFits, Residual, Store, nested_names};
use learngene_least_squares::{self as least_squares, LinearMap, Moments, NestedFit, Sums};
use learngene_models::{Classifier, Model};
use learngene_shape::{
    Head, LayerSizes, Parameter, Part, Place, Shape, select_heads, select_units,
};
use learngene_tensors::{Quantised, Result, StateDict, Tensor};

use crate::{
    measure::linear,
    rounding::{are_rounded_by_inputs, round_map},
    sums::{push, unsolvable},
    tokens::{Half, Tokens},
};

/// A model whose layers are cut and fitted to those of an ancestor, from the first on.
pub(crate) struct Fitting<'a> {
    pub ancestor: &'a Model,
    /// Tokens of the ancestor, and of the model.
    pub tokens: [Tokens; 2],
    /// The model, with what was fitted so far.
    pub own: Model,
    /// Its parameters before anything was cut or fitted.
    pub parameters: &'a StateDict,
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

/// The first matrix of a half of a layer in few bits.
struct FirstMatrix {
    /// Name of its weight.
    weight: String,
    /// Weight and bias.
    tensors: StateDict,
    /// The weight.
    quantised: Quantised,
}

impl Fitting<'_> {
    /// Fits so many of the first layers.
    pub fn run(mut self, depth: usize, keep: &mut Keep<'_>) -> Result<Fitted> {
        let mut fitted = Fitted::default();
        for layer in 0..depth {
            self.tokens[0].enter(self.ancestor, layer);
            self.tokens[1].enter(&self.own, layer);
            let (heads, attention) = self.fit(layer, Half::Attention, keep, &mut fitted)?;
            let (_, ffn) = self.fit(layer, Half::Ffn, keep, &mut fitted)?;
            fitted.heads.push(heads);
            fitted.fits.push(LayerFits { attention, ffn });
        }
        Ok(fitted)
    }

    /// Cuts and fits one half of a layer; says which groups it keeps and how well it was fitted.
    fn fit(
        &mut self,
        layer: usize,
        half: Half,
        keep: &mut Keep<'_>,
        fitted: &mut Fitted,
    ) -> Result<(Vec<usize>, Fit)> {
        let shape = self.own.shape();
        let first = self.round_first(layer, half, &fitted.tensors)?;
        let Fitted { tensors, quantised, .. } = fitted;
        let moments = self.moments(layer, half)?;
        let kept = keep(layer, half, &moments)?;
        let inputs = half.features_of(&shape, layer, &kept);
        let weight = half.weight(&shape, layer);
        let prior = linear(self.parameters, &weight).of_inputs(&inputs);
        let all = half.num_features(&self.ancestor.shape(), layer);
        self.is_whole &= inputs.len() == all;
        let moments = moments.of(&inputs);
        let best = match self.is_whole {
            true => moments.unchanged(prior, self.ridge).map(|(nested, fit)| (nested, None, fit)),
            false => moments.best(prior, self.ridge, |map| round_map(map, self.store, &moments)),
        };
        let (nested, of_weight, fit) = best.map_err(unsolvable(layer))?;
        drop(moments);
        quantised.extend(of_weight.map(|of| (weight.name.clone(), of)));

        let mut sizes = shape.layer_sizes()[layer];
        let of_half = shape.layer_parameters(layer).into_iter();
        for parameter in of_half.filter(|parameter| half.owns(parameter)) {
            let of_first = first.as_ref().and_then(|first| first.tensors.get(&parameter.name));
            let tensor = of_first.or(self.parameters.get(&parameter.name));
            let tensor = tensor.expect("a model has all its parameters");
            tensors.insert(parameter.name.clone(), half.cut(&parameter, tensor, &kept));
            if let Some(first) = first.as_ref().filter(|first| first.weight == parameter.name) {
                let rows = half.cut_rows(&parameter, &kept);
                quantised.insert(parameter.name, first.quantised.select_rows(&rows));
            }
        }
        match half {
            Half::Attention => sizes.num_heads = kept.len(),
            Half::Ffn => sizes.hidden_dim = kept.len(),
        }
        let names = [weight.name.clone(), weight.bias_name()];
        tensors.extend(names.into_iter().zip(tensors_of(&nested.map)));
        if self.any_size {
            tensors.extend(nested_names(&weight).into_iter().zip(nested_tensors(&nested)));
        }

        self.replace_layer(layer, sizes, &[tensors])?;
        let (own, [_, tokens]) = (&self.own, &mut self.tokens);
        tokens.replace(|tokens| half.run(own, layer, tokens));
        Ok((kept, fit_of(&fit)))
    }

    /// Rounds the first matrix of a half, where the file has it in few bits, in the model too. Heads and
    /// hidden units are cut from it later: its rows are rounded each for itself.
    fn round_first(
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

    /// Replaces a layer of the model. Parameters are the first of their name; what nobody has stays as
    /// it was before the fits.
    fn replace_layer(
        &mut self,
        layer: usize,
        sizes: LayerSizes,
        tensors: &[&StateDict],
    ) -> Result<()> {
        let parameters = self.own.shape().layer_parameters(layer).into_iter().map(|parameter| {
            let mut found = tensors.iter().filter_map(|tensors| tensors.get(&parameter.name));
            let tensor = found.next().or(self.parameters.get(&parameter.name));
            (parameter.name, tensor.expect("a model has all its parameters").clone())
        });
        self.own.replace_layer(layer, sizes, &parameters.collect())
    }

    /// Moments of what a half of a layer reads last, for targets that bring the model's tokens to the
    /// ancestor's after it; takes the ancestor's tokens there.
    fn moments(&mut self, layer: usize, half: Half) -> Result<Moments> {
        let shape = self.own.shape();
        let mut sums = Sums::new(half.num_features(&shape, layer), shape.layer(layer).embed_dim);
        let [of_ancestor, own] = &mut self.tokens;
        for (of_ancestor, own) in of_ancestor.0.iter_mut().zip(&own.0) {
            *of_ancestor = half.run(self.ancestor, layer, of_ancestor.clone());
            let features = half.features(&self.own, layer, own.clone());
            push(&mut sums, layer, features, Some(of_ancestor.clone() - own.clone()))?;
        }
        Ok(sums.moments())
    }
}

impl Half {
    /// Number of features that its last matrix reads.
    pub fn num_features(self, shape: &Shape, layer: usize) -> usize {
        let layer = shape.layer(layer);
        match self {
            Self::Attention => layer.heads.attention_dim(),
            Self::Ffn => layer.ffn.hidden_dim,
        }
    }

    /// Features of some heads, or of some hidden units.
    fn features_of(self, shape: &Shape, layer: usize, groups: &[usize]) -> Vec<usize> {
        match self {
            Self::Attention => {
                let heads = shape.layer(layer).heads;
                groups.iter().flat_map(|head| heads.columns(Head(*head))).collect()
            }
            Self::Ffn => groups.to_vec(),
        }
    }

    /// Its last matrix.
    pub fn weight(self, shape: &Shape, layer: usize) -> Parameter {
        let last = shape.layer_parameters(layer).into_iter().find(|of| self.ends_in(of));
        last.expect("each half of a layer ends in a matrix")
    }

    /// Its first matrix, which reads the tokens after the norm.
    pub fn first_weight(self, shape: &Shape, layer: usize) -> Parameter {
        let is_first = |of: &Parameter| of.is_layer_matrix() && self.owns(of) && !self.ends_in(of);
        let first = shape.layer_parameters(layer).into_iter().find(is_first);
        first.expect("each half of a layer begins with a matrix")
    }

    fn ends_in(self, parameter: &Parameter) -> bool {
        match self {
            Self::Attention => parameter.is_output_projection(),
            Self::Ffn => parameter.is_second_ffn_matrix(),
        }
    }

    /// A parameter with some heads or hidden units alone, in this order.
    fn cut(self, parameter: &Parameter, tensor: &Tensor, groups: &[usize]) -> Tensor {
        match self {
            Self::Attention => select_heads(parameter, tensor, groups),
            Self::Ffn => select_units(parameter, tensor, groups),
        }
    }

    /// The rows of a matrix that [`Half::cut`] takes.
    fn cut_rows(self, matrix: &Parameter, groups: &[usize]) -> Vec<usize> {
        let rows = Parameter { axes: vec![matrix.axes[0]], ..matrix.clone() };
        let numbers = (0..rows.count()).map(|row| row as f32).collect();
        let cut = self.cut(&rows, &Tensor::new(rows.shape(), numbers), groups);
        cut.values.into_iter().map(|row| row as usize).collect()
    }

    /// Whether a parameter is one of its norm or its own.
    fn owns(self, parameter: &Parameter) -> bool {
        let Place::Layer { part, .. } = parameter.place else { return false };
        match self {
            Self::Attention => matches!(part, Part::Norm1 | Part::Attention),
            Self::Ffn => matches!(part, Part::Norm2 | Part::Ffn),
        }
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
fn nested_tensors(nested: &NestedFit) -> [Tensor; 2] {
    let packed = nested.factor.packed();
    let scale = nested.factor.lower().diag().mean().unwrap_or(1.0);
    let factor: Vec<f32> = packed.iter().map(|value| (value / scale) as f32).collect();
    let means: Vec<f32> = nested.feature_means.iter().map(|mean| *mean as f32).collect();
    [Tensor::new([factor.len()], factor), Tensor::new([means.len()], means)]
}
