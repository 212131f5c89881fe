use std::collections::BTreeMap;

use learngene_models::LayerShape;

use crate::SlotSource;

/// Which parts of a source were used, each counted once however many copies were made of it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Scalars of each part: a tensor, or one head's share of a layer's.
    parts: BTreeMap<String, usize>,
}

impl Ledger {
    /// Notes that a part of that many scalars was used.
    pub(crate) fn take(&mut self, part: impl Into<String>, scalars: usize) {
        self.parts.insert(part.into(), scalars);
    }

    /// Notes a slot's head: its rows of query, key and value with their biases, its biases of
    /// relative positions, and its columns, of which `embed_dim` channels are used.
    pub(crate) fn take_head(&mut self, slot: &SlotSource, shape: LayerShape, embed_dim: usize) {
        let SlotSource { layer, head, projection_head, .. } = slot;
        let head_dim = shape.heads.head_dim;
        let rows = 3 * head_dim * (embed_dim + 1) + shape.relative_positions.unwrap_or(0);
        self.take(format!("layers.{layer}.heads.{head}"), rows);
        self.take(format!("layers.{layer}.columns.{projection_head}"), embed_dim * head_dim);
    }

    /// Scalars used.
    pub(crate) fn total(&self) -> u64 {
        self.parts.values().map(|scalars| *scalars as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use learngene_models::HeadLayout;

    use super::*;

    #[test]
    fn what_is_copied_twice_counts_once() {
        let mut ledger = Ledger::default();
        let first = SlotSource { layer: 0, head: 1, projection_head: 1, projection_scale: 1.0 };
        ledger.take("norm.weight", 8);
        ledger.take("norm.weight", 8);
        let shape = LayerShape {
            embed_dim: 4,
            heads: HeadLayout { num_heads: 2, head_dim: 2 },
            mlp_hidden_dim: 8,
            relative_positions: None,
        };
        // A head of 2 by 4: 30 scalars in its rows, 8 in its columns.
        ledger.take_head(&first, shape, 4);
        ledger.take_head(&first, shape, 4);
        ledger.take_head(&SlotSource { projection_head: 0, ..first }, shape, 4);
        ledger.take_head(&SlotSource { layer: 1, ..first }, shape, 4);
        assert_eq!(ledger.total(), 8 + (30 + 8) + 8 + (30 + 8));
    }
}
