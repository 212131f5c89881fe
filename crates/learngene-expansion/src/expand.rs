use learngene_format::{Architecture, Learngene};
use learngene_models::{HostTensor, ModelConfig, SwinConfig, VitConfig};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, ProjectionPolicy, SlotSource,
    assemble::{Source, assemble},
    attention::FusedAttention,
    centroids::fill_heads,
    checked::CheckedDescendantConfig,
};

/// Shape of the ancestry model that a learngene was condensed from.
pub fn ancestor_config(learngene: &Learngene) -> ModelConfig {
    match &learngene.manifest().architecture {
        Architecture::Vit(vit) => VitConfig {
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
        .into(),
        Architecture::Swin(swin) => {
            let mut heads = swin.num_heads.iter().copied();
            let of_stage = |depth: &usize| heads.by_ref().take(*depth).collect();
            SwinConfig {
                embed_dim: swin.embed_dim,
                num_heads: swin.depths.iter().map(of_stage).collect(),
                head_dim: swin.head_dim.clone(),
                mlp_hidden_dim: swin.mlp_hidden_dim.clone(),
                window_size: swin.window_size,
                image_size: swin.image_size,
                patch_size: swin.patch_size,
                in_channels: swin.in_channels,
                num_classes: swin.num_classes,
                layer_norm_eps: swin.layer_norm_eps,
            }
            .into()
        }
    }
}

/// Makes a descendant from a learngene alone, by priority weight-sharing.
///
/// Each layer takes norms, projection bias and feed-forward network from the ancestor's layer that
/// [`LayerPolicy`](crate::LayerPolicy) names, and its heads from the centroids of that layer,
/// dealt out by [`assign_slots`](crate::assign_slots) in the wanted [`Order`](crate::Order). A head
/// is inherited whole: its rows and biases of query, key and value, its biases of relative
/// positions where the family has them, and its columns of the output projection as
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
    let projection = projection(learngene, checked.projection)?;
    assemble(&Condensed { learngene, ancestor, projection }, checked)
}

/// The policy to follow: the one asked for, where the learngene can, or its default.
fn projection(
    learngene: &Learngene,
    asked: Option<ProjectionPolicy>,
) -> Result<ProjectionPolicy, ExpansionError> {
    let is_refitted = learngene.manifest().refit.is_some();
    match asked {
        None if is_refitted => Ok(ProjectionPolicy::Refit),
        None => Ok(ProjectionPolicy::default()),
        Some(ProjectionPolicy::Refit) if is_refitted => Ok(ProjectionPolicy::Refit),
        Some(ProjectionPolicy::Refit) => Err(ExpansionError::RefitAbsent),
        Some(got) if is_refitted => Err(ExpansionError::Refitted { got }),
        Some(ProjectionPolicy::Origin) if !learngene.manifest().keep_projection => {
            Err(ExpansionError::ProjectionAbsent { layer: 0 })
        }
        Some(policy) => Ok(policy),
    }
}

/// A learngene as what a descendant inherits from.
pub(crate) struct Condensed<'a> {
    pub(crate) learngene: &'a Learngene,
    pub(crate) ancestor: ModelConfig,
    pub(crate) projection: ProjectionPolicy,
}

impl Source for Condensed<'_> {
    fn ancestor(&self) -> &ModelConfig {
        &self.ancestor
    }

    /// Beside the layers only a Swin's merging of patches and its classifier have names of their
    /// own in a learngene.
    fn locate(&self, name: &str) -> String {
        match *name.splitn(4, '.').collect::<Vec<_>>() {
            ["layers", stage, "downsample", name] => format!("downsample.{stage}.{name}"),
            ["head", "fc", name] => format!("head.{name}"),
            _ => name.to_owned(),
        }
    }

    fn locate_in_layer(&self, layer: usize, name: &str) -> String {
        match name.strip_prefix("mlp.") {
            None => format!("layers.{layer}.{name}"),
            Some(name) => format!("ffn.{}.{name}", self.ffn(layer)),
        }
    }

    fn ffn(&self, layer: usize) -> usize {
        self.learngene.manifest().ffn.group_of(layer)
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
        Ok(fill_heads(self, layer, attention, wanted.order))
    }
}
