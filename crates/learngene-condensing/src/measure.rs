//! What every head and hidden unit of an ancestor is worth.

use learngene_clustering::density_order;
use learngene_format::{Curves, Distances, HeadOrder, LayerCurves, Point};
use learngene_least_squares::{LinearMap, Moments, NEGLIGIBLE, Selection};
use learngene_models::{Classifier, Model};
use learngene_shape::Parameter;
use learngene_tensors::{Error, Result, StateDict};

use crate::{
    ProbeSettings, RunningAncestor,
    depth::{DepthErrors, LEAST_IMAGES},
    half::Half,
    images::{Images, Visit},
    probe::observe,
    sensitivity::{Metric, metrics},
    sums::{TokenSums, unsolvable},
    tokens::{TOKENS_PER_FEATURE, Tokens},
};

/// Points of a curve of hidden units.
const POINTS: usize = 64;

/// Tokens per feature that the images of a curve must give.
const LEAST_PER_FEATURE: usize = 4;

/// By how much the errors of all layers together are more than their sum to first order. Measured on
/// ViT-S/14 (DINOv2) at 84 px with 51 and 34 % of its hidden units: 1.6 and 2. The larger one
/// chooses the better depth at half the parameters.
const ADDED: f64 = 2.0;

/// What the heads and hidden units of an ancestor are worth to its last features, by images.
pub struct Worth {
    /// How far each head looks.
    pub distances: Distances,
    /// What smaller models lose.
    pub curves: Curves,
    pub(crate) metrics: Vec<[Metric; 2]>,
    pub(crate) heads_by: HeadOrder,
    /// `[layer]`: its heads by density.
    pub(crate) by_density: Vec<Vec<usize>>,
}

/// Probes an ancestor, and measures what the features after its last layer lose with each head, hidden
/// unit and layer.
///
/// Inside a layer, heads and hidden units come in the order in which forward selection takes them by
/// what they write; the output projection and the FFN's second matrix are fitted to those kept. An
/// error at a layer's output counts as much as it changes the last features, to first order.
///
/// # Errors
/// Those of [`probe`](crate::probe); fewer than 32 images; tokens that are not finite.
pub fn measure(
    ancestor: &RunningAncestor,
    settings: ProbeSettings,
    heads_by: HeadOrder,
    images: &mut Images<'_>,
) -> Result<Worth> {
    let RunningAncestor { model, checkpoint } = ancestor;
    let shape = &checkpoint.shape;
    let mut depth = DepthErrors::new(shape);
    let all = |visit: &mut Visit<'_>| images.each(visit);
    let distances = observe(model, settings, &model.device(), Some(&mut depth), all)?;
    let count = images.count() as usize;
    if count < LEAST_IMAGES {
        let expected = format!("at least {LEAST_IMAGES} to measure what a layer is worth");
        return Err(Error::invalid("number of images", count, expected));
    }
    let metrics = metrics(model, images, &depth.deviations())?;
    let depth = depth.errors();
    let by_density: Vec<Vec<usize>> =
        distances.mean_attention_distance.iter().map(|layer| density_order(layer)).collect();
    let mut tokens = Tokens::embed(model, images, LEAST_PER_FEATURE)?;
    let mut layers = Vec::new();
    for (layer, metrics) in metrics.iter().enumerate() {
        tokens.enter(model, layer);
        let (sizes, parameters) = (shape.layer(layer), model.layer_parameters(layer));
        let mut moments = |half: Half| -> Result<Moments> {
            let map = linear(&parameters, &half.weight(shape, layer));
            let moments = pass(model, layer, half, &mut tokens)?;
            Ok(in_metric(moments, &map, &metrics[half as usize]))
        };
        let of_heads = moments(Half::Attention)?;
        let width = sizes.heads.head_dim;
        let selection = match heads_by {
            HeadOrder::Output => of_heads.forward_select(width, sizes.heads.num_heads),
            HeadOrder::Density => of_heads.select_in_order(width, &by_density[layer]),
        };
        let heads = curve(&selection.map_err(unsolvable(layer))?, 1);
        let units = sizes.ffn.hidden_dim;
        let selection = moments(Half::Ffn)?.forward_select(1, units).map_err(unsolvable(layer))?;
        layers.push(LayerCurves { heads, neurons: curve(&selection, units.div_ceil(POINTS)) });
    }
    Ok(Worth { distances, curves: Curves { depth, layers }, metrics, heads_by, by_density })
}

/// Moments of what a half of a layer reads last; takes the tokens after it.
pub(crate) fn pass(
    model: &Model,
    layer: usize,
    half: Half,
    tokens: &mut Tokens,
) -> Result<Moments> {
    let drawn = tokens.drawn(TOKENS_PER_FEATURE * half.num_features(&model.shape(), layer));
    let mut sums = TokenSums::default();
    for (tokens, drawn) in tokens.0.iter_mut().zip(drawn) {
        let (features, next) = half.pass(model, layer, tokens.clone(), &drawn);
        sums.push(features, None);
        *tokens = next;
    }
    sums.moments(layer)
}

/// Moments with targets that are a map of the features, in a metric.
fn in_metric(moments: Moments, map: &LinearMap, metric: &Metric) -> Moments {
    let map = LinearMap { weight: map.weight.dot(metric), bias: map.bias.dot(metric) };
    moments.with_targets_of(&map)
}

/// What is left after every so many groups, and after all.
fn curve(selection: &Selection, step: usize) -> Vec<Point> {
    let all = selection.order.len();
    let kept = (1..all.div_ceil(step)).map(|index| index * step).chain([all]);
    let negligible = NEGLIGIBLE * selection.left[0];
    let error = |kept: usize| match selection.left[kept] {
        // With everything kept nothing is lost but what rounding makes of it.
        left if kept == all || left <= negligible => 0.0,
        left => ADDED * left,
    };
    kept.map(|kept| Point { kept, error: error(kept) }).collect()
}

/// The linear layer of a weight.
pub(crate) fn linear(parameters: &StateDict, weight: &Parameter) -> LinearMap {
    let values = |name: &str| {
        let tensor = parameters.get(name);
        &tensor.expect("the ancestor has all its parameters").values
    };
    LinearMap::from_rows(values(&weight.name), values(&weight.bias_name()))
}
