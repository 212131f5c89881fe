//! Which heads and FFNs come from which.

use std::collections::{BTreeMap, BTreeSet};

use learngene_expansion::{DescendantConfig, NewLayers, SlotSource};
use learngene_format::Manifest;

use crate::{
    description::Description,
    method::Method,
    text::{count, first, layer_list, list, runs, thousands},
};

/// Heads and FFNs of two models, and which come from which.
///
/// What a learngene joins is kept under the name of its representative.
#[derive(Debug, PartialEq)]
pub(super) struct Flow {
    /// What the right side is.
    pub title: String,
    /// The ancestor's layers.
    pub from: Vec<Row>,
    /// The learngene's or the descendant's layers.
    pub to: Vec<Row>,
    /// Heads, as (row, place in the row) at the left and at the right.
    pub heads: Vec<Link>,
    /// FFNs, as rows at the left and at the right.
    pub ffns: Vec<(usize, usize)>,
}

/// One layer.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub name: String,
    /// Names of its heads.
    pub heads: Vec<String>,
    /// Whether it has an FFN of its own.
    pub has_ffn: bool,
}

/// A head that another comes from.
#[derive(Debug, PartialEq)]
pub(super) struct Link {
    pub from: (usize, usize),
    pub to: (usize, usize),
}

/// From the ancestor's heads to those that a learngene keeps of each cluster.
pub(super) fn of_learngene(manifest: &Manifest) -> Flow {
    let row = |layer: usize, heads: Vec<String>, has_ffn| Row {
        name: format!("layer {layer}"),
        heads,
        has_ffn,
    };
    let names =
        |heads: &mut dyn Iterator<Item = usize>| heads.map(|head| head.to_string()).collect();
    let mut heads = Vec::new();
    let mut to = Vec::new();
    for (layer, &of) in manifest.layers.iter().enumerate() {
        let clusters = &manifest.clusters.heads.layers[of];
        let kept = names(&mut clusters.representatives.iter().copied());
        to.push(row(of, kept, manifest.ffn_layer(layer) == layer));
        for (place, cluster) in clusters.clusters.iter().enumerate() {
            let members = clusters.members(*cluster).into_iter();
            heads.extend(members.map(|head| Link { from: (of, head), to: (layer, place) }));
        }
    }
    let num_heads = manifest.ancestor.shape.num_heads();
    let from = num_heads.iter().enumerate();
    let from = from.map(|(layer, heads)| row(layer, names(&mut (0..*heads)), true)).collect();
    let layers = manifest.layers.iter().enumerate();
    let ffns = layers.map(|(layer, of)| (*of, manifest.ffn_layer(layer))).collect();
    Flow { title: "learngene".into(), from, to, heads, ffns }
}

impl Description {
    /// From the ancestor's heads that were used to the descendant's.
    pub(super) fn flow(&self) -> Flow {
        let num_heads = self.shape.num_heads();
        let mut used: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for layer in self.layers.iter().flatten() {
            used.entry(*layer).or_default();
        }
        for slot in self.slots.iter().flatten() {
            used.entry(slot.layer).or_default().insert(slot.head);
        }
        let row_of = |layer: usize| used.keys().position(|used| *used == layer).unwrap_or(0);
        let place_of = |slot: &SlotSource| {
            let place = used[&slot.layer].iter().position(|head| *head == slot.head);
            (row_of(slot.layer), place.unwrap_or(0))
        };
        let links = self.slots.iter().enumerate().flat_map(|(layer, slots)| {
            let link = move |(head, slot): (usize, &SlotSource)| (place_of(slot), (layer, head));
            slots.iter().enumerate().map(link).collect::<Vec<_>>()
        });
        Flow {
            title: "descendant".into(),
            heads: links.map(|(from, to)| Link { from, to }).collect(),
            from: used
                .iter()
                .map(|(layer, heads)| Row {
                    name: format!("layer {layer}"),
                    heads: heads.iter().map(usize::to_string).collect(),
                    has_ffn: true,
                })
                .collect(),
            to: num_heads
                .iter()
                .enumerate()
                .map(|(layer, heads)| Row {
                    name: format!("layer {layer}"),
                    heads: (0..*heads).map(|head| head.to_string()).collect(),
                    has_ffn: true,
                })
                .collect(),
            ffns: self
                .layers
                .iter()
                .enumerate()
                .filter_map(|(to, from)| Some((row_of((*from)?), to)))
                .collect(),
        }
    }

    /// The same in words.
    pub(super) fn describe(&self) -> String {
        let DescendantConfig { order, projection, new_layers, .. } = &self.origin.config;
        let mut widths: Vec<usize> =
            self.shape.layers().iter().map(|layer| layer.ffn.hidden_dim).collect();
        widths.dedup();
        let mut lines = vec![format!(
            "{}: {} of {} heads, embed_dim {}, hidden_dim {}, {} parameters, {} values inherited",
            self.origin.method.name(),
            count(self.shape.depth(), "layer", "layers"),
            layer_list(&self.shape.num_heads()),
            self.shape.embed_dim(),
            list(&widths),
            thousands(self.parameters),
            thousands(self.inherited_parameters)
        )];
        if self.origin.method == Method::ClusterLearngene {
            lines.push(match projection {
                Some(projection) => format!("order {order}, projection {projection}"),
                None => format!("order {order}, the learngene's own projection"),
            });
        }
        for (layer, (source, slots)) in self.layers.iter().zip(&self.slots).enumerate() {
            let from: Vec<usize> = slots.iter().map(|slot| slot.head).collect();
            let is_new = self.layers[..layer].contains(source);
            let start = match new_layers {
                NewLayers::Identity if is_new => ", the identity at first",
                _ => "",
            };
            let heads = match from.as_slice() {
                [] => "picked from all".into(),
                from => format!("from {}", first(from)),
            };
            lines.push(match source {
                Some(source) => {
                    format!("layer {layer:2} from the ancestor's {source:2}{start}: heads {heads}")
                }
                None => format!("layer {layer:2} drawn"),
            });
        }
        let mut sharing: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (layer, ffn) in self.ffn.iter().enumerate() {
            sharing.entry(*ffn).or_default().push(layer);
        }
        let sharing = sharing.values().filter(|layers| layers.len() > 1);
        lines.extend(
            sharing.map(|layers| format!("layers {} begin with the same FFN", runs(layers))),
        );
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_comes_from_its_source() {
        let flow = Description::example().flow();
        assert_eq!(
            flow.from,
            [Row { name: "layer 2".into(), heads: vec!["1".into(), "5".into()], has_ffn: true }]
        );
        let link = |from, to| Link { from, to };
        let wanted = [
            link((0, 1), (0, 0)),
            link((0, 0), (0, 1)),
            link((0, 1), (0, 2)),
            link((0, 0), (1, 0)),
        ];
        assert_eq!(flow.heads, wanted);
        assert_eq!(flow.ffns, [(0, 0), (0, 1)]);
    }

    #[test]
    fn words_say_the_same() {
        let text = Description::example().describe();
        for line in [
            "cluster-learngene: 2 layers of 3, 1 heads, embed_dim 8, hidden_dim 16, 100 parameters",
            "order priority, the learngene's own projection",
            "layer  0 from the ancestor's  2: heads from 5, 1, 5\n",
            "layer  1 from the ancestor's  2, the identity at first: heads from 1\n",
            "\nlayers 0, 1 begin with the same FFN",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn drawn_layers_have_no_source() {
        let mut drawn = Description::example();
        (drawn.layers[0], drawn.slots[0], drawn.ffn[0]) = (None, Vec::new(), 7);
        let flow = drawn.flow();
        assert_eq!((flow.heads.len(), flow.ffns.as_slice()), (1, &[(0, 1)][..]));
        let text = drawn.describe();
        assert!(
            text.contains("\nlayer  0 drawn\nlayer  1 from the ancestor's  2: heads"),
            "{text}"
        );
        assert!(!text.contains("FFN"), "{text}");
    }
}
