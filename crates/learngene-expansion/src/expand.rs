use std::collections::BTreeMap;

use learngene_format::{
    Learngene, Manifest, bias_name, first_names, origin_name, output_projections,
};
use learngene_shape::Parameter;
use learngene_tensors::{Error, Result};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, Order, ProjectionPolicy, SlotSource,
    assemble::{LayerHeads, Source, Substitute, assemble},
    assign_slots,
    slots::copies,
};

/// Makes a descendant from a learngene alone, by priority weight-sharing.
///
/// Each layer takes norms, projection bias and FFN from the ancestor's layer that
/// [`LayerPolicy`](crate::LayerPolicy) names, and its heads from the centroids of that layer,
/// assigned by [`assign_slots`](crate::assign_slots) in the chosen [`Order`](crate::Order). A
/// head is inherited whole: its rows and biases of query, key and value, its biases of relative
/// positions where the family has them, and its columns of the output projection as
/// [`ProjectionPolicy`] describes.
///
/// # Errors
/// The configuration asks for something that the learngene does not have.
pub fn expand(learngene: &Learngene, config: &DescendantConfig) -> Result<Descendant> {
    let manifest = learngene.manifest();
    let ancestor = &manifest.ancestor.shape;
    let config = config.check(ancestor)?;
    if config.classifier == ClassifierPolicy::Inherit && !manifest.classifier {
        let expected = "a fresh classifier, or a learngene condensed with --keep-classifier";
        return Err(Error::invalid("classifier to inherit", "none in the learngene", expected));
    }
    let source = Source {
        shape: manifest.centroid_shape(),
        tensors: learngene.tensors(),
        ffn: (0..ancestor.depth()).map(|layer| manifest.ffn_layer(layer)).collect(),
    };
    let projection = projection(manifest, config.projection)?;
    let projections = output_projections(ancestor);
    let centroids = Centroids { manifest, projections, projection, order: config.order };
    Ok(assemble(&source, config, |layer, num_heads| centroids.fill(layer, num_heads)))
}

/// The chosen policy, if the learngene has what it needs, or the learngene's default.
fn projection(manifest: &Manifest, asked: Option<ProjectionPolicy>) -> Result<ProjectionPolicy> {
    let is_refitted = manifest.refit.is_some();
    let Some(asked) = asked else {
        let own = ProjectionPolicy::default();
        return Ok(if is_refitted { ProjectionPolicy::Refit } else { own });
    };
    let (found, expected) = match asked {
        ProjectionPolicy::Refit if !is_refitted => {
            ("a learngene that was not refitted", "one condensed with --refit, or another policy")
        }
        ProjectionPolicy::Refit => return Ok(asked),
        _ if is_refitted => {
            ("a learngene that was refitted", "one condensed without --refit, or the policy refit")
        }
        ProjectionPolicy::Origin if !manifest.keep_projection => (
            "a learngene without whole projections",
            "one condensed with --keep-projection, or the policy centroid or rescaled",
        ),
        _ => return Ok(asked),
    };
    Err(Error::invalid(format!("source of the projection `{asked}`"), found, expected))
}

/// The heads that a learngene keeps, and how they are assigned.
struct Centroids<'a> {
    manifest: &'a Manifest,
    /// The weight of each layer's output projection.
    projections: Vec<Parameter>,
    projection: ProjectionPolicy,
    order: Order,
}

impl Centroids<'_> {
    /// What fills so many heads from the centroids of the ancestor's `layer`.
    fn fill(&self, layer: usize, num_heads: usize) -> LayerHeads {
        let manifest = self.manifest;
        let clusters = &manifest.clusters.heads.layers[layer];
        let distances = &manifest.distances.mean_attention_distance[layer];
        let in_order = self.order.centroids(clusters, distances);
        let places = assign_slots(in_order.len(), num_heads).into_iter();
        let heads: Vec<usize> = places.map(|place| in_order[place]).collect();
        let copies = copies(&heads, in_order.len());
        let ancestor_heads = manifest.ancestor.shape.layer(layer).heads.num_heads;

        let fill = |(slot, &centroid): (usize, &usize)| {
            let head = clusters.representatives[centroid];
            let projection_head = match self.projection {
                ProjectionPolicy::Origin => slot % ancestor_heads,
                _ => head,
            };
            let size = clusters.sizes[centroid];
            let projection_scale = self.projection.scale(size, copies[centroid]);
            SlotSource { layer, head, projection_head, projection_scale }
        };
        let slots: Vec<SlotSource> = heads.iter().enumerate().map(fill).collect();
        let substitutes = match self.projection {
            ProjectionPolicy::Origin => {
                let columns: Vec<usize> = slots.iter().map(|slot| slot.projection_head).collect();
                let projection = &self.projections[layer];
                let names = [(projection.name.clone(), origin_name(projection))];
                substitutes(names, ancestor_heads, &columns)
            }
            // Where the first heads alone are taken, and the learngene holds a fit for that number.
            ProjectionPolicy::Refit if self.is_fitted(layer, num_heads) => {
                let projection = &self.projections[layer];
                let names = [projection.name.clone(), bias_name(projection)];
                let fitted = first_names(projection, num_heads);
                substitutes(names.into_iter().zip(fitted), num_heads, &heads)
            }
            _ => BTreeMap::new(),
        };
        LayerHeads { heads, slots, substitutes }
    }

    /// Whether the learngene holds a projection that was fitted for the first heads alone, in order
    /// of priority.
    fn is_fitted(&self, layer: usize, num_heads: usize) -> bool {
        let mut fewer = self.manifest.refit.iter().flat_map(|refit| &refit.attention[layer][1..]);
        self.order == Order::Priority && fewer.any(|fit| fit.heads == num_heads)
    }
}

/// Tensors of so many heads that are read instead of parameters, given the names of both.
fn substitutes(
    names: impl IntoIterator<Item = (String, String)>,
    num_heads: usize,
    heads: &[usize],
) -> BTreeMap<String, Substitute> {
    let substitute = |stored| Substitute { stored, num_heads, heads: heads.to_vec() };
    names.into_iter().map(|(name, stored)| (name, substitute(stored))).collect()
}
