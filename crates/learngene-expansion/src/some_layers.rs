//! Some layers of the ancestor, the others drawn: what came before learngenes of heads.

use learngene_models::{ModelConfig, StateDict};

use crate::{
    Descendant, DescendantConfig, ExpansionError, LayerPolicy, ancestor::inherit_whole_heads,
};

/// Layers that Heuristic-Learngene inherits where none are asked for: its paper's last three.
const HEURISTIC_LAYERS: usize = 3;

/// Initialises a model from the last layers of the whole ancestor: Heuristic-Learngene, for
/// comparison.
///
/// The ancestor's last `inherited_layers` layers (three, where none are asked for) come last in the
/// descendant, each in its own stage; all layers before them are drawn from the seed. So Wang et
/// al., "Learngene: From Open-World to Your Learning Task", AAAI 2022,
/// <https://arxiv.org/abs/2106.06788>, on convolutional networks. What a model has once
/// (embeddings, final norm, a Swin's merging of patches) is inherited, as in the comparison that
/// was published with Cluster-Learngene.
///
/// An inherited layer takes the front heads, whole, as in
/// [`pretraining_finetuning`](crate::pretraining_finetuning). The wishes for layers, new layers, an
/// order and projections are not looked at.
///
/// # Errors
/// [`ExpansionError::InheritedLayers`] where ancestor or descendant have not so many layers,
/// [`ExpansionError::StageRoom`] where a stage of the descendant has too few,
/// [`ExpansionError::Ancestor`] where the parameters are not those of the ancestor's shape.
///
/// ```
/// use learngene_expansion::{DescendantConfig, from_scratch, heuristic_learngene};
/// use learngene_models::VitConfig;
///
/// let vit = VitConfig::uniform(16, 4, 2).with_image_size(32).with_num_classes(10).into();
/// let ancestor = from_scratch(&vit, 0)?;
/// let descendant = heuristic_learngene(&ancestor, &vit, Some(2), &DescendantConfig::default())?;
/// assert_eq!(descendant.layers, [None, None, Some(2), Some(3)]);
/// # Ok::<(), learngene_expansion::ExpansionError>(())
/// ```
pub fn heuristic_learngene(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    inherited_layers: Option<usize>,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let depths = plain(wanted, LayerPolicy::Last).depths(ancestor)?;
    let depth = ancestor.depth();
    let count = check_count(inherited_layers.unwrap_or(HEURISTIC_LAYERS), &depths, depth)?;
    let mut places = Vec::new();
    for (stage, (of_ancestor, depth_wanted)) in ancestor.stages().iter().zip(&depths).enumerate() {
        let first = of_ancestor.start.max(depth - count);
        let inherited: Vec<usize> = (first..of_ancestor.end).collect();
        let got = inherited.len();
        let Some(drawn) = depth_wanted.checked_sub(got) else {
            return Err(ExpansionError::StageRoom { stage, got, room: *depth_wanted });
        };
        places.extend(vec![None; drawn]);
        places.extend(inherited.into_iter().map(Some));
    }
    inherit_some(parameters, ancestor, &places, plain(wanted, LayerPolicy::Last))
}

/// Initialises a model from those layers of the whole ancestor that change what they are given the
/// most: Auto-Learngene as we read it, for comparison.
///
/// Wang et al., "Learngene: Inheriting Condensed Knowledge from the Ancestry Model to Descendant
/// Models", 2023, <https://arxiv.org/abs/2305.02279>, keep a few integral layers of the ancestor,
/// found by how similar its layers are to a pseudo descendant that a meta-network trains, and stack
/// drawn layers on them. That rule takes training, so this is another one, ours, which takes the
/// ancestor and images alone: of every layer the change of representation is measured,
/// `representation_change[l]` (one minus the linear CKA of what layer `l` reads and what it leaves,
/// say), and the `inherited_layers` layers that change it the most are kept, ties going to the
/// layer in front. Where no number is asked for they are half of the ancestor's layers, rounded up:
/// in the comparison published with Cluster-Learngene, Auto-Learngene has six of DeiT's twelve.
///
/// Kept layers come first in their stage of the descendant, in the ancestor's order, and drawn ones
/// follow. A stage keeps no more layers than the descendant's has; what it cannot keep, others do.
/// All else is as in [`heuristic_learngene`].
///
/// # Errors
/// [`ExpansionError::RepresentationChange`] where there is not one finite number for each layer;
/// otherwise as [`heuristic_learngene`].
pub fn auto_learngene(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    representation_change: &[f64],
    inherited_layers: Option<usize>,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let depths = plain(wanted, LayerPolicy::Front).depths(ancestor)?;
    let depth = ancestor.depth();
    check_changes(representation_change, depth)?;
    let count = check_count(inherited_layers.unwrap_or(depth.div_ceil(2)), &depths, depth)?;

    let stages = ancestor.stages();
    let mut kept: Vec<Vec<usize>> = vec![Vec::new(); stages.len()];
    let mut layers: Vec<usize> = (0..depth).collect();
    let change = |layer: usize| representation_change[layer];
    layers.sort_by(|a, b| change(*b).total_cmp(&change(*a)));
    for layer in layers {
        let stage = stages.iter().position(|stage| stage.contains(&layer));
        let stage = stage.expect("stages hold all layers");
        let total: usize = kept.iter().map(Vec::len).sum();
        if total < count && kept[stage].len() < depths[stage] {
            kept[stage].push(layer);
        }
    }
    let total: usize = kept.iter().map(Vec::len).sum();
    if total < count {
        return Err(ExpansionError::InheritedLayers { got: count, most: total });
    }
    let mut places = Vec::new();
    for (mut kept, depth) in kept.into_iter().zip(depths) {
        kept.sort_unstable();
        let drawn = depth - kept.len();
        places.extend(kept.into_iter().map(Some));
        places.extend(vec![None; drawn]);
    }
    inherit_some(parameters, ancestor, &places, plain(wanted, LayerPolicy::Front))
}

/// The wish without what is decided here.
fn plain(wanted: &DescendantConfig, layers: LayerPolicy) -> DescendantConfig {
    DescendantConfig { layers, new_layers: crate::NewLayers::Copy, ..wanted.clone() }
}

/// Whether ancestor and descendant have so many layers.
fn check_count(count: usize, depths: &[usize], depth: usize) -> Result<usize, ExpansionError> {
    let most = depth.min(depths.iter().sum());
    match count {
        got if (1..=most).contains(&got) => Ok(got),
        got => Err(ExpansionError::InheritedLayers { got, most }),
    }
}

/// Whether there is one finite number for each layer.
fn check_changes(changes: &[f64], depth: usize) -> Result<(), ExpansionError> {
    let got = match changes.iter().position(|change| !change.is_finite()) {
        _ if changes.len() != depth => format!("{} numbers", changes.len()),
        Some(layer) => format!("{} for layer {layer}", changes[layer]),
        None => return Ok(()),
    };
    Err(ExpansionError::RepresentationChange { got, depth })
}

/// Each place inherits a layer of the ancestor, or is drawn with as many heads as the layer that
/// the policy names.
fn inherit_some(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    places: &[Option<usize>],
    wanted: DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let by_policy = wanted.layers.sources(&wanted.depths(ancestor)?, &ancestor.stages())?;
    let sources = places.iter().zip(by_policy).map(|(place, other)| place.unwrap_or(other));
    let layers = LayerPolicy::List(sources.collect());
    let mut checked = DescendantConfig { layers, ..wanted }.check(ancestor)?;
    checked.drawn = places.iter().map(Option::is_none).collect();
    inherit_whole_heads(parameters, ancestor, checked)
}
