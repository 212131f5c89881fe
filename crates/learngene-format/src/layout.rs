//! The tensors of a learngene: all follow from the parameters of its centroid model.

use std::collections::BTreeMap;

use learngene_shape::{Axis, Parameter, Part, Place, Shape};
use learngene_tensors::{Result, Sha256};

use crate::{Manifest, Parameters, TensorEntry, header};

impl Manifest {
    /// The ancestor's shape with the kept heads alone: that of the *centroid model*, whose tensors a
    /// learngene holds.
    ///
    /// # Panics
    /// Panics where the clusters are not those of the ancestor, which [`Manifest::check`] refuses.
    pub fn centroid_shape(&self) -> Shape {
        let kept = self.clusters.heads.num_centroids();
        let shape = self.ancestor.shape.with_num_heads(&kept);
        shape.expect("each layer keeps at least one of its heads")
    }

    /// The layer under whose names the FFN of a layer is stored: the representative of its group.
    ///
    /// # Panics
    /// Panics where the ancestor is not so deep.
    pub fn ffn_layer(&self, layer: usize) -> usize {
        self.clusters.ffn.group_of(layer).representative
    }

    /// Whether a parameter of the centroid model is stored under its name: all are but those of FFNs
    /// for which another layer's stands, and of a classifier that is not kept.
    pub fn stores(&self, parameter: &Parameter) -> bool {
        match parameter.place {
            Place::Classifier => self.classifier,
            Place::Layer { layer, part: Part::Ffn } => self.ffn_layer(layer) == layer,
            _ => true,
        }
    }

    /// Name and shape of every tensor that a learngene of this manifest holds, no more and no less.
    ///
    /// [`Manifest::parameters`] and [`Manifest::tensors`] are not looked at, so a manifest whose
    /// tensors are still to be made will do.
    ///
    /// # Errors
    /// Those of [`Manifest::check`].
    pub fn expected_tensors(&self) -> Result<BTreeMap<String, Vec<usize>>> {
        self.check()?;
        let parameters = self.centroid_shape().parameters().into_iter();
        let stored = parameters.filter(|parameter| self.stores(parameter));
        let mut tensors: BTreeMap<_, _> = stored.map(|p| (p.name.clone(), p.shape())).collect();
        for projection in &output_projections(&self.ancestor.shape) {
            let Some(layer) = projection.place.layer() else { continue };
            if self.keep_projection {
                tensors.insert(origin_name(projection), projection.shape());
            }
            let embed_dim = projection.axes[0].len();
            let head_dim = self.ancestor.shape.layer(layer).heads.head_dim;
            for fit in self.refit.iter().flat_map(|refit| &refit.attention[layer][1..]) {
                let [weight, bias] = first_names(projection, fit.heads);
                tensors.insert(weight, vec![embed_dim, fit.heads * head_dim]);
                tensors.insert(bias, vec![embed_dim]);
            }
        }
        Ok(tensors)
    }

    /// Bytes of the file of a learngene of this manifest, whatever values its tensors hold. What
    /// [`Manifest::expected_tensors`] does not look at is not looked at here either.
    ///
    /// # Errors
    /// Those of [`Manifest::check`]; tensors that no file holds.
    pub fn file_length(&self) -> Result<u64> {
        let shapes = self.expected_tensors()?;
        // All hashes are equally long.
        let entry = TensorEntry { sha256: Sha256::of(&[]) };
        let manifest = Self {
            parameters: Parameters::of(&shapes),
            tensors: shapes.keys().map(|name| (name.clone(), entry.clone())).collect(),
            ..self.clone()
        };
        let header = header::encode(&manifest, &shapes)?.len() as u64;
        Ok(header + manifest.parameters.stored * self.dtype.size() as u64)
    }
}

impl Parameters {
    /// Of tensors of these shapes.
    pub(crate) fn of(shapes: &BTreeMap<String, Vec<usize>>) -> Self {
        let count = |shape: &Vec<usize>| shape.iter().map(|length| *length as u64).product::<u64>();
        Self { stored: shapes.values().map(count).sum() }
    }
}

/// The weights of the output projections of a model's layers, in their order.
pub fn output_projections(shape: &Shape) -> Vec<Parameter> {
    shape.parameters().into_iter().filter(is_output_projection).collect()
}

/// Whether a parameter is the weight of a layer's output projection: it reads the heads' outputs.
pub fn is_output_projection(parameter: &Parameter) -> bool {
    let is_read = |axis: &Axis| matches!(axis, Axis::Heads { roles: 1, .. });
    parameter.reads(1) && is_read(&parameter.axes[1])
}

/// Name under which the ancestor's whole output projection is stored, with the columns of all its
/// heads.
///
/// # Panics
/// Panics for a parameter that is no weight.
pub fn origin_name(projection: &Parameter) -> String {
    format!("{}.origin.weight", module(projection))
}

/// Names under which the weight and the bias of an output projection are stored that was fitted for
/// the first so many centroids alone, in order of priority.
///
/// # Panics
/// Panics for a parameter that is no weight.
pub fn first_names(projection: &Parameter, heads: usize) -> [String; 2] {
    ["weight", "bias"].map(|tensor| format!("{}.first.{heads}.{tensor}", module(projection)))
}

/// Name of the bias that goes with a weight.
///
/// # Panics
/// Panics for a parameter that is no weight.
pub fn bias_name(weight: &Parameter) -> String {
    format!("{}.bias", module(weight))
}

/// What comes before the last part of a weight's name.
fn module(weight: &Parameter) -> &str {
    weight.name.strip_suffix(".weight").expect("a weight's name says so")
}
