use std::path::Path;

use learngene_shape::Shape;
use learngene_tensors::{Error, Result, StateDict};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, SlotSource,
    assemble::{LayerHeads, Source, assemble},
    assign_slots,
    checked::CheckedDescendantConfig,
};

/// Initialises a model of another shape from the whole ancestor: the paper's
/// Pretraining-Finetuning, for comparison.
///
/// Layers are chosen by [`LayerPolicy`](crate::LayerPolicy), by default the front ones, and each
/// takes the front heads, whole: rows and biases of query, key and value and columns of the output
/// projection. Where it has more heads than the ancestor, they repeat cyclically, unscaled. The
/// configuration's order and projection are ignored: both are about clusters.
///
/// # Errors
/// The parameters are not those of the ancestor's shape, or the configuration asks for something
/// that the ancestor does not have.
pub fn pretraining_finetuning(
    parameters: &StateDict,
    ancestor: &Shape,
    config: &DescendantConfig,
) -> Result<Descendant> {
    inherit_whole_heads(parameters, ancestor, config.check(ancestor)?)
}

/// Makes a descendant of the whole ancestor, whose layers each take the front heads.
pub(crate) fn inherit_whole_heads(
    parameters: &StateDict,
    ancestor: &Shape,
    config: CheckedDescendantConfig,
) -> Result<Descendant> {
    check_ancestor(parameters, ancestor, config.classifier)?;
    let ffn = (0..ancestor.depth()).collect();
    let source = Source { shape: ancestor.clone(), tensors: parameters, ffn };
    Ok(assemble(&source, config, |layer, sizes| {
        let heads = assign_slots(ancestor.layer(layer).heads.num_heads, sizes.num_heads);
        let slot = |&head: &usize| SlotSource {
            layer,
            head,
            projection_head: head,
            projection_scale: 1.0,
        };
        LayerHeads { slots: heads.iter().map(slot).collect(), heads, ..LayerHeads::default() }
    }))
}

/// Refuses parameters that are not those of the ancestor's shape, or that have no classifier where
/// one is to be inherited.
pub(crate) fn check_ancestor(
    parameters: &StateDict,
    ancestor: &Shape,
    classifier: ClassifierPolicy,
) -> Result<()> {
    if classifier == ClassifierPolicy::Inherit && ancestor.num_classes() == 0 {
        let found = "none in the ancestor";
        return Err(Error::invalid("classifier to inherit", found, "a fresh classifier"));
    }
    let checked = parameters.check_against(&ancestor.parameter_shapes());
    checked.map_err(|error| error.in_file(Path::new("ancestor")))
}
