//! Which heads of a source fill those of a descendant's layer.

use serde::{Deserialize, Serialize};

/// What fills one head of a descendant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSource {
    /// The ancestor's layer.
    pub layer: usize,
    /// The ancestor's head that query, key and value come from; where a learngene averages
    /// clusters, the member nearest the mean, which only names its cluster.
    pub head: usize,
    /// The ancestor's head that the output-projection columns come from, understood likewise.
    pub projection_head: usize,
    /// What the columns were multiplied by.
    pub projection_scale: f32,
}

/// Which centroid initialises each head of a layer: priority weight-sharing.
///
/// The centroids, taken in order, go round: c heads get one each, the next c a second copy, and so
/// on. So each of `centroids` initialises floor(`heads` / `centroids`) heads and the first
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

/// How many slots each centroid fills.
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
        /// Every slot is filled from a centroid that exists.
        #[test]
        fn every_slot_has_a_centroid(centroids in 1usize..40, heads in 0usize..200) {
            let slots = assign_slots(centroids, heads);
            prop_assert_eq!(slots.len(), heads);
            prop_assert!(slots.iter().all(|centroid| *centroid < centroids));
        }

        /// No centroid is copied two times more than another.
        #[test]
        fn copies_differ_by_at_most_one(centroids in 1usize..40, heads in 0usize..200) {
            let copies = copies(&assign_slots(centroids, heads), centroids);
            let most = copies.iter().max().expect("at least one centroid");
            let least = copies.iter().min().expect("at least one centroid");
            prop_assert!(most - least <= 1);
        }

        /// Centroids come by falling cluster size, and so do their copies.
        #[test]
        fn larger_clusters_never_get_fewer(centroids in 1usize..40, heads in 0usize..200) {
            let copies = copies(&assign_slots(centroids, heads), centroids);
            prop_assert!(copies.is_sorted_by(|larger, smaller| larger >= smaller));
        }
    }
}
