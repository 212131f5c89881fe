//! What a descendant shares.

use learngene_shape::Shape;
use learngene_tensors::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::SlotSource;

/// What a descendant holds several times: which of its layers began with one FFN, and which heads
/// of a layer with one centroid. Transformations that learn make the copies different.
///
/// [`Descendant::plan`](crate::Descendant::plan) makes it; one that is read from elsewhere is for
/// [`TransformationPlan::check`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformationPlan {
    /// `ffn[l]`: layers of the same number began with the same FFN.
    pub ffn: Vec<usize>,
    /// `heads[l][s]`: slots of layer `l` of the same number are copies of one centroid; empty where
    /// no head of the layer is a copy of another.
    pub heads: Vec<Vec<usize>>,
}

impl TransformationPlan {
    /// The plan of a descendant whose layers have these FFNs and whose heads were filled from
    /// there. Copies have both their rows and their columns from the same heads.
    pub fn new(ffn: Vec<usize>, slots: &[Vec<SlotSource>]) -> Self {
        let number = |slots: &Vec<SlotSource>| {
            let source = |slot: &SlotSource| (slot.head, slot.projection_head);
            let first = |slot: &SlotSource| slots.iter().position(|s| source(s) == source(slot));
            slots.iter().filter_map(first).collect()
        };
        Self { ffn, heads: slots.iter().map(number).collect() }
    }

    /// Checks that the plan can be one of a model of that shape.
    ///
    /// # Errors
    /// It describes another number of layers, or of heads of a layer, or lets layers of several
    /// stages share one FFN.
    pub fn check(&self, shape: &Shape) -> Result<()> {
        let depth = shape.depth();
        for (part, found) in [("FFNs", self.ffn.len()), ("heads", self.heads.len())] {
            if found != depth {
                let place = format!("{part} of the transformation plan");
                let expected = format!("{depth}, one for each layer");
                return Err(Error::invalid(place, format!("{found} entries"), expected));
            }
        }
        for (layer, (num_heads, slots)) in
            shape.num_heads().into_iter().zip(&self.heads).enumerate()
        {
            if !slots.is_empty() && slots.len() != num_heads {
                let place = format!("layer {layer}: heads of the transformation plan");
                return Err(Error::invalid(place, slots.len(), num_heads));
            }
        }
        for stage in shape.stages() {
            for layer in stage.clone() {
                let first = self.ffn.iter().position(|ffn| *ffn == self.ffn[layer]);
                if let Some(first) = first.filter(|first| *first < stage.start) {
                    let place = format!("layer {layer}: FFN of the transformation plan");
                    let found = format!("that of layer {first}");
                    return Err(Error::invalid(place, found, "one of its own stage"));
                }
            }
        }
        Ok(())
    }

    /// Whether another layer began with the same FFN.
    pub fn shares_ffn(&self, layer: usize) -> bool {
        self.ffn.iter().filter(|ffn| **ffn == self.ffn[layer]).count() > 1
    }

    /// Whether a layer holds two copies of one centroid.
    pub fn holds_copies(&self, layer: usize) -> bool {
        let slots = &self.heads[layer];
        (1..slots.len()).any(|slot| slots[..slot].contains(&slots[slot]))
    }
}

#[cfg(test)]
mod tests {
    use learngene_shape::{Family, Swin, Vit};

    use super::*;

    const HEADS: [&[usize]; 3] = [&[0, 1, 0], &[0, 1, 2, 3], &[0, 0]];

    /// Of three layers of 3, 4 and 2 heads.
    fn plan(ffn: &[usize], heads: &[&[usize]]) -> TransformationPlan {
        let heads = heads.iter().map(|slots| slots.to_vec()).collect();
        TransformationPlan { ffn: ffn.to_vec(), heads }
    }

    fn refused(plan: TransformationPlan, shape: &Shape, message: &str) {
        assert_eq!(plan.check(shape).expect_err(message).to_string(), message);
    }

    #[test]
    fn copies_are_slots_of_one_source() {
        let slot = |head, projection_head| SlotSource {
            layer: 0,
            head,
            projection_head,
            projection_scale: 1.0,
        };
        // The last has its columns from elsewhere, as under the policy `origin`.
        let slots = [vec![slot(4, 4), slot(1, 1), slot(4, 4), slot(4, 2)]];
        let plan = TransformationPlan::new(vec![7], &slots);
        assert_eq!(plan, TransformationPlan { ffn: vec![7], heads: vec![vec![0, 1, 0, 3]] });
    }

    #[test]
    fn a_plan_of_another_model_is_refused() {
        let vit = Vit::new(24, vec![3, 4, 2], 8, vec![40; 3]).shape().expect("possible");
        let entries = |part: &str| {
            format!(
                "{part} of the transformation plan: found 2 entries, expected 3, one for each layer"
            )
        };
        refused(plan(&[0, 0], &HEADS), &vit, &entries("FFNs"));
        refused(plan(&[0, 0, 1], &HEADS[..2]), &vit, &entries("heads"));
        let other = plan(&[0, 0, 1], &[&[0, 1, 0], &[0, 1, 2], &[0, 0]]);
        let message = "layer 1: heads of the transformation plan: found 3, expected 4";
        refused(other, &vit, message);
        let drawn = plan(&[0, 4, 1], &[&[0, 1, 0], &[], &[0, 0]]);
        drawn.check(&vit).expect("a layer without copies has no entries");
    }

    #[test]
    fn a_group_does_not_leave_its_stage() {
        let swin = Swin { image_size: 56, ..Swin::uniform(12, &[2, 1], &[2, 2]) };
        let swin = Swin { num_heads: vec![3, 4, 2], ..swin }.shape().expect("possible");
        plan(&[0, 0, 1], &HEADS).check(&swin).expect("a group of one stage");
        let message = "layer 2: FFN of the transformation plan: found that of layer 0, expected one \
                       of its own stage";
        refused(plan(&[1, 0, 1], &HEADS), &swin, message);
    }

    #[test]
    fn what_is_shared_is_what_has_one_number() {
        let plan = plan(&[0, 5, 0], &HEADS);
        assert_eq!([0, 1, 2].map(|layer| plan.shares_ffn(layer)), [true, false, true]);
        assert_eq!([0, 1, 2].map(|layer| plan.holds_copies(layer)), [true, false, true]);
    }
}
