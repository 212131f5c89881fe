use learngene_models::{ModelConfig, StateDict};

use crate::{Descendant, DescendantConfig, ExpansionError, ancestor::inherit_whole_heads};

/// Initialises a model of another shape from the whole ancestor: the paper's
/// Pretraining-Finetuning, for comparison.
///
/// Layers are chosen by [`LayerPolicy`](crate::LayerPolicy), by default the front ones, and each
/// takes the front heads, whole: rows and biases of query, key and value and columns of the output
/// projection. Where it has more heads than the ancestor, they repeat cyclically, unscaled. The
/// wishes for an order and for projections are not looked at: both speak of clusters.
///
/// # Errors
/// [`ExpansionError::Ancestor`] where the parameters are not those of the ancestor's shape, and
/// otherwise where the ancestor cannot give what is wanted.
pub fn pretraining_finetuning(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    inherit_whole_heads(parameters, ancestor, wanted.check(ancestor)?)
}
