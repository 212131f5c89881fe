//! Repeated augmentation: several views of an image in one epoch.
//!
//! Sources: Hoffer et al., "Augment your batch", 2020, and Berman et al., "MultiGrain", 2019,
//! <https://arxiv.org/abs/1902.05509>; the order is that of DeiT's `RASampler`.

/// One of an epoch's views of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// Of the image in its dataset.
    pub index: usize,
    /// Which of its views, from 0: each is changed in another way.
    pub repeat: u32,
}

impl From<usize> for View {
    fn from(index: usize) -> Self {
        Self { index, repeat: 0 }
    }
}

/// Images of an epoch that DeiT rounds down to a multiple of, where there are as many.
const ROUND: usize = 256;

/// The views of one epoch that one of `shards` devices learns from, in order.
///
/// Once each, every device takes every `shards`-th image, and none is left out. Repeated, an epoch stays as long: the
/// views of an image follow each other, so that they go to different devices, and the epoch ends when about as many
/// views were seen as there are images (a multiple of 256, from 256 images on), whichever those are.
///
/// - `order`: all images, shuffled anew for each epoch
pub fn repeat_views(order: &[usize], repeats: u32, shard: usize, shards: usize) -> Vec<View> {
    let shards = shards.max(1);
    if repeats <= 1 {
        return order.iter().skip(shard).step_by(shards).copied().map(View::from).collect();
    }
    let seen = match order.len() {
        images if images >= ROUND => images / ROUND * ROUND / shards,
        images => images.div_ceil(shards),
    };
    let views =
        order.iter().flat_map(|index| (0..repeats).map(|repeat| View { index: *index, repeat }));
    views.cycle().skip(shard).step_by(shards).take(seen).collect()
}

/// How many views an epoch on one device has.
pub fn views_per_epoch(images: usize, repeats: u32) -> usize {
    match repeats {
        0 | 1 => images,
        _ if images >= ROUND => images / ROUND * ROUND,
        _ => images,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a shard's images with those of timm's `RepeatAugSampler` without shuffling.
    fn check(images: usize, repeats: u32, (shard, shards): (usize, usize), want: &[usize]) {
        let order: Vec<usize> = (0..images).collect();
        let views = repeat_views(&order, repeats, shard, shards);
        let got: Vec<usize> = views.iter().map(|view| view.index).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn once_each_shards_are_all_images_without_overlap() {
        check(7, 1, (0, 1), &[0, 1, 2, 3, 4, 5, 6]);
        check(7, 1, (0, 2), &[0, 2, 4, 6]);
        check(7, 1, (1, 2), &[1, 3, 5]);
    }

    #[test]
    fn repeats_go_to_different_shards() {
        check(7, 3, (0, 1), &[0, 0, 0, 1, 1, 1, 2]);
        check(7, 3, (0, 2), &[0, 0, 1, 2]);
        check(7, 3, (1, 2), &[0, 1, 1, 2]);
        check(7, 3, (2, 4), &[0, 2]);
        check(1, 2, (2, 4), &[0]);
    }

    #[test]
    fn an_epoch_of_repeats_is_a_multiple_of_256_long() {
        let order: Vec<usize> = (0..600).collect();
        assert_eq!(repeat_views(&order, 3, 0, 1).len(), 512);
        assert_eq!(repeat_views(&order, 3, 1, 3).len(), 170);
        assert_eq!(repeat_views(&order[..255], 3, 0, 1).len(), 255);
        for (images, repeats) in [(600, 3), (600, 1), (255, 3), (256, 2), (0, 3)] {
            let views = repeat_views(&order[..images], repeats, 0, 1).len();
            assert_eq!(views_per_epoch(images, repeats), views, "{images} images, {repeats} times");
        }
    }

    #[test]
    fn every_view_is_another() {
        let order: Vec<usize> = (0..300).rev().collect();
        let views = repeat_views(&order, 3, 0, 1);
        let distinct: std::collections::BTreeSet<View> = views.iter().copied().collect();
        assert_eq!(distinct.len(), 256);
        assert_eq!(views[4], View { index: 298, repeat: 1 });
    }

    #[test]
    fn nothing_is_repeated_to_nothing() {
        assert_eq!(repeat_views(&[], 3, 0, 2), []);
    }
}
