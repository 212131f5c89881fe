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
/// dealt out by [`assign_slots`](crate::assign_slots) in the [`Order`](crate::Order) asked for. A
/// head is inherited whole: its rows and biases of query, key and value, its biases of relative
/// positions where the family has them, and its columns of the output projection as
/// [`ProjectionPolicy`] says.
///
/// # Errors
/// The learngene cannot give what is asked for.
pub fn expand(learngene: &Learngene, config: &DescendantConfig) -> Result<Descendant> {
    let manifest = learngene.manifest();
    let ancestor = &manifest.ancestor.shape;
    let config = config.check(ancestor)?;
    if config.classifier == ClassifierPolicy::Inherit && !manifest.classifier {
        let found = "a learngene that keeps none";
        return Err(Error::invalid("classifier to inherit", found, "a fresh classifier"));
    }
    let source = Source {
        shape: manifest.centroid_shape(),
        tensors: learngene.tensors(),
        ffn: (0..ancestor.depth()).map(|layer| manifest.ffn_layer(layer)).collect(),
    };
    let projection = projection(manifest, config.projection)?;
    let projections = output_projections(ancestor);
    let centroids = Centroids { learngene, projections, projection, order: config.order };
    Ok(assemble(&source, config, |layer, num_heads| centroids.fill(layer, num_heads)))
}

/// The policy to follow: the one asked for, where the learngene can, or its default.
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

/// The heads that a learngene keeps, and how they are dealt out.
struct Centroids<'a> {
    learngene: &'a Learngene,
    /// The weight of each layer's output projection.
    projections: Vec<Parameter>,
    projection: ProjectionPolicy,
    order: Order,
}

impl<'a> Centroids<'a> {
    /// What fills so many heads from the centroids of the ancestor's `layer`.
    fn fill(&self, layer: usize, num_heads: usize) -> LayerHeads<'a> {
        let manifest = self.learngene.manifest();
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
                self.substitutes(names, ancestor_heads, &columns)
            }
            // Where the first heads alone are taken, and the learngene holds a fit for that number.
            ProjectionPolicy::Refit if self.is_fitted(layer, num_heads) => {
                let projection = &self.projections[layer];
                let names = [projection.name.clone(), bias_name(projection)];
                let fitted = first_names(projection, num_heads);
                self.substitutes(names.into_iter().zip(fitted), num_heads, &heads)
            }
            _ => BTreeMap::new(),
        };
        LayerHeads { heads, slots, substitutes }
    }

    /// Whether the learngene holds a projection that was fitted for the first heads alone, in order
    /// of priority.
    fn is_fitted(&self, layer: usize, num_heads: usize) -> bool {
        let refit = self.learngene.manifest().refit.as_ref();
        let mut fewer = refit.iter().flat_map(|refit| &refit.attention[layer][1..]);
        self.order == Order::Priority && fewer.any(|fit| fit.heads == num_heads)
    }

    /// Tensors of so many heads that stand in for parameters, given the names of both.
    fn substitutes(
        &self,
        names: impl IntoIterator<Item = (String, String)>,
        num_heads: usize,
        heads: &[usize],
    ) -> BTreeMap<String, Substitute<'a>> {
        let substitute = |(name, stored): (String, String)| {
            let tensor = self.learngene.tensors().get(&stored);
            let tensor = tensor.expect("a learngene holds every tensor that its manifest implies");
            (name, Substitute { tensor, num_heads, heads: heads.to_vec() })
        };
        names.into_iter().map(substitute).collect()
    }
}
