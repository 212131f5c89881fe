//! What is fitted of a learngene, and the fit of one matrix from its moments.

use burn::{
    module::Param,
    nn,
    tensor::{Tensor, TensorData},
};
use learngene_format::{
    Fit, Learngene, ProjectionFit, Residual, bias_name, first_names, output_projections,
};
use learngene_least_squares::{self as least_squares, LinearMap, Moments};
use learngene_models::Model;
use learngene_shape::{Parameter, Shape};
use learngene_tensors::{Result, StateDict, Tensor as HostTensor};

use super::params::RefitParams;
use crate::{sums::unsolvable, tensor_sources::second_matrix};

/// What was fitted so far.
pub(super) struct Fitting<'a> {
    pub learngene: &'a Learngene,
    params: &'a RefitParams,
    pub ancestor: &'a Model,
    /// The model of centroid heads, with what was fitted so far.
    pub own: Model,
    /// Shape of that model.
    pub shape: Shape,
    /// `[layer]`: the weight of the output projection.
    projections: Vec<Parameter>,
    /// The fitted tensors, by the names of the format.
    pub tensors: StateDict,
    /// `[layer]`: of all centroids, then of fewer.
    pub attention: Vec<Vec<ProjectionFit>>,
    /// `[group]`
    pub ffn: Vec<Option<Fit>>,
}

impl<'a> Fitting<'a> {
    pub fn new(
        learngene: &'a Learngene,
        params: &'a RefitParams,
        ancestor: &'a Model,
        own: Model,
    ) -> Self {
        let shape = learngene.manifest().centroid_shape();
        Self {
            learngene,
            params,
            ancestor,
            own,
            projections: output_projections(&shape),
            tensors: StateDict::default(),
            attention: vec![Vec::new(); shape.depth()],
            ffn: vec![None; learngene.manifest().clusters.ffn.groups.len()],
            shape,
        }
    }

    /// Fits the projection of a layer's centroids, and of fewer.
    pub fn fit_projection(&mut self, layer: usize, moments: &Moments) -> Result<()> {
        let heads = self.shape.layer(layer).heads;
        let projection = self.projections[layer].clone();
        let prior = self.stored(&projection);

        let mut targets = self.params.target_heads.clone();
        targets.retain(|target| *target < heads.num_heads);
        targets.push(heads.num_heads);
        targets.sort_unstable_by(|fewer, more| more.cmp(fewer));
        targets.dedup();
        self.attention[layer].clear();
        for target in targets {
            let inputs = target * heads.head_dim;
            let (map, fit) = self.best(layer, &moments.of_first(inputs), prior.of_first(inputs))?;
            let is_whole = target == heads.num_heads;
            let names = match is_whole {
                true => [projection.name.clone(), bias_name(&projection)],
                false => first_names(&projection, target),
            };
            self.tensors.extend(names.into_iter().zip(tensors(&map)));
            self.attention[layer].push(ProjectionFit { heads: target, fit });
            if is_whole {
                replace(self.own.linears_mut(layer).proj, &map);
            }
        }
        Ok(())
    }

    /// Fits the second matrix of a group's FFN.
    pub fn fit_second(&mut self, group: usize, moments: &Moments) -> Result<()> {
        let learngene = self.learngene;
        let of = &learngene.manifest().clusters.ffn.groups[group];
        let second = second_matrix(&self.shape, of.representative);
        let (map, fit) = self.best(of.layers[0], moments, self.stored(&second))?;
        let names = [second.name.clone(), bias_name(&second)];
        self.tensors.extend(names.into_iter().zip(tensors(&map)));
        self.ffn[group] = Some(fit);
        for &layer in &of.layers {
            replace(self.own.linears_mut(layer).fc2, &map);
        }
        Ok(())
    }

    /// The linear layer of a weight, as it was condensed.
    fn stored(&self, weight: &Parameter) -> LinearMap {
        let values = |name: &str| {
            let tensor = self.learngene.tensors().get(name);
            &tensor.expect("a learngene has its layers' tensors").values
        };
        LinearMap::from_rows(values(&weight.name), values(&bias_name(weight)))
    }

    /// The fitted map as the file can hold it, or the ancestor's where that does as well.
    fn best(&self, layer: usize, moments: &Moments, prior: LinearMap) -> Result<(LinearMap, Fit)> {
        let dtype = self.learngene.manifest().dtype;
        let best = moments.best(prior, self.params.ridge, |values| dtype.round(values));
        let (map, fit) = best.map_err(unsolvable(layer))?;
        let residual = |of: least_squares::Residual| Residual {
            relative: of.relative,
            median_channel: of.median_channel,
            worst_channel: of.worst_channel,
        };
        Ok((map, Fit { before: residual(fit.before), after: residual(fit.after) }))
    }
}

/// Weight and bias as a checkpoint has them.
fn tensors(map: &LinearMap) -> [HostTensor; 2] {
    let (inputs, outputs) = map.weight.dim();
    let [weight, bias] = map.to_rows();
    [HostTensor::new([outputs, inputs], weight), HostTensor::new([outputs], bias)]
}

/// Gives a linear layer another matrix and bias.
fn replace(linear: &mut nn::Linear, map: &LinearMap) {
    let device = linear.weight.val().device();
    let (shape, [weight, bias]) = (map.weight.dim(), map.to_columns());
    let weight = TensorData::new(weight, [shape.0, shape.1]);
    let bias = TensorData::new(bias, [shape.1]);
    linear.weight = Param::from_tensor(Tensor::from_data(weight, &device));
    linear.bias = Some(Param::from_tensor(Tensor::from_data(bias, &device)));
}
