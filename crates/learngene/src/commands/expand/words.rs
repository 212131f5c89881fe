//! Notes on a descendant, for people.

use std::collections::BTreeSet;

use learngene_expansion::SlotSource;
use learngene_shape::Shape;

use crate::text::{count, runs};

/// In how many layers heads begin, and so train, as copies of each other: equal weights get equal
/// gradients.
pub fn copies(slots: &[Vec<SlotSource>]) -> Option<String> {
    let has_copies = |slots: &&Vec<SlotSource>| {
        let sources = slots.iter().map(|slot| (slot.head, slot.projection_head));
        sources.collect::<BTreeSet<_>>().len() < slots.len()
    };
    let layers = slots.iter().filter(has_copies).count();
    (layers > 0).then(|| {
        let layers = count(layers, "layer", "layers");
        format!(
            "in {layers} several heads are copies of one, and stay equal while they train: \
             `train --transform-heads low-rank` makes them different"
        )
    })
}

/// In how many layers hidden units begin, and so train, as copies of each other.
pub fn twins(shape: &Shape, layers: &[Option<usize>], ancestor: &Shape) -> Option<String> {
    let hidden = |shape: &Shape, layer| shape.layer(layer).ffn.hidden_dim;
    let is_wider = |(layer, source): &(usize, &Option<usize>)| {
        source.is_some_and(|source| hidden(shape, *layer) > hidden(ancestor, source))
    };
    let layers = layers.iter().enumerate().filter(is_wider).count();
    (layers > 0).then(|| {
        let layers = count(layers, "layer", "layers");
        format!(
            "in {layers} several hidden units are copies of one, and stay equal while they train: \
             `train --transform-ffn low-rank` makes them different"
        )
    })
}

/// Which of the ancestor's layers several layers inherit: `layers 2, 3 repeat the ancestor's 2`.
pub fn repeats(layers: &[Option<usize>]) -> Option<String> {
    let sources: BTreeSet<usize> = layers.iter().flatten().copied().collect();
    let repeats = sources.into_iter().filter_map(|source| {
        let is_heir = |heir: &usize| layers[*heir] == Some(source);
        let heirs: Vec<usize> = (0..layers.len()).filter(is_heir).collect();
        (heirs.len() > 1).then(|| format!("layers {} repeat the ancestor's {source}", runs(&heirs)))
    });
    let repeats: Vec<String> = repeats.collect();
    (!repeats.is_empty()).then(|| repeats.join("; "))
}

/// Where inherited layers stand among drawn ones: `layers 0, 1 are drawn, 2, 3 are the ancestor's
/// 10, 11`.
pub fn origins(layers: &[Option<usize>]) -> String {
    let is_drawn = |layer: &usize| layers[*layer].is_none();
    let (drawn, inherited): (Vec<usize>, Vec<usize>) = (0..layers.len()).partition(is_drawn);
    let sources: Vec<usize> = layers.iter().flatten().copied().collect();
    let drawn = match drawn.as_slice() {
        [] => String::new(),
        drawn => format!("{} are drawn, ", runs(drawn)),
    };
    format!("layers {drawn}{} are the ancestor's {}", runs(&inherited), runs(&sources))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_of_layers_are_named() {
        let words = "layers 0, 2 are drawn, 1, 3 are the ancestor's 7, 8";
        assert_eq!(origins(&[None, Some(7), None, Some(8)]), words);
        assert_eq!(origins(&[1, 3].map(Some)), "layers 0, 1 are the ancestor's 1, 3");
        assert_eq!(repeats(&[None, None, Some(1)]), None);
        let words = "layers 0, 2 repeat the ancestor's 1";
        assert_eq!(repeats(&[Some(1), None, Some(1)]).as_deref(), Some(words));
        let words = "layers 0 to 23 repeat the ancestor's 1";
        assert_eq!(repeats(&[Some(1); 24]).as_deref(), Some(words));
    }
}
