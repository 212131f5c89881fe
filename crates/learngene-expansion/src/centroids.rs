//! From the centroid heads of an ancestor's layer to the heads of a descendant's.

use learngene_models::{Head, HeadLayout, HostTensor, Projection};

use crate::{
    Order, ProjectionPolicy, SlotSource,
    assemble::Source,
    assign_slots,
    attention::{FusedAttention, columns_of},
    expand::Condensed,
    slots::copies,
};

/// Fills the heads of a layer, and the bias of their projection, from a learngene's `layer`; says
/// what filled each.
pub(crate) fn fill_heads(
    from: &Condensed<'_>,
    layer: usize,
    attention: &mut FusedAttention,
    order: Order,
) -> Vec<SlotSource> {
    let manifest = from.learngene.manifest();
    let clusters = &manifest.layers[layer];
    let distances = &manifest.probe.mean_attention_distance[layer];
    let order_of_centroids = order.centroids(clusters, distances);
    let places = assign_slots(order_of_centroids.len(), attention.num_heads());
    let slots: Vec<usize> = places.into_iter().map(|place| order_of_centroids[place]).collect();
    let copies = copies(&slots, order_of_centroids.len());

    let centroids = Centroids::read(from, layer, first_heads(from, layer, &slots, order));
    attention.set_projection_bias(centroids.bias.clone());
    let fill = |(slot, &centroid): (usize, &usize)| {
        let head = clusters.representatives[centroid];
        let projection_head = match from.projection {
            ProjectionPolicy::Origin => slot % centroids.ancestor.num_heads,
            _ => head,
        };
        let size = clusters.sizes[centroid];
        let projection_scale = from.projection.scale(size, copies[centroid]);
        centroids.copy_rows(centroid, Head(slot), attention);
        let columns = centroids.columns(centroid, Head(projection_head));
        attention.set_columns(Head(slot), &columns, projection_scale);
        SlotSource { layer, head, projection_head, projection_scale }
    };
    slots.iter().enumerate().map(fill).collect()
}

/// Number of heads whose own fit is to be used, where a layer has fewer heads than centroids, takes
/// them in order of priority, and the learngene was fitted for that number.
fn first_heads(from: &Condensed<'_>, layer: usize, slots: &[usize], order: Order) -> Option<usize> {
    let refit = from.learngene.manifest().refit.as_ref()?;
    let fits = &refit.attention[layer][1..];
    let is_fitted = fits.iter().any(|fit| fit.heads == slots.len());
    (order == Order::Priority && is_fitted).then_some(slots.len())
}

/// The heads that a learngene keeps of one layer, in order of priority.
struct Centroids {
    /// Where heads lay in the ancestor.
    ancestor: HeadLayout,
    /// Query, key and value: `[centroids, head_dim, embed_dim]` and `[centroids, head_dim]`.
    rows: [(HostTensor, HostTensor); 3],
    /// `[centroids, relative_positions]`, in families that have them.
    positions: Option<HostTensor>,
    /// `[centroids, embed_dim, head_dim]`, perhaps of the first centroids alone.
    columns: HostTensor,
    /// Of the projection: `[embed_dim]`.
    bias: Vec<f32>,
    /// `[embed_dim, num_heads * head_dim]`, only where columns stay where they were.
    origin: Option<HostTensor>,
}

impl Centroids {
    /// Reads a layer, with the projection fitted for its first heads where there is such a number.
    fn read(from: &Condensed<'_>, layer: usize, first: Option<usize>) -> Self {
        let read = |name: &str| from.tensor(&format!("layers.{layer}.attn.{name}"));
        let rows = Projection::ALL.map(|projection| {
            let role = projection.letter();
            (read(&format!("{role}.weight")), read(&format!("{role}.bias")))
        });
        let shape = from.ancestor.layer(layer);
        let projection = match first {
            Some(heads) => format!("proj.first.{heads}"),
            None => "proj".into(),
        };
        let stays = from.projection == ProjectionPolicy::Origin;
        Self {
            ancestor: shape.heads,
            rows,
            positions: shape.relative_positions.map(|_| read("relative_position")),
            columns: read(&format!("{projection}.weight")),
            bias: read(&format!("{projection}.bias")).values,
            origin: stays.then(|| read("proj.origin")),
        }
    }

    /// Copies a centroid's query, key and value, and its relative positions, into a slot.
    fn copy_rows(&self, centroid: usize, slot: Head, attention: &mut FusedAttention) {
        for (projection, (weight, bias)) in Projection::ALL.into_iter().zip(&self.rows) {
            attention.set_rows(projection, slot, part(weight, centroid), part(bias, centroid));
        }
        if let Some(positions) = &self.positions {
            attention.set_relative_positions(slot, part(positions, centroid));
        }
    }

    /// The centroid's columns, or those of an ancestor head where columns stay where they were:
    /// `[embed_dim, head_dim]`.
    fn columns(&self, centroid: usize, head: Head) -> Vec<f32> {
        match &self.origin {
            Some(origin) => columns_of(&origin.values, self.ancestor, head),
            None => part(&self.columns, centroid).to_vec(),
        }
    }
}

/// One entry along the first axis.
fn part(tensor: &HostTensor, index: usize) -> &[f32] {
    let length = tensor.values.len() / tensor.shape[0];
    &tensor.values[index * length..(index + 1) * length]
}
