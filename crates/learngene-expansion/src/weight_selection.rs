//! Elements of the whole ancestor, chosen evenly along every axis.

use std::collections::HashMap;

use learngene_shape::{Parameter, Place, Shape};
use learngene_tensors::{Error, Result, StateDict};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, NewLayers,
    assemble::{by_place, pairs},
    init::fresh,
    pretraining_finetuning::check_ancestor,
    width::{is_chosen, resize, scalars_used},
};

/// Initialises a smaller model from evenly chosen elements of the whole ancestor's tensors: weight
/// selection, for comparison.
///
/// As Xu et al., "Initializing Models with Larger Ones", ICLR 2024,
/// <https://arxiv.org/abs/2311.18823>: the first layers (of each stage; another
/// [`LayerPolicy`](crate::LayerPolicy) may be asked for), and of each tensor, along each axis that
/// is shorter in the descendant, every element number `floor(i from / to)`. One axis that several
/// parts share is chosen from part by part: query, key and value of a fused weight, gate and values
/// of an FFN, and the four tokens that are merged between stages. Where the sizes divide, as in all
/// published pairs, that is the published choice, so that the channels of the residual stream agree
/// through the whole model.
///
/// Heads of the descendant are not heads of the ancestor: their channels are picked from all of
/// them. So [`Descendant::slots`] is empty for every layer. The configuration's new layers, order
/// and projection are ignored; head width is the ancestor's.
///
/// # Errors
/// The descendant has more of anything than the ancestor; the parameters are not those of the
/// ancestor's shape.
///
/// ```
/// use learngene_expansion::{DescendantConfig, from_scratch, weight_selection};
/// use learngene_shape::{Family, Vit};
///
/// let shape = Vit { image_size: 32, num_classes: 10, ..Vit::uniform(16, 4, 2) }.shape()?;
/// let config = DescendantConfig {
///     depth: 2.into(),
///     heads: "1".parse()?,
///     embed_dim: Some(8),
///     ..DescendantConfig::default()
/// };
/// let smaller = weight_selection(&from_scratch(&shape, 0), &shape, &config)?;
/// let norm = smaller.parameters.get("norm.weight");
/// assert_eq!(norm.map(|norm| norm.values.len()), Some(8));
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
pub fn weight_selection(
    parameters: &StateDict,
    ancestor: &Shape,
    config: &DescendantConfig,
) -> Result<Descendant> {
    let new_layers = NewLayers::Copy;
    let checked = DescendantConfig { new_layers, ..config.clone() }.check(ancestor)?;
    check_ancestor(parameters, ancestor, checked.classifier)?;
    let (shape, sources) = (checked.shape, checked.sources);
    check_smaller(ancestor, &shape, &sources)?;

    let of_ancestor: HashMap<Place, Vec<Parameter>> = by_place(ancestor);
    let mut selected = StateDict::default();
    let mut inherited_parameters = 0;
    for (place, of_place) in by_place(&shape) {
        if place == Place::Classifier && checked.classifier == ClassifierPolicy::Fresh {
            let draw = |to: Parameter| (to.name.clone(), fresh(&to, checked.seed));
            selected.extend(of_place.into_iter().map(draw));
            continue;
        }
        let from_place = match place {
            Place::Layer { layer, part } => Place::Layer { layer: sources[layer], part },
            once => once,
        };
        for (from, to) in pairs(&of_ancestor[&from_place], of_place) {
            let tensor = parameters.get(&from.name);
            let tensor = tensor.expect("the parameters were checked against the shape").clone();
            inherited_parameters += scalars_used(from, &to, is_chosen) as u64;
            selected.insert(to.name.clone(), resize(tensor, from, &to, is_chosen));
        }
    }
    Ok(Descendant {
        parameters: selected,
        inherited_parameters,
        ffn: sources.clone(),
        slots: vec![Vec::new(); sources.len()],
        layers: sources.into_iter().map(Some).collect(),
        shape,
    })
}

/// Refuses a descendant that has more of anything than the ancestor.
fn check_smaller(ancestor: &Shape, shape: &Shape, sources: &[usize]) -> Result<()> {
    let at_most = |layer, what, found, most| match found {
        found if found <= most => Ok(()),
        found => {
            let expected = format!(
                "at most {most}, the ancestor's: weight selection only makes models smaller"
            );
            Err(Error::invalid(format!("layer {layer}: {what}"), found, expected))
        }
    };
    for (layer, &source) in sources.iter().enumerate() {
        if let Some(first) = sources[..layer].iter().position(|other| *other == source) {
            let place = format!("layer {layer}: layer of the ancestor");
            let found = format!("{source}, which layer {first} is made from");
            return Err(Error::invalid(place, found, "one of its own"));
        }
        let (to, from) = (shape.layer(layer), ancestor.layer(source));
        at_most(layer, "token width", to.embed_dim, from.embed_dim)?;
        at_most(layer, "number of heads", to.heads.num_heads, from.heads.num_heads)?;
        at_most(layer, "hidden width", to.ffn.hidden_dim, from.ffn.hidden_dim)?;
    }
    Ok(())
}
