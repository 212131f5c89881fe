//! Layers with fewer heads or hidden units than a learngene holds: the first ones, and the matrices that
//! were fitted for their number.

use learngene_format::{Learngene, nested_names};
use learngene_least_squares::{Cholesky, LinearMap, NestedFit};
use learngene_shape::{LayerSizes, Parameter, Part, Place, select_units};
use learngene_tensors::Tensor;

use crate::assemble::Substitute;

/// What is read instead of the parameters of a layer of a learngene where fewer heads or hidden units are
/// wanted than it has, by the names of these. `heads` are the slots' heads.
pub(crate) fn fewer_inputs(
    learngene: &Learngene,
    layer: usize,
    wanted: LayerSizes,
    heads: &[usize],
) -> Vec<(String, Substitute)> {
    let (shape, ffn_layer) = (&learngene.manifest().shape, learngene.manifest().ffn_layer(layer));
    let held = shape.layer_sizes()[layer];
    let sizes = LayerSizes {
        num_heads: wanted.num_heads.min(held.num_heads),
        hidden_dim: wanted.hidden_dim.min(held.hidden_dim),
    };
    let units: Vec<usize> = (0..sizes.hidden_dim).collect();
    let substitute = |tensor| Substitute { tensor, sizes, heads: heads.to_vec() };
    let mut substitutes = Vec::new();
    let is_of_ffn =
        |parameter: &Parameter| matches!(parameter.place, Place::Layer { part: Part::Ffn, .. });
    let ffn = shape.layer_parameters(ffn_layer).into_iter().filter(is_of_ffn);
    for parameter in shape.layer_parameters(layer).into_iter().filter(|p| !is_of_ffn(p)).chain(ffn)
    {
        if sizes.num_heads < held.num_heads && parameter.is_output_projection() {
            let head_dim = shape.layer(layer).heads.head_dim;
            substitutes.extend(first_inputs(learngene, &parameter, sizes.num_heads * head_dim));
        } else if sizes.hidden_dim < held.hidden_dim && parameter.is_second_ffn_matrix() {
            substitutes.extend(first_inputs(learngene, &parameter, sizes.hidden_dim));
        } else if sizes.hidden_dim < held.hidden_dim && is_of_ffn(&parameter) {
            let cut = select_units(&parameter, tensor(learngene, &parameter.name), &units);
            // The bias of the second matrix has no hidden units, and comes with it.
            if cut.shape != parameter.shape() {
                substitutes.push((parameter.name, cut));
            }
        }
    }
    substitutes.into_iter().map(|(name, tensor)| (name, substitute(tensor))).collect()
}

/// Weight and bias for the first inputs of a matrix.
fn first_inputs(learngene: &Learngene, weight: &Parameter, inputs: usize) -> [(String, Tensor); 2] {
    let values = |name: &str| &tensor(learngene, name).values;
    let [factor, means] = nested_names(weight);
    let factor: Vec<f64> = values(&factor).iter().copied().map(f64::from).collect();
    let bias = weight.bias_name();
    let nested = NestedFit {
        factor: Cholesky::from_packed(&factor).expect("a factor has a diagonal above 0"),
        feature_means: values(&means).iter().copied().map(f64::from).collect(),
        map: LinearMap::from_rows(values(&weight.name), values(&bias)),
    };
    let map = nested.of_first(inputs);
    let [weights, biases] = map.to_rows();
    let outputs = biases.len();
    [
        (weight.name.clone(), Tensor::new([outputs, inputs], weights)),
        (bias, Tensor::new([outputs], biases)),
    ]
}

fn tensor<'a>(learngene: &'a Learngene, name: &str) -> &'a Tensor {
    learngene.tensors().get(name).expect("a learngene has its layers' tensors")
}
