//! What all ways of inheriting whole heads have in common.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use learngene_shape::{Axis, HeadLayout, LayerSizes, Parameter, Part, Place, Shape, select_heads};
use learngene_tensors::{StateDict, Tensor};

use crate::{
    ClassifierPolicy, Descendant, NewLayers, SlotSource,
    checked::CheckedDescendantConfig,
    init::fresh,
    ledger::Ledger,
    width::{is_width, resize},
};

/// What a descendant inherits from: the parameters of a model of the ancestor's depth and widths,
/// perhaps with fewer heads, whose layers may share FFNs.
pub(crate) struct Source<'a> {
    pub(crate) shape: Shape,
    /// Checked to hold every parameter that the shape has (of FFNs those in `ffn`, of a classifier
    /// only one that is inherited) and every substitute.
    pub(crate) tensors: &'a StateDict,
    /// For each layer the one whose FFN it has.
    pub(crate) ffn: Vec<usize>,
}

/// What fills the heads of one layer of a descendant.
#[derive(Default)]
pub(crate) struct LayerHeads {
    /// For each slot the head of the source.
    pub(crate) heads: Vec<usize>,
    /// The same by the ancestor's numbers, and what the slot's columns are multiplied by.
    pub(crate) slots: Vec<SlotSource>,
    /// Tensors read instead of parameters of the source's layer, by the names of these.
    pub(crate) substitutes: BTreeMap<String, Substitute>,
}

/// A tensor that is read instead of a parameter.
pub(crate) struct Substitute {
    pub(crate) tensor: Tensor,
    /// Heads and hidden units that it holds.
    pub(crate) sizes: LayerSizes,
    /// For each slot its head.
    pub(crate) heads: Vec<usize>,
}

/// Makes a descendant from a source. `heads` gives what fills a layer's heads, for a layer of the
/// source and the sizes that the layer is to have.
pub(crate) fn assemble(
    source: &Source<'_>,
    config: CheckedDescendantConfig,
    heads: impl Fn(usize, LayerSizes) -> LayerHeads,
) -> Descendant {
    let CheckedDescendantConfig { shape, sources, norm_sources, drawn, seed, .. } = config;
    let sizes = shape.layer_sizes();
    let layer_heads = |layer: usize| match drawn[layer] {
        true => LayerHeads::default(),
        false => heads(sources[layer], sizes[layer]),
    };
    let layer_heads: Vec<LayerHeads> = (0..shape.depth()).map(layer_heads).collect();
    let is_silent = |layer: usize| {
        config.new_layers == NewLayers::Identity && sources[..layer].contains(&sources[layer])
    };
    let silent: BTreeSet<usize> = (0..shape.depth()).filter(|layer| is_silent(*layer)).collect();

    let of_source = by_place(&source.shape);
    let mut ledger = Ledger::default();
    let mut parameters = StateDict::default();
    for (place, of_place) in by_place(&shape) {
        let is_fresh = match place {
            Place::Classifier => config.classifier == ClassifierPolicy::Fresh,
            _ => place.layer().is_some_and(|layer| drawn[layer]),
        };
        if is_fresh {
            let draw = |to: Parameter| (to.name.clone(), fresh(&to, seed));
            parameters.extend(of_place.into_iter().map(draw));
            continue;
        }
        let from_place = match place {
            Place::Layer { layer, part } => {
                let layer = match part {
                    Part::Norm1 | Part::Norm2 => norm_sources[layer],
                    Part::Attention => sources[layer],
                    Part::Ffn => source.ffn[sources[layer]],
                };
                Place::Layer { layer, part }
            }
            once => once,
        };
        let none = LayerHeads::default();
        let heads = place.layer().map_or(&none, |layer| &layer_heads[layer]);
        let is_silent = place.layer().is_some_and(|layer| silent.contains(&layer));
        for (from, to) in pairs(&of_source[&from_place], of_place) {
            let mut tensor = inherit(source, from, &to, heads, &mut ledger);
            if is_silent && ends_branch(&to) {
                tensor.values.fill(0.0);
            }
            parameters.insert(to.name, tensor);
        }
    }
    let origin = |layer: usize| (!drawn[layer]).then(|| sources[layer]);
    let ffn = |layer: usize| match drawn[layer] {
        true => source.shape.depth() + layer,
        false => source.ffn[sources[layer]],
    };
    Descendant {
        parameters,
        inherited_parameters: ledger.total(),
        layers: (0..shape.depth()).map(origin).collect(),
        ffn: (0..shape.depth()).map(ffn).collect(),
        slots: layer_heads.into_iter().map(|heads| heads.slots).collect(),
        shape,
    }
}

/// One parameter of the source made to one of the descendant.
fn inherit(
    source: &Source<'_>,
    from: &Parameter,
    to: &Parameter,
    heads: &LayerHeads,
    ledger: &mut Ledger,
) -> Tensor {
    let mut from = from.clone();
    let (tensor, chosen) = match heads.substitutes.get(&from.name) {
        Some(substitute) => {
            set_sizes(&mut from, substitute.sizes);
            (&substitute.tensor, &substitute.heads)
        }
        None => {
            let tensor = source.tensors.get(&from.name);
            (tensor.expect("a source has whatever is inherited"), &heads.heads)
        }
    };
    let mut selected = select_heads(&from, tensor, chosen);
    let reads_heads = from.is_output_projection();
    if reads_heads {
        scale_columns(&mut selected, &heads.slots);
    }
    let owner = |slot: &SlotSource| if reads_heads { slot.projection_head } else { slot.head };
    ledger.take(&from, to, &heads.slots.iter().map(owner).collect::<Vec<_>>());
    resize(selected, &from, to, is_width)
}

/// Multiplies the columns that read each head by the factor of its slot.
///
/// # Shapes
/// - weight: `[embed_dim, slots * head_dim]`
fn scale_columns(weight: &mut Tensor, slots: &[SlotSource]) {
    let width = weight.shape[1];
    for row in weight.values.chunks_exact_mut(width) {
        for (columns, slot) in row.chunks_exact_mut(width / slots.len()).zip(slots) {
            columns.iter_mut().for_each(|value| *value *= slot.projection_scale);
        }
    }
}

/// Makes a parameter that of a layer of other sizes.
fn set_sizes(parameter: &mut Parameter, sizes: LayerSizes) {
    for axis in &mut parameter.axes {
        match axis {
            Axis::Heads { layout: HeadLayout { num_heads, .. }, .. }
            | Axis::PerHead { num_heads } => *num_heads = sizes.num_heads,
            Axis::Hidden { width, .. } => *width = sizes.hidden_dim,
            _ => {}
        }
    }
}

/// Whether a branch of a layer ends in a parameter: with zeros in all of these, the layer is the
/// identity.
fn ends_branch(parameter: &Parameter) -> bool {
    let is_of_branch =
        matches!(parameter.place, Place::Layer { part: Part::Attention | Part::Ffn, .. });
    is_of_branch && matches!(parameter.axes[0], Axis::Stream { .. })
}

/// Parameters of one place in two models of a family, which lists the same parameters in the same
/// order for every layer.
pub(crate) fn pairs(
    from: &[Parameter],
    to: Vec<Parameter>,
) -> impl Iterator<Item = (&Parameter, Parameter)> {
    assert_eq!(from.len(), to.len(), "as many parameters in each layer");
    from.iter().zip(to)
}

/// The parameters of a model by where they act, each place's in the family's order.
pub(crate) fn by_place(shape: &Shape) -> HashMap<Place, Vec<Parameter>> {
    let mut places: HashMap<Place, Vec<Parameter>> = HashMap::new();
    for parameter in shape.parameters() {
        places.entry(parameter.place).or_default().push(parameter);
    }
    places
}
