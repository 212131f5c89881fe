use learngene_shape::Shape;
use learngene_tensors::{Error, Result, StateDict};

use crate::{Descendant, DescendantConfig, NewLayers, pretraining_finetuning::inherit_whole_heads};

/// Neighbouring layers that share weights where no number is asked for, as in the published
/// Mini-DeiT.
const SHARED_LAYERS: usize = 2;

/// Initialises a model whose neighbouring layers share weights, from the whole ancestor:
/// Weight-Transformation, for comparison.
///
/// In each stage, every `shared_layers` layers in a row (two, where no number is asked for; fewer
/// at the end of a stage) have the attention and the FFN of the first of them, and norms of their
/// own, as in Zhang et al., "MiniViT: Compressing Vision Transformers with Weight Multiplexing",
/// CVPR 2022, <https://arxiv.org/abs/2204.07154>. [`LayerPolicy`](crate::LayerPolicy) says which
/// layers of the ancestor they have them from, by default the front ones.
///
/// What makes the layers of a group different from each other beside their norms are
/// transformations that learn, by the [plan](Descendant::plan) of the result. Those are of weights;
/// MiniViT mixes the attention of heads and convolves tokens before the FFN instead, shares weights
/// to the end, and distils from the ancestor while it trains.
///
/// Heads are as in [`pretraining_finetuning`](crate::pretraining_finetuning). The configuration's
/// new layers, order and projection are ignored.
///
/// # Errors
/// Fewer than two layers that share; parameters that are not those of the ancestor's shape.
///
/// ```
/// use learngene_expansion::{DescendantConfig, from_scratch, weight_transformation};
/// use learngene_shape::{Family, Vit};
///
/// let shape = Vit { image_size: 32, num_classes: 10, ..Vit::uniform(16, 4, 2) }.shape()?;
/// let ancestor = from_scratch(&shape, 0);
/// let descendant = weight_transformation(&ancestor, &shape, None, &DescendantConfig::default())?;
/// assert_eq!(descendant.ffn, [0, 0, 2, 2]);
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
pub fn weight_transformation(
    parameters: &StateDict,
    ancestor: &Shape,
    shared_layers: Option<usize>,
    config: &DescendantConfig,
) -> Result<Descendant> {
    let shared_layers = shared_layers.unwrap_or(SHARED_LAYERS);
    if shared_layers < 2 {
        return Err(Error::invalid(
            "layers in a row that share weights",
            shared_layers,
            "at least 2",
        ));
    }
    let config = DescendantConfig { new_layers: NewLayers::Copy, ..config.clone() };
    let depths = config.depths(ancestor)?;
    let own = config.layers.sources(&depths, &ancestor.stages())?;
    let mut shared = Vec::with_capacity(own.len());
    for depth in &depths {
        let start = shared.len();
        shared.extend((0..*depth).map(|layer| own[start + layer / shared_layers * shared_layers]));
    }
    let mut checked = config.check_sources(ancestor, &depths, shared)?;
    checked.norm_sources = own;
    inherit_whole_heads(parameters, ancestor, checked)
}
