use std::collections::BTreeMap;

use learngene_shape::{LayerShape, LayerSizes, Reshape, Shape};
use learngene_tensors::{Error, Result, Sha256};
use serde::{Deserialize, Serialize};

use crate::{
    Clusters, Curves, Distances, FfnGroup, Refit, Store, VERSION,
    check::{ensure, same},
    json,
};

/// What a learngene is, where it came from and how it was made.
///
/// Written as JSON in the order of the fields below. An unknown field is refused everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format: [`VERSION`](crate::VERSION).
    pub version: u32,
    /// Program or crate that made the learngene, and its version, such as
    /// `learngene-condensing 0.1.0`.
    pub producer: String,
    /// The checkpoint that the learngene was condensed from.
    pub ancestor: Ancestor,
    /// How far every head of the ancestor looks, and how that was measured.
    pub distances: Distances,
    /// Clusters of the ancestor's heads, and layers that share an FFN.
    pub clusters: Clusters,
    /// Shape of the *centroid model*, whose parameters the file holds: of the ancestor's layers those
    /// in [`layers`](Self::layers), with the kept heads and hidden units alone.
    pub shape: Shape,
    /// The ancestor's layer that each layer of the centroid model comes from.
    pub layers: Vec<usize>,
    /// How its matrices were fitted to the ancestor's outputs, where they were.
    pub refit: Option<Refit>,
    /// What smaller models lose, where it was measured.
    pub curves: Option<Curves>,
    /// How values are stored.
    pub store: Store,
    /// Whether each layer's whole output projection is kept
    /// ([`origin_name`](crate::origin_name)).
    pub keep_projection: bool,
    /// Whether the ancestor's classifier is kept.
    pub classifier: bool,
    /// Numbers of stored parameters.
    pub parameters: Parameters,
    /// Every tensor of the file by its name.
    pub tensors: BTreeMap<String, TensorEntry>,
}

/// The checkpoint that a learngene was condensed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ancestor {
    /// Hash of the checkpoint file.
    pub sha256: Sha256,
    /// Parameters of the ancestry model.
    pub parameters: u64,
    /// Its shape.
    pub shape: Shape,
}

/// Numbers of stored parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Values in all tensors of the file.
    pub stored: u64,
}

/// What the manifest says of one tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// Hash of the tensor's bytes.
    pub sha256: Sha256,
}

impl Manifest {
    /// Checks that the fields are in range and agree with each other, apart from
    /// [`Manifest::parameters`] and [`Manifest::tensors`], which speak of the tensors.
    ///
    /// # Errors
    /// Another version; else the first field that is wrong.
    pub fn check(&self) -> Result<()> {
        if self.version != VERSION {
            return Err(Error::invalid("format version", self.version, VERSION));
        }
        self.distances.check()?;
        self.clusters.check()?;
        self.check_ancestor()?;
        self.clusters.ffn.groups.iter().try_for_each(|group| self.check_group(group))?;
        self.check_shape()?;
        let depth = self.shape.depth();
        self.refit.as_ref().map_or(Ok(()), |refit| refit.check(depth))?;
        self.curves.as_ref().map_or(Ok(()), |curves| curves.check(&self.shape))
    }

    /// The centroid model is made of the ancestor's layers, with the heads of the clusters and no
    /// more hidden units than they have.
    fn check_shape(&self) -> Result<()> {
        let (ancestor, depth) = (&self.ancestor.shape, self.shape.depth());
        let are_some = self.layers.len() == depth
            && self.layers.is_sorted_by(|layer, next| layer < next)
            && self.layers.iter().all(|layer| *layer < ancestor.depth());
        let expected = format!("{depth} of the ancestor's {} layers, rising", ancestor.depth());
        ensure(are_some, "layers", json::text(&self.layers), expected)?;
        let are_shared = self.clusters.ffn.groups.iter().any(|group| group.layers.len() > 1);
        let are_all = depth == ancestor.depth();
        ensure(are_all || !are_shared, "layers", depth, "all, where layers share an FFN")?;
        let kept = self.clusters.heads.num_centroids();
        let sizes = |layer: usize| LayerSizes {
            num_heads: kept[self.layers[layer]],
            hidden_dim: self.shape.layer(layer).ffn.hidden_dim,
        };
        let expected = centroid_shape(ancestor, &self.layers, sizes)?;
        if let Some((field, found, expected)) = self.shape.first_difference(&expected) {
            let expected = format!("{expected}, by the ancestor and the clusters");
            return Err(Error::invalid(format!("{field} of the shape"), found, expected));
        }
        for (layer, &from) in self.layers.iter().enumerate() {
            let found = self.shape.layer(layer).ffn.hidden_dim;
            let most = ancestor.layer(from).ffn.hidden_dim;
            let expected = format!("at most {most}, those of the ancestor");
            ensure(found <= most, format!("layer {layer}: hidden units"), found, expected)?;
            let whole = "all of the ancestor's, where layers share an FFN";
            ensure(
                found == most || !are_shared,
                format!("layer {layer}: hidden units"),
                found,
                whole,
            )?;
        }
        Ok(())
    }

    /// Distances and clusters are those of the ancestor, and of the same images.
    fn check_ancestor(&self) -> Result<()> {
        let Self { ancestor, distances, clusters, .. } = self;
        let parameters = ancestor.shape.count_parameters();
        same("parameters of the ancestor", &ancestor.parameters, &parameters)?;
        let (classes, is_kept) = (ancestor.shape.num_classes(), self.classifier);
        ensure(classes > 0 || !is_kept, "classifier", is_kept, "false for no classes")?;
        same("ancestor of the distances", &distances.ancestor_sha256, &ancestor.sha256)?;
        same("ancestor of the clusters", &clusters.ancestor_sha256, &ancestor.sha256)?;
        same("images of the clusters", &clusters.images_sha256, &distances.images_sha256)?;
        let shape = &ancestor.shape;
        let image_size = distances.preprocessing.image_size;
        same("image_size of the distances", &image_size, &shape.image().size)?;
        let depths: Vec<usize> = shape.stages().iter().map(|stage| stage.len()).collect();
        let sides = shape.layers().iter().map(|layer| layer.field.attended_side()).collect();
        let heads = shape.num_heads();
        for (place, found, expected) in [
            ("layers of each stage", &distances.depths, &depths),
            ("attended_side", &distances.attended_side, &sides),
            ("heads of the distances", &distances.num_heads(), &heads),
            ("heads of the clusters", &clusters.heads.num_heads(), &heads),
        ] {
            same(place, &json::text(found), &json::text(expected))?;
        }
        Ok(())
    }

    /// Layers that share an FFN have tokens and hidden units of one width, and FFNs of one kind.
    fn check_group(&self, group: &FfnGroup) -> Result<()> {
        let sizes = |layer: usize| {
            let LayerShape { stage, ffn, .. } = self.ancestor.shape.layer(layer);
            format!("stage {stage}, {:?} of {} hidden units", ffn.kind, ffn.hidden_dim)
        };
        let shared = sizes(group.representative);
        let expected = format!("{shared}, as in layer {}, for a shared FFN", group.representative);
        group.layers.iter().try_for_each(|layer| {
            let found = sizes(*layer);
            ensure(found == shared, format!("layer {layer}"), found, &expected)
        })
    }
}

/// The ancestor's shape with some of its layers alone, of other sizes.
///
/// # Errors
/// Layers that are no model of the family, such as none of a stage.
pub fn centroid_shape(
    ancestor: &Shape,
    layers: &[usize],
    sizes: impl Fn(usize) -> LayerSizes,
) -> Result<Shape> {
    let mut stages = vec![Vec::new(); ancestor.stages().len()];
    for (layer, from) in layers.iter().enumerate() {
        stages[ancestor.layer(*from).stage].push(sizes(layer));
    }
    ancestor.reshaped(&Reshape { layers: Some(stages), ..Reshape::default() })
}
