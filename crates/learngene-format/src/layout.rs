//! The tensors of a learngene: all follow from the parameters of its centroid model.

use std::collections::BTreeMap;

use learngene_shape::{Parameter, Part, Place, Shape};
use learngene_tensors::{Result, Sha256};

use crate::{
    Manifest, Parameters, TensorEntry, header,
    store::{Held, Layout, Store, num_bytes, stored},
};

impl Manifest {
    /// The layer under whose names the FFN of a layer of the centroid model is stored: the
    /// representative of its group.
    ///
    /// # Panics
    /// Panics where the model is not so deep.
    pub fn ffn_layer(&self, layer: usize) -> usize {
        match self.clusters.ffn.group_of(self.layers[layer]) {
            // Layers share FFNs only where all of the ancestor's are kept.
            group if group.layers.len() > 1 => group.representative,
            _ => layer,
        }
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
        let layout = self.layout()?.into_iter();
        Ok(layout.map(|(name, held)| (name, held.shape)).collect())
    }

    /// [`Manifest::expected_tensors`], and how each is stored.
    pub(crate) fn layout(&self) -> Result<Layout> {
        self.check()?;
        let parameters = self.shape.parameters().into_iter();
        let stored = parameters.filter(|parameter| self.stores(parameter));
        let any_size = self.refit.as_ref().is_some_and(|refit| refit.any_size);
        let mut layout = layout_of(stored, self.store, any_size);
        if self.keep_projection {
            let grid = self.store.of_matrices();
            for (layer, projection) in output_projections(&self.ancestor.shape).iter().enumerate() {
                if let Some(layer) = self.layers.iter().position(|from| *from == layer) {
                    let name = origin_name(&output_projections(&self.shape)[layer]);
                    layout.insert(name, Held { shape: projection.shape(), grid });
                }
            }
        }
        Ok(layout)
    }

    /// Bytes of the file of a learngene of this manifest, whatever values its tensors hold. What
    /// [`Manifest::expected_tensors`] does not look at is not looked at here either.
    ///
    /// # Errors
    /// Those of [`Manifest::check`]; tensors that no file holds.
    pub fn file_length(&self) -> Result<u64> {
        let layout = self.layout()?;
        let stored = stored(&layout, self.store);
        // All hashes are equally long.
        let entry = TensorEntry { sha256: Sha256::of(&[]) };
        let manifest = Self {
            parameters: Parameters::of(&layout),
            tensors: stored.iter().map(|tensor| (tensor.name.clone(), entry.clone())).collect(),
            ..self.clone()
        };
        Ok(header::encode(&manifest, &stored)?.len() as u64 + num_bytes(&stored))
    }
}

impl Parameters {
    /// Of what a learngene holds.
    pub(crate) fn of(layout: &Layout) -> Self {
        let count = |held: &Held| held.shape.iter().map(|length| *length as u64).product::<u64>();
        Self { stored: layout.values().map(count).sum() }
    }
}

/// The tensors of these parameters, and where they are there for fewer inputs, of those.
pub(crate) fn layout_of(
    parameters: impl IntoIterator<Item = Parameter>,
    store: Store,
    any_size: bool,
) -> Layout {
    let mut layout = Layout::new();
    for parameter in parameters {
        if any_size && is_nested(&parameter) {
            let inputs = parameter.axes[1].len();
            let [factor, means] = nested_names(&parameter);
            let shape = vec![inputs * (inputs + 1) / 2];
            layout.insert(factor, Held { shape, grid: store.of_factors() });
            layout.insert(means, Held { shape: vec![inputs], grid: None });
        }
        let grid = store.of_matrices().filter(|_| parameter.is_layer_matrix());
        layout.insert(parameter.name.clone(), Held { shape: parameter.shape(), grid });
    }
    layout
}

/// How much a file holds beside its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSize {
    /// Number of tensors.
    pub tensors: usize,
    /// Bytes of their values.
    pub bytes: u64,
}

/// What a learngene of this centroid model takes whose layers share no FFN; `any_size` as in
/// [`Refit`](crate::Refit).
pub fn file_size(shape: &Shape, store: Store, any_size: bool) -> FileSize {
    let stored = stored(&layout_of(shape.parameters(), store, any_size), store);
    FileSize { tensors: stored.len(), bytes: num_bytes(&stored) }
}

/// The weights of the output projections of a model's layers, in their order.
pub fn output_projections(shape: &Shape) -> Vec<Parameter> {
    shape.parameters().into_iter().filter(Parameter::is_output_projection).collect()
}

/// Whether a parameter is a weight that can be had for fewer heads or hidden units than are kept:
/// one that reads what a layer's heads, or its hidden units, give.
pub fn is_nested(parameter: &Parameter) -> bool {
    parameter.is_output_projection() || parameter.is_second_ffn_matrix()
}

/// Name under which the ancestor's whole output projection is stored, with the columns of all its
/// heads.
///
/// # Panics
/// Panics for a parameter that is no weight.
pub fn origin_name(projection: &Parameter) -> String {
    format!("{}.origin.weight", projection.module())
}

/// Names under which it is stored what a weight is for fewer inputs, the first ones: the factor of
/// the inputs' penalised covariance, row by row its lower triangle, and the inputs' means.
///
/// # Panics
/// Panics for a parameter that is no weight.
pub fn nested_names(weight: &Parameter) -> [String; 2] {
    ["factor", "means"].map(|tensor| format!("{}.{tensor}", weight.module()))
}
