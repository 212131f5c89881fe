use learngene_format::{Architecture, Learngene};
use learngene_models::{Head, HeadLayout, HostTensor, Projection, VitConfig};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, ProjectionPolicy, SlotSource,
    assemble::{Source, assemble},
    assign_slots,
    attention::{FusedAttention, columns_of},
    config::CheckedDescendantConfig,
    slots::copies,
};

/// Shape of the ancestry model that a learngene was condensed from.
pub fn ancestor_config(learngene: &Learngene) -> VitConfig {
    let Architecture::Vit(vit) = &learngene.manifest().architecture;
    VitConfig {
        embed_dim: vit.embed_dim,
        num_heads: vit.num_heads.clone(),
        head_dim: vit.head_dim,
        mlp_hidden_dim: vit.mlp_hidden_dim,
        image_size: vit.image_size,
        patch_size: vit.patch_size,
        in_channels: vit.in_channels,
        num_classes: vit.num_classes,
        layer_norm_eps: vit.layer_norm_eps,
    }
}

/// Makes a descendant from a learngene alone, by priority weight-sharing.
///
/// Each layer takes norms, projection bias and feed-forward network from the ancestor's layer that
/// [`LayerPolicy`](crate::LayerPolicy) names, and its heads from the centroids of that layer,
/// dealt out by [`assign_slots`] in the wanted [`Order`](crate::Order). A head is inherited whole:
/// its rows and biases of query, key and value, and its columns of the output projection as
/// [`ProjectionPolicy`] says.
///
/// # Errors
/// [`ExpansionError`] where the learngene cannot give what is wanted.
pub fn expand(
    learngene: &Learngene,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let ancestor = ancestor_config(learngene);
    let checked = wanted.check(&ancestor)?;
    if checked.classifier == ClassifierPolicy::Inherit && !learngene.manifest().classifier {
        return Err(ExpansionError::ClassifierAbsent { place: "learngene" });
    }
    assemble(&Condensed { learngene, ancestor: &ancestor }, ancestor.grid_size(), checked)
}

/// A learngene as what a descendant inherits from.
struct Condensed<'a> {
    learngene: &'a Learngene,
    ancestor: &'a VitConfig,
}

impl Source for Condensed<'_> {
    fn locate(&self, layer: usize, name: &str) -> String {
        match name.strip_prefix("mlp.") {
            None => format!("layers.{layer}.{name}"),
            Some(name) => {
                let mut groups = self.learngene.manifest().ffn_groups.iter();
                let group = groups
                    .position(|layers| layers.contains(&layer))
                    .expect("the groups of a learngene together are all layers");
                format!("ffn.{group}.{name}")
            }
        }
    }

    fn tensor(&self, name: &str) -> HostTensor {
        let tensor = self
            .learngene
            .tensor(name)
            .expect("a learngene holds every tensor that its manifest implies");
        HostTensor::new(tensor.shape(), tensor.to_f32())
    }

    fn fill_heads(
        &self,
        layer: usize,
        attention: &mut FusedAttention,
        wanted: &CheckedDescendantConfig,
    ) -> Result<Vec<SlotSource>, ExpansionError> {
        let manifest = self.learngene.manifest();
        let clusters = &manifest.layers[layer];
        let distances = &manifest.probe.mean_attention_distance[layer];
        let order = wanted.order.centroids(clusters, distances);
        let places = assign_slots(order.len(), attention.layout().num_heads);
        let slots: Vec<usize> = places.into_iter().map(|place| order[place]).collect();
        let copies = copies(&slots, order.len());

        let centroids = Centroids::read(self, layer, wanted.projection)?;
        let fill = |(slot, &centroid): (usize, &usize)| {
            let head = clusters.representatives[centroid];
            let projection_head = match wanted.projection {
                ProjectionPolicy::Origin => slot % centroids.ancestor.num_heads,
                ProjectionPolicy::Centroid | ProjectionPolicy::Rescaled => head,
            };
            let size = clusters.sizes[centroid];
            let projection_scale = wanted.projection.scale(size, copies[centroid]);
            centroids.copy_rows(centroid, Head(slot), attention);
            let columns = centroids.columns(centroid, Head(projection_head));
            attention.set_columns(Head(slot), &columns, projection_scale);
            SlotSource { layer, head, projection_head, projection_scale }
        };
        Ok(slots.iter().enumerate().map(fill).collect())
    }
}

/// The heads that a learngene keeps of one layer, in order of priority.
struct Centroids {
    /// Where heads lay in the ancestor.
    ancestor: HeadLayout,
    /// Query, key and value: `[centroids, head_dim, embed_dim]` and `[centroids, head_dim]`.
    rows: [(HostTensor, HostTensor); 3],
    /// `[centroids, embed_dim, head_dim]`
    columns: HostTensor,
    /// `[embed_dim, num_heads * head_dim]`, only where columns stay where they were.
    origin: Option<HostTensor>,
}

impl Centroids {
    fn read(
        from: &Condensed<'_>,
        layer: usize,
        projection: ProjectionPolicy,
    ) -> Result<Self, ExpansionError> {
        let read = |name: &str| from.tensor(&format!("layers.{layer}.attn.{name}"));
        let origin = match projection {
            ProjectionPolicy::Origin if !from.learngene.manifest().keep_projection => {
                return Err(ExpansionError::ProjectionAbsent { layer });
            }
            ProjectionPolicy::Origin => Some(read("proj.origin")),
            ProjectionPolicy::Centroid | ProjectionPolicy::Rescaled => None,
        };
        let rows = Projection::ALL.map(|projection| {
            let role = projection.letter();
            (read(&format!("{role}.weight")), read(&format!("{role}.bias")))
        });
        let ancestor = from.ancestor.head_layout(layer);
        Ok(Self { ancestor, rows, columns: read("proj.weight"), origin })
    }

    /// Copies a centroid's query, key and value into a slot.
    fn copy_rows(&self, centroid: usize, slot: Head, attention: &mut FusedAttention) {
        for (projection, (weight, bias)) in Projection::ALL.into_iter().zip(&self.rows) {
            attention.set_rows(projection, slot, part(weight, centroid), part(bias, centroid));
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
