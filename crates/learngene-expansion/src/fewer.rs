//! Layers with fewer heads or hidden units than a learngene holds: the first ones, and the matrices that
//! were fitted for their number.

use learngene_format::{Learngene, is_nested, nested_names};
use learngene_least_squares::{Cholesky, LinearMap, NestedFit};
use learngene_shape::{LayerSizes, Parameter, Part, Place, select_units};
use learngene_tensors::{Error, Result, Tensor};

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

/// Checks that factors have a diagonal above 0, which a file's checksums do not.
pub(crate) fn check_factors(learngene: &Learngene) -> Result<()> {
    for weight in learngene.manifest().shape.parameters().iter().filter(|weight| is_nested(weight))
    {
        let [name, _] = nested_names(weight);
        let Some(factor) = learngene.tensors().get(&name) else { continue };
        let ends = (0..weight.axes[1].len()).map(|row| row * (row + 3) / 2);
        if let Some(end) = ends.into_iter().find(|end| factor.values[*end] <= 0.0) {
            let found = format!("{} on its diagonal", factor.values[end]);
            return Err(Error::invalid(name, found, "numbers above 0"));
        }
    }
    Ok(())
}

/// Weight and bias for the first inputs of a matrix; as they are where nothing is known of fewer.
fn first_inputs(learngene: &Learngene, weight: &Parameter, inputs: usize) -> [(String, Tensor); 2] {
    let values = |name: &str| &tensor(learngene, name).values;
    let wide = |name: &str| values(name).iter().copied().map(f64::from);
    let bias = weight.bias_name();
    let map = LinearMap::from_rows(values(&weight.name), values(&bias));
    let [factor, means] = nested_names(weight);
    let map = match learngene.tensors().get(&factor) {
        None => map.of_first(inputs),
        Some(_) => {
            let factor = Cholesky::from_packed(&wide(&factor).collect::<Vec<f64>>());
            let factor = factor.expect("a factor has a diagonal above 0");
            NestedFit { factor, feature_means: wide(&means).collect(), map }.of_first(inputs)
        }
    };
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
