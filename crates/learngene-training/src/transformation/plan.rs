//! What a descendant shares.

use learngene_models::ModelConfig;
use serde::{Deserialize, Serialize};

use super::TransformationError;
use crate::SlotSource;

/// What a descendant holds several times: which of its layers began with one feed-forward network,
/// and which heads of a layer with one centroid.
///
/// [`Descendant::plan`](crate::Descendant::plan) makes it; one that is read from elsewhere is
/// checked against the model when transformations are attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformationPlan {
    /// `ffn[l]`: layers of the same number began with the same feed-forward network.
    pub ffn: Vec<usize>,
    /// `heads[l][s]`: slots of layer `l` of the same number are copies of one centroid; empty where
    /// no head of the layer is a copy of another.
    pub heads: Vec<Vec<usize>>,
}

impl TransformationPlan {
    /// The plan of a descendant whose layers have these feed-forward networks and whose heads were
    /// filled from there. Copies have both their rows and their columns from the same heads.
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
    /// Where it tells of another number of layers, or of heads of a layer, or lets layers of
    /// several stages share one feed-forward network.
    pub fn check(&self, config: &ModelConfig) -> Result<(), TransformationError> {
        let want = config.depth();
        for (part, got) in [("FFNs", self.ffn.len()), ("heads", self.heads.len())] {
            if got != want {
                return Err(TransformationError::Depth { part, got, want });
            }
        }
        let num_heads = config.num_heads().into_iter().zip(&self.heads);
        for (layer, (want, slots)) in num_heads.enumerate() {
            if !slots.is_empty() && slots.len() != want {
                return Err(TransformationError::Heads { layer, got: slots.len(), want });
            }
        }
        for stage in config.stages() {
            for layer in stage.clone() {
                let first = self.first_of_group(layer);
                if first < stage.start {
                    return Err(TransformationError::Stages { layer, first });
                }
            }
        }
        Ok(())
    }

    /// The first layer that began with the same feed-forward network.
    fn first_of_group(&self, layer: usize) -> usize {
        let number = self.ffn[layer];
        self.ffn.iter().position(|ffn| *ffn == number).unwrap_or(layer)
    }

    /// Whether another layer began with the same feed-forward network.
    pub(super) fn shares_ffn(&self, layer: usize) -> bool {
        self.ffn.iter().filter(|ffn| **ffn == self.ffn[layer]).count() > 1
    }

    /// Whether a layer holds two copies of one centroid.
    pub(super) fn holds_copies(&self, layer: usize) -> bool {
        let slots = &self.heads[layer];
        (1..slots.len()).any(|slot| slots[..slot].contains(&slots[slot]))
    }
}

#[cfg(test)]
mod tests {
    use learngene_models::{SwinConfig, VitConfig};

    use super::*;

    /// Of three layers of 3, 4 and 2 heads.
    fn plan(ffn: &[usize], heads: &[&[usize]]) -> TransformationPlan {
        let heads = heads.iter().map(|slots| slots.to_vec()).collect();
        TransformationPlan { ffn: ffn.to_vec(), heads }
    }

    fn check(ffn: &[usize], heads: &[&[usize]], message: &str) {
        let vit = VitConfig::new(24, vec![3, 4, 2], 8, 40).into();
        let error = plan(ffn, heads).check(&vit).expect_err("another model's plan");
        assert_eq!(error.to_string(), message);
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

    const HEADS: [&[usize]; 3] = [&[0, 1, 0], &[0, 1, 2, 3], &[0, 0]];

    #[test]
    fn a_plan_of_another_depth_is_refused() {
        let message = |part| {
            format!("the plan of transformations tells of the {part} of 2 layers, the model has 3")
        };
        check(&[0, 0], &HEADS, &message("FFNs"));
        check(&[0, 0, 1], &HEADS[..2], &message("heads"));
    }

    #[test]
    fn a_plan_of_other_heads_is_refused_with_the_layer() {
        let message = "layer 1: the plan of transformations tells of 3 heads, the layer has 4";
        check(&[0, 0, 1], &[&[0, 1, 0], &[0, 1, 2], &[0, 0]], message);
        let vit = VitConfig::new(24, vec![3, 4, 2], 8, 40).into();
        let drawn = plan(&[0, 4, 1], &[&[0, 1, 0], &[], &[0, 0]]);
        assert_eq!(drawn.check(&vit), Ok(()), "a layer without copies tells of none");
    }

    #[test]
    fn a_group_does_not_leave_its_stage() {
        let heads = vec![vec![3, 4], vec![2]];
        let swin = SwinConfig::new(12, heads, vec![8, 8], vec![20, 40]).into();
        assert_eq!(plan(&[0, 0, 1], &HEADS).check(&swin), Ok(()));
        let error = plan(&[1, 0, 1], &HEADS).check(&swin).expect_err("layer 2 is of stage 1");
        assert_eq!(error, TransformationError::Stages { layer: 2, first: 0 });
    }

    #[test]
    fn what_is_shared_is_what_has_one_number() {
        let plan = plan(&[0, 5, 0], &HEADS);
        assert_eq!([0, 1, 2].map(|layer| plan.shares_ffn(layer)), [true, false, true]);
        assert_eq!([0, 1, 2].map(|layer| plan.holds_copies(layer)), [true, false, true]);
    }
}
