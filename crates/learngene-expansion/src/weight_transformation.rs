use learngene_models::{ModelConfig, StateDict};

use crate::{
    Descendant, DescendantConfig, ExpansionError, LayerPolicy, NewLayers,
    ancestor::inherit_whole_heads,
};

/// Neighbouring layers that share weights where no number is asked for, as in the published
/// Mini-DeiT.
const SHARED_LAYERS: usize = 2;

/// Initialises a model whose neighbouring layers share weights, from the whole ancestor:
/// Weight-Transformation, for comparison.
///
/// In each stage, every `shared_layers` layers in a row (two, where no number is asked for; fewer
/// at the end of a stage) have the attention and the feed-forward network of the first of them, and
/// norms of their own, as in Zhang et al., "MiniViT: Compressing Vision Transformers with Weight
/// Multiplexing", CVPR 2022, <https://arxiv.org/abs/2204.07154>. Which layers of the ancestor they
/// have them from is for [`LayerPolicy`](crate::LayerPolicy) to say, by default the front ones.
///
/// What makes the layers of a group different from each other beside their norms are
/// transformations that learn: [`attach`](crate::attach) them with the
/// [plan](Descendant::plan) of the result. Those are of weights; MiniViT mixes the attention of
/// heads and convolves tokens before the network instead, shares weights to the end, and distils
/// from the ancestor while it trains.
///
/// Heads are as in [`pretraining_finetuning`](crate::pretraining_finetuning). The wishes for new
/// layers, an order and projections are not looked at.
///
/// # Errors
/// [`ExpansionError::SharedLayers`] for fewer than two layers that share;
/// [`ExpansionError::Ancestor`] where the parameters are not those of the ancestor's shape.
///
/// ```
/// use learngene_expansion::{DescendantConfig, from_scratch, weight_transformation};
/// use learngene_models::VitConfig;
///
/// let vit = VitConfig::uniform(16, 4, 2).with_image_size(32).with_num_classes(10).into();
/// let ancestor = from_scratch(&vit, 0)?;
/// let descendant = weight_transformation(&ancestor, &vit, None, &DescendantConfig::default())?;
/// assert_eq!(descendant.ffn, [0, 0, 2, 2]);
/// # Ok::<(), learngene_expansion::ExpansionError>(())
/// ```
pub fn weight_transformation(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    shared_layers: Option<usize>,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let shared_layers = shared_layers.unwrap_or(SHARED_LAYERS);
    if shared_layers < 2 {
        return Err(ExpansionError::SharedLayers { got: shared_layers });
    }
    let depths = wanted.depths(ancestor)?;
    let own = wanted.layers.sources(&depths, &ancestor.stages())?;
    let mut shared = Vec::with_capacity(own.len());
    for depth in depths {
        let start = shared.len();
        shared.extend((0..depth).map(|layer| own[start + layer / shared_layers * shared_layers]));
    }
    let layers = LayerPolicy::List(shared);
    let new_layers = NewLayers::Copy;
    let mut checked = DescendantConfig { layers, new_layers, ..wanted.clone() }.check(ancestor)?;
    checked.norm_sources = own;
    inherit_whole_heads(parameters, ancestor, checked)
}
