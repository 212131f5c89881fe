use std::collections::BTreeMap;

use learngene_format::{ClusterAlgorithm, Learngene, Manifest, origin_name};
use learngene_shape::{LayerSizes, Parameter, Shape};
use learngene_tensors::{Error, Result};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, Order, ProjectionPolicy, SlotSource,
    assemble::{LayerHeads, Source, Substitute, assemble},
    assign_slots,
    fewer::{check_factors, fewer_inputs},
    slots::copies,
};

/// Makes a descendant from a learngene alone, by priority weight-sharing.
///
/// Each layer takes norms, projection bias and FFN from the layer that
/// [`LayerPolicy`](crate::LayerPolicy) names, and its heads from the centroids of that layer,
/// assigned by [`assign_slots`](crate::assign_slots) in the chosen [`Order`](crate::Order). A
/// head is inherited whole: its rows and biases of query, key and value, its biases of relative
/// positions where the family has them, and its columns of the output projection as
/// [`ProjectionPolicy`] describes. With fewer heads or hidden units than a learngene holds that was
/// fitted for any size, a layer takes the first ones, and matrices fitted for their number.
///
/// # Errors
/// The configuration asks for something that the learngene does not have.
pub fn expand(learngene: &Learngene, config: &DescendantConfig) -> Result<Descendant> {
    let manifest = learngene.manifest();
    let config = config.check(base_shape(manifest))?;
    if config.classifier == ClassifierPolicy::Inherit && !manifest.classifier {
        let expected = "a fresh classifier, or a learngene condensed with --keep-classifier";
        return Err(Error::invalid("classifier to inherit", "none in the learngene", expected));
    }
    check_factors(learngene)?;
    let source = Source {
        shape: manifest.shape.clone(),
        tensors: learngene.tensors(),
        ffn: (0..manifest.shape.depth()).map(|layer| manifest.ffn_layer(layer)).collect(),
    };
    let projection = projection(manifest, config.projection)?;
    let centroids = Centroids { learngene, projection, order: config.order };
    Ok(assemble(&source, config, |layer, sizes| centroids.fill(layer, sizes)))
}

/// The shape that a descendant has unless it is told otherwise: of a learngene by clusters the
/// ancestor's, whose heads the centroids stand for; else the learngene's own.
pub fn base_shape(manifest: &Manifest) -> &Shape {
    match manifest.clusters.heads.algorithm {
        ClusterAlgorithm::Order { .. } => &manifest.shape,
        _ => &manifest.ancestor.shape,
    }
}

/// The chosen policy, if the learngene has what it needs, or the learngene's default.
fn projection(manifest: &Manifest, asked: Option<ProjectionPolicy>) -> Result<ProjectionPolicy> {
    let is_refitted = manifest.refit.is_some();
    let Some(asked) = asked else {
        let own = ProjectionPolicy::default();
        return Ok(if is_refitted { ProjectionPolicy::Refit } else { own });
    };
    let (found, expected) = match asked {
        ProjectionPolicy::Refit if !is_refitted => (
            "a learngene that was not refitted",
            "one condensed by size or with --refit, or another policy",
        ),
        ProjectionPolicy::Refit => return Ok(asked),
        _ if is_refitted => (
            "a learngene that was refitted",
            "one by clusters without --refit, or the policy refit",
        ),
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
    learngene: &'a Learngene,
    projection: ProjectionPolicy,
    order: Order,
}

impl Centroids<'_> {
    /// What a layer of these sizes has from a layer of the learngene.
    fn fill(&self, layer: usize, sizes: LayerSizes) -> LayerHeads {
        let manifest = self.learngene.manifest();
        let from = manifest.layers[layer]; // The ancestor's.
        let clusters = &manifest.clusters.heads.layers[from];
        let distances = &manifest.distances.mean_attention_distance[from];
        let in_order = self.order.centroids(clusters, distances);
        let places = assign_slots(in_order.len(), sizes.num_heads).into_iter();
        let heads: Vec<usize> = places.map(|place| in_order[place]).collect();
        let copies = copies(&heads, in_order.len());
        let ancestor_heads = manifest.ancestor.shape.layer(from).heads.num_heads;

        let fill = |(slot, &centroid): (usize, &usize)| {
            let head = clusters.representatives[centroid];
            let projection_head = match self.projection {
                ProjectionPolicy::Origin => slot % ancestor_heads,
                _ => head,
            };
            let size = clusters.sizes[centroid];
            let projection_scale = self.projection.scale(size, copies[centroid]);
            SlotSource { layer: from, head, projection_head, projection_scale }
        };
        let slots: Vec<SlotSource> = heads.iter().enumerate().map(fill).collect();
        let mut substitutes = BTreeMap::new();
        if self.projection == ProjectionPolicy::Origin {
            let columns = slots.iter().map(|slot| slot.projection_head).collect();
            substitutes.extend([self.origin(layer, ancestor_heads, columns)]);
        }
        let is_ordered =
            matches!(manifest.clusters.heads.algorithm, ClusterAlgorithm::Order { .. });
        if is_ordered || manifest.refit.as_ref().is_some_and(|refit| refit.any_size) {
            // The first heads alone are those that matrices were fitted for.
            let fewer_heads = self.order == Order::Priority;
            let num_heads = if fewer_heads { sizes.num_heads } else { usize::MAX };
            substitutes.extend(fewer_inputs(
                self.learngene,
                layer,
                LayerSizes { num_heads, ..sizes },
                &heads,
            ));
        }
        LayerHeads { heads, slots, substitutes }
    }

    /// The ancestor's whole output projection, of which the columns of these heads are read.
    fn origin(&self, layer: usize, num_heads: usize, heads: Vec<usize>) -> (String, Substitute) {
        let shape = &self.learngene.manifest().shape;
        let of_layer = shape.layer_parameters(layer).into_iter();
        let projection = of_layer.into_iter().find(Parameter::is_output_projection);
        let projection = projection.expect("each layer has an output projection");
        let tensor = self.learngene.tensors().get(&origin_name(&projection));
        let tensor = tensor.expect("it was checked that whole projections are kept").clone();
        let sizes = LayerSizes { num_heads, hidden_dim: shape.layer(layer).ffn.hidden_dim };
        (projection.name, Substitute { tensor, sizes, heads })
    }
}
