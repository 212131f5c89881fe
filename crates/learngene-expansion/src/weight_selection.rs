//! Elements of the whole ancestor, chosen evenly along every axis.

use learngene_models::{HostTensor, ModelConfig, StateDict, checkpoint::resample_pos_embed};

use crate::{
    ClassifierPolicy, Descendant, DescendantConfig, ExpansionError, NewLayers,
    ancestor::check_ancestor, init::fresh_classifier,
};

/// Initialises a smaller model from evenly chosen elements of the whole ancestor's tensors: weight
/// selection, for comparison.
///
/// As Xu et al., "Initializing Models with Larger Ones", ICLR 2024,
/// <https://arxiv.org/abs/2311.18823>: the first layers (of each stage; another
/// [`LayerPolicy`](crate::LayerPolicy) may be asked for), and of each tensor, along each axis that
/// is shorter in the descendant, every element number `floor(i from / to)`. One axis that several
/// parts share is chosen from part by part: query, key and value of a fused weight, and the four
/// patches that a Swin merges. Where the sizes divide, as in all published pairs, that is the
/// published choice, so that the channels of the residual stream agree through the whole model.
///
/// Heads of the descendant are not heads of the ancestor: their channels are picked from all of
/// them. So [`Descendant::slots`] is empty for every layer. The wishes for new layers, an order and
/// projections are not looked at; head width is the ancestor's.
///
/// # Errors
/// [`ExpansionError::Larger`] where the descendant has anything more than the ancestor,
/// [`ExpansionError::Ancestor`] where the parameters are not those of the ancestor's shape.
///
/// ```
/// use learngene_expansion::{DescendantConfig, from_scratch, weight_selection};
/// use learngene_models::VitConfig;
///
/// let vit = VitConfig::uniform(16, 4, 2).with_image_size(32).with_num_classes(10).into();
/// let ancestor = from_scratch(&vit, 0)?;
/// let wanted = DescendantConfig {
///     depth: 2.into(),
///     heads: "1".parse()?,
///     embed_dim: Some(8),
///     ..DescendantConfig::default()
/// };
/// let norm = weight_selection(&ancestor, &vit, &wanted)?.parameters;
/// assert_eq!(norm.get("norm.weight").map(|norm| norm.values.len()), Some(8));
/// # Ok::<(), learngene_expansion::ExpansionError>(())
/// ```
pub fn weight_selection(
    parameters: &StateDict,
    ancestor: &ModelConfig,
    wanted: &DescendantConfig,
) -> Result<Descendant, ExpansionError> {
    let new_layers = NewLayers::Copy;
    let checked = DescendantConfig { new_layers, ..wanted.clone() }.check(ancestor)?;
    check_ancestor(parameters, ancestor, checked.classifier)?;
    let shape = checked.shape;
    check_smaller(ancestor, &shape, &checked.sources)?;

    let mut selected = StateDict::default();
    let mut inherited_parameters = 0;
    for (name, to) in shape.parameter_shapes() {
        let is_classifier = name.rsplit_once('.').is_some_and(|(module, _)| module == shape.head());
        if is_classifier && checked.classifier == ClassifierPolicy::Fresh {
            continue;
        }
        let from = parameters.get(&source_name(&name, ancestor, &shape, &checked.sources));
        let mut tensor = from.expect("the parameters were checked against the shape").clone();
        let is_positions = name == "pos_embed";
        for (axis, to) in to.into_iter().enumerate() {
            // Positions are interpolated, not picked.
            if !(is_positions && axis == 1) {
                tensor = select(tensor, axis, to, parts(&name, axis));
            }
        }
        inherited_parameters += tensor.values.len() as u64;
        if let (ModelConfig::Vit(from), ModelConfig::Vit(to)) = (ancestor, &shape)
            && is_positions
            && from.grid_size() != to.grid_size()
        {
            tensor = resample_pos_embed(&tensor, from.grid_size(), to.grid_size());
        }
        selected.insert(name, tensor);
    }
    if checked.classifier == ClassifierPolicy::Fresh {
        for (name, tensor) in fresh_classifier(&shape, checked.seed) {
            selected.insert(name, tensor);
        }
    }
    Ok(Descendant {
        parameters: selected,
        inherited_parameters,
        ffn: checked.sources.clone(),
        slots: vec![Vec::new(); checked.sources.len()],
        layers: checked.sources.into_iter().map(Some).collect(),
        config: shape,
    })
}

/// Whether the ancestor has enough of everything.
fn check_smaller(
    ancestor: &ModelConfig,
    shape: &ModelConfig,
    sources: &[usize],
) -> Result<(), ExpansionError> {
    let at_most = |layer, what, got, most| match got {
        got if got <= most => Ok(()),
        got => Err(ExpansionError::Larger { layer, what, got, most }),
    };
    for (layer, &source) in sources.iter().enumerate() {
        if let Some(first) = sources[..layer].iter().position(|other| *other == source) {
            return Err(ExpansionError::Repeated { layer, first, source_layer: source });
        }
        let (to, from) = (shape.layer(layer), ancestor.layer(source));
        at_most(layer, "token width", to.embed_dim, from.embed_dim)?;
        at_most(layer, "heads", to.heads.num_heads, from.heads.num_heads)?;
        at_most(layer, "hidden width", to.mlp_hidden_dim, from.mlp_hidden_dim)?;
    }
    Ok(())
}

/// The ancestor's parameter that one of the descendant is chosen from.
fn source_name(
    name: &str,
    ancestor: &ModelConfig,
    shape: &ModelConfig,
    sources: &[usize],
) -> String {
    let of_layer = sources.iter().enumerate().find_map(|(layer, source)| {
        let rest = name.strip_prefix(&shape.block(layer))?.strip_prefix('.')?;
        Some(format!("{}.{rest}", ancestor.block(*source)))
    });
    of_layer.unwrap_or_else(|| name.to_owned())
}

/// Parts that lie side by side along an axis.
fn parts(name: &str, axis: usize) -> usize {
    match axis {
        0 if name.contains(".attn.qkv.") => 3,
        0 if name.contains(".downsample.norm.") => 4,
        1 if name.ends_with(".downsample.reduction.weight") => 4,
        _ => 1,
    }
}

/// Evenly chosen elements along an axis, the same number of each of its parts.
fn select(tensor: HostTensor, axis: usize, to: usize, parts: usize) -> HostTensor {
    let from = tensor.shape[axis];
    if from == to {
        return tensor;
    }
    let (from_part, to_part) = (from / parts, to / parts);
    let index = |part: usize, i: usize| part * from_part + i * from_part / to_part;
    let indices: Vec<usize> =
        (0..parts).flat_map(|part| (0..to_part).map(move |i| index(part, i))).collect();
    let HostTensor { mut shape, values } = tensor;
    let inner: usize = shape[axis + 1..].iter().product();
    let outer = values.chunks_exact(from * inner);
    let chosen = outer.flat_map(|outer| {
        indices.iter().flat_map(move |index| &outer[index * inner..(index + 1) * inner])
    });
    let chosen: Vec<f32> = chosen.copied().collect();
    shape[axis] = to;
    HostTensor::new(shape, chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &[usize], axis: usize, to: usize, parts: usize, wanted: &[f32]) {
        let count = shape.iter().product::<usize>();
        let tensor = HostTensor::new(shape, (0..count).map(|value| value as f32).collect());
        let selected = select(tensor, axis, to, parts);
        assert_eq!(selected.values, wanted);
        assert_eq!(selected.shape[axis], to);
    }

    #[test]
    fn elements_are_chosen_evenly() {
        check(&[6], 0, 3, 1, &[0., 2., 4.]);
        check(&[5], 0, 3, 1, &[0., 1., 3.]);
        check(&[2, 4], 1, 2, 1, &[0., 2., 4., 6.]);
        check(&[4, 2], 0, 2, 1, &[0., 1., 4., 5.]);
        check(&[3], 0, 3, 1, &[0., 1., 2.]);
    }

    #[test]
    fn parts_of_an_axis_give_equally_many() {
        // Three parts of four: two of each, where 12 by 6 alone gives the same; of five not.
        check(&[12], 0, 6, 3, &[0., 2., 4., 6., 8., 10.]);
        check(&[15], 0, 6, 3, &[0., 2., 5., 7., 10., 12.]);
    }
}
