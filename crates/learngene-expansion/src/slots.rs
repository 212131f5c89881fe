//! Priority weight-sharing: which centroid initialises each head (slot) of a descendant's layer.

use serde::{Deserialize, Serialize};

/// Where the weights of one head of a descendant come from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSource {
    /// The ancestor's layer.
    pub layer: usize,
    /// The ancestor's head that query, key and value come from; in a learngene of cluster means,
    /// the member nearest the mean, which stands for its cluster.
    pub head: usize,
    /// The ancestor's head that the output-projection columns come from, in the same sense.
    pub projection_head: usize,
    /// What the columns were multiplied by.
    pub projection_scale: f32,
}

/// The centroid that initialises each head of a layer.
///
/// The centroids are assigned cyclically, in order: c heads get one each, the next c a second copy,
/// and so on. So each of `centroids` initialises floor(`heads` / `centroids`) heads and the first
/// `heads` mod `centroids` one more; where there are fewer heads than centroids, only the first
/// centroids are used. Without centroids there are no slots to fill.
///
/// ```
/// use learngene_expansion::assign_slots;
///
/// assert_eq!(assign_slots(3, 7), [0, 1, 2, 0, 1, 2, 0]);
/// assert_eq!(assign_slots(3, 2), [0, 1]);
/// ```
pub fn assign_slots(centroids: usize, heads: usize) -> Vec<usize> {
    (0..heads).filter_map(|slot| slot.checked_rem(centroids)).collect()
}

/// Number of slots that each centroid fills.
pub(crate) fn copies(slots: &[usize], centroids: usize) -> Vec<usize> {
    (0..centroids).map(|c| slots.iter().filter(|slot| **slot == c).count()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_centroids_fill_no_slots() {
        assert_eq!(assign_slots(0, 3), [0usize; 0]);
    }

    proptest! {
        /// Every slot is filled, larger clusters (which come first) never fill fewer, and no centroid
        /// fills two more than another.
        #[test]
        fn centroids_take_turns(centroids in 1usize..40, heads in 0usize..200) {
            let copies = copies(&assign_slots(centroids, heads), centroids);
            prop_assert_eq!(copies.iter().sum::<usize>(), heads);
            prop_assert!(copies.is_sorted_by(|larger, smaller| larger >= smaller));
            prop_assert!(copies[0] - copies[centroids - 1] <= 1);
        }
    }
}
