//! Some layers of the ancestor, the others drawn: what came before learngenes of heads.

use std::ops::Range;

use learngene_shape::Shape;
use learngene_tensors::{Error, Result, StateDict};

use crate::{
    Descendant, DescendantConfig, LayerPolicy, NewLayers,
    pretraining_finetuning::inherit_whole_heads,
};

/// Initialises a model from the last layers of the whole ancestor: Heuristic-Learngene, for
/// comparison.
///
/// The ancestor's last `inherited_layers` layers come last in the descendant, each in its own
/// stage; all layers before them are drawn from the seed. Where no number is asked for, they are
/// half of the ancestor's layers, rounded up, as far as the descendant has room: the last six of
/// twelve, as in Table 2 of the paper that presents Cluster-Learngene. The method is Wang et al.'s,
/// "Learngene: From Open-World to Your Learning Task", AAAI 2022,
/// <https://arxiv.org/abs/2106.06788>, who inherit three layers of convolutional networks. What a
/// model has once (embeddings, final norm, the merging of tokens) is inherited, as in that
/// comparison.
///
/// An inherited layer takes the front heads, whole, as in
/// [`pretraining_finetuning`](crate::pretraining_finetuning). The configuration's layers, new
/// layers, order and projection are ignored.
///
/// # Errors
/// The ancestor or a stage of the descendant does not have so many layers; the parameters are not
/// those of the ancestor's shape.
///
/// ```
/// use learngene_expansion::{DescendantConfig, from_scratch, heuristic_learngene};
/// use learngene_shape::{Family, Vit};
///
/// let shape = Vit { image_size: 32, num_classes: 10, ..Vit::uniform(16, 4, 2) }.shape()?;
/// let ancestor = from_scratch(&shape, 0);
/// let descendant = heuristic_learngene(&ancestor, &shape, None, &DescendantConfig::default())?;
/// assert_eq!(descendant.layers, [None, None, Some(2), Some(3)]);
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
pub fn heuristic_learngene(
    parameters: &StateDict,
    ancestor: &Shape,
    inherited_layers: Option<usize>,
    config: &DescendantConfig,
) -> Result<Descendant> {
    inherit_some(parameters, ancestor, inherited_layers, config, End::Last)
}

/// Initialises a model from the first layers of the whole ancestor: Auto-Learngene, for comparison.
///
/// The ancestor's first `inherited_layers` layers come first in the descendant, each in its own
/// stage, and drawn layers follow. Where no number is asked for, they are half of the ancestor's
/// layers, rounded up, as far as the descendant has room: the first six of twelve, as in Table 2 of
/// the paper that presents Cluster-Learngene.
///
/// The method is Wang et al.'s, "Learngene: Inheriting Condensed Knowledge from the Ancestry Model
/// to Descendant Models", 2023, <https://arxiv.org/abs/2305.02279>, who find the layers to keep by a
/// meta-network that they train. That table gives which it found for DeiT.
///
/// All else is as in [`heuristic_learngene`].
///
/// # Errors
/// Those of [`heuristic_learngene`].
pub fn auto_learngene(
    parameters: &StateDict,
    ancestor: &Shape,
    inherited_layers: Option<usize>,
    config: &DescendantConfig,
) -> Result<Descendant> {
    inherit_some(parameters, ancestor, inherited_layers, config, End::First)
}

/// Which layers of the ancestor are inherited, and at which end of their stage they come.
#[derive(Clone, Copy, PartialEq)]
enum End {
    First,
    Last,
}

fn inherit_some(
    parameters: &StateDict,
    ancestor: &Shape,
    inherited_layers: Option<usize>,
    config: &DescendantConfig,
    end: End,
) -> Result<Descendant> {
    let layers = if end == End::First { LayerPolicy::Front } else { LayerPolicy::Last };
    let config = DescendantConfig { layers, new_layers: NewLayers::Copy, ..config.clone() };
    let depths = config.depths(ancestor)?;
    let inherited = inherited(ancestor, &depths, inherited_layers, end)?;
    // A drawn layer has as many heads as the one that the policy would take.
    let mut sources = config.layers.sources(&depths, &ancestor.stages())?;
    let mut drawn = vec![true; sources.len()];
    let mut start = 0;
    for (depth, layers) in depths.iter().zip(inherited) {
        let first = if end == End::First { start } else { start + depth - layers.len() };
        for (place, layer) in (first..).zip(layers) {
            (sources[place], drawn[place]) = (layer, false);
        }
        start += depth;
    }
    let mut checked = config.check_sources(ancestor, &depths, sources)?;
    checked.drawn = drawn;
    inherit_whole_heads(parameters, ancestor, checked)
}

/// For each stage the ancestor's layers that are inherited.
fn inherited(
    ancestor: &Shape,
    depths: &[usize],
    asked: Option<usize>,
    end: End,
) -> Result<Vec<Range<usize>>> {
    let depth = ancestor.depth();
    let most = depth.min(depths.iter().sum());
    let count = match asked {
        None => depth.div_ceil(2),
        Some(count) if (1..=most).contains(&count) => count,
        Some(count) => {
            let place = "number of inherited layers";
            return Err(Error::invalid(place, count, format!("1 to {most}")));
        }
    };
    let all = if end == End::First { 0..count } else { depth - count..depth };
    let of_stage = |(stage, (layers, &room)): (usize, (Range<usize>, &usize))| {
        let first = all.start.clamp(layers.start, layers.end);
        let last = all.end.clamp(layers.start, layers.end);
        match last - first {
            found if found > room && asked.is_some() => {
                let place = format!("stage {stage}: number of inherited layers");
                let expected = format!("at most {room}, the depth of that stage");
                Err(Error::invalid(place, found, expected))
            }
            found if end == End::First => Ok(first..first + found.min(room)),
            found => Ok(last - found.min(room)..last),
        }
    };
    ancestor.stages().into_iter().zip(depths).enumerate().map(of_stage).collect()
}
