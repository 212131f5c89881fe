//! What every head and hidden unit of an ancestor is worth.

use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::Checkpoint;
use learngene_clustering::density_order;
use learngene_format::{Curves, Distances, HeadOrder, LayerCurves, Point};
use learngene_least_squares::{LinearMap, Moments, NEGLIGIBLE, Selection, Sums};
use learngene_models::{Classifier, Model};
use learngene_shape::Parameter;
use learngene_tensors::{Result, StateDict};

use crate::{
    ancestor::{check_distances, check_parameters},
    depth::DepthErrors,
    images::Images,
    sensitivity::{Metric, metrics},
    sums::{push, unsolvable},
    tokens::{Half, Tokens},
};

/// Points of a curve of hidden units.
const POINTS: usize = 64;

/// By how much the errors of all layers together are more than their sum to first order. Measured on
/// ViT-S/14 (DINOv2) at 84 px with 51 and 34 % of its hidden units: 1.6 and 2.
const ADDED: f64 = 1.6;

/// What the heads and hidden units of an ancestor are worth to its last features, by images.
pub struct Worth {
    /// What smaller models lose.
    pub curves: Curves,
    pub(crate) metrics: Vec<[Metric; 2]>,
    pub(crate) heads_by: HeadOrder,
    /// `[layer]`: its heads by density.
    pub(crate) by_density: Vec<Vec<usize>>,
}

/// Measures what the features after the last layer lose with each head, hidden unit and layer.
///
/// Inside a layer, heads and hidden units come in the order in which forward selection takes them by
/// what they write; the output projection and the FFN's second matrix are fitted to those kept. An
/// error at a layer's output counts as much as it changes the last features, to first order.
///
/// # Shapes
/// - images: batches, each `[batch, 3, image_size, image_size]`, normalised; the same ones every time
///
/// # Errors
/// Distances of another ancestor; the images' own error; no image; images that are nearly blank;
/// tokens that are not finite.
pub fn measure<F, I, E>(
    ancestor: &Checkpoint,
    distances: &Distances,
    heads_by: HeadOrder,
    images: F,
    device: &Device,
) -> Result<Worth>
where
    F: Fn() -> I,
    I: IntoIterator<Item = Result<Tensor<4>, E>>,
    E: StdError,
{
    check_parameters(ancestor)?;
    check_distances(ancestor, distances)?;
    let model = Model::load(&ancestor.shape, &ancestor.parameters, device)?;
    let mut images = Images::new(images);
    let metrics = metrics(&model, &mut images, device)?;
    let mut tokens = Tokens::embed(&model, &mut images)?;
    let mut depth = DepthErrors::new(&ancestor.shape, images.count());
    let by_density: Vec<Vec<usize>> =
        distances.mean_attention_distance.iter().map(|layer| density_order(layer)).collect();
    let mut layers = Vec::new();
    for (layer, metrics) in metrics.iter().enumerate() {
        let shape = ancestor.shape.layer(layer);
        tokens.enter(&model, layer);
        let projection =
            linear(&ancestor.parameters, &Half::Attention.weight(&ancestor.shape, layer));
        let moments = pass(&model, layer, Half::Attention, &mut tokens)?;
        let moments = in_metric(moments, &projection, &metrics[0]);
        let width = shape.heads.head_dim;
        let selection = match heads_by {
            HeadOrder::Output => moments.forward_select(width, shape.heads.num_heads),
            HeadOrder::Density => moments.select_in_order(width, &by_density[layer]),
        };
        let heads = curve(&selection.map_err(unsolvable(layer))?, 1);

        let second = linear(&ancestor.parameters, &Half::Ffn.weight(&ancestor.shape, layer));
        let moments = pass(&model, layer, Half::Ffn, &mut tokens)?;
        let moments = in_metric(moments, &second, &metrics[1]);
        let units = shape.ffn.hidden_dim;
        let selection = moments.forward_select(1, units).map_err(unsolvable(layer))?;
        layers.push(LayerCurves { heads, neurons: curve(&selection, units.div_ceil(POINTS)) });
        depth.after_layer(&model, layer, &tokens);
    }
    Ok(Worth { curves: Curves { depth: depth.errors(), layers }, metrics, heads_by, by_density })
}

/// Moments of what a half of a layer reads last, and the tokens after it.
pub(crate) fn pass(
    model: &Model,
    layer: usize,
    half: Half,
    tokens: &mut Tokens,
) -> Result<Moments> {
    let mut sums = Sums::new(half.num_features(&model.shape(), layer), 0);
    for tokens in &tokens.0 {
        push(&mut sums, layer, half.features(model, layer, tokens.clone()), None)?;
    }
    tokens.replace(|tokens| half.run(model, layer, tokens));
    Ok(sums.moments())
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
