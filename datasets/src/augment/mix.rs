//! Mixup and cutmix of a batch, and the soft targets that follow.
//!
//! Sources: Zhang et al., "mixup", 2018, <https://arxiv.org/abs/1710.09412>; Yun et al., "CutMix", 2019,
//! <https://arxiv.org/abs/1905.04899>; both for a whole batch at once, as in timm's `Mixup` in mode `batch`. Every
//! image is mixed with the one as far from the batch's end as it is from its beginning.

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

use super::bounds::ensure;
use super::{Augment, CheckedAugment, Part, Region, stream};
use crate::{Batch, DatasetError};

/// How the images of a batch are mixed; plain data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Mix {
    /// Not at all.
    None,
    /// Weighted means of two images each.
    Mixup {
        /// Weight of an image itself.
        lambda: f64,
    },
    /// A part of each image comes from another.
    Cutmix {
        /// The part.
        region: Region,
        /// Share of an image that stays its own.
        lambda: f64,
    },
}

impl CheckedAugment {
    /// Draws how the images of one step's batch are mixed, `step` counted within its epoch.
    pub fn draw_mix(&self, seed: u64, epoch: u64, step: u64, image_size: u32) -> Mix {
        match self.mixes() {
            true => {
                Mix::draw(self.settings(), &mut stream(seed, epoch, step, 0, Part::Mix), image_size)
            }
            false => Mix::None,
        }
    }
}

impl Mix {
    fn draw(augment: &Augment, rng: &mut impl Rng, side: u32) -> Self {
        if rng.random::<f64>() >= augment.mix_probability {
            return Self::None;
        }
        let cutmix = match (augment.mixup > 0.0, augment.cutmix > 0.0) {
            (true, true) => rng.random::<f64>() < augment.cutmix_probability,
            (_, cutmix) => cutmix,
        };
        let alpha = if cutmix { augment.cutmix } else { augment.mixup };
        let lambda = Beta::new(alpha, alpha).expect("checked: above 0").sample(rng);
        match cutmix {
            true => {
                let centre = (rng.random_range(0..side), rng.random_range(0..side));
                Self::cutmix(lambda, centre, (side, side))
            }
            false => Self::Mixup { lambda },
        }
    }

    /// A part of the share `1 - lambda` about a centre, cut off at the image's edges; its lambda is what then stays.
    pub(super) fn cutmix(lambda: f64, centre: (u32, u32), (width, height): (u32, u32)) -> Self {
        let ratio = (1.0 - lambda).sqrt();
        let span = |side: u32, centre: u32| {
            let cut = (f64::from(side) * ratio) as u32;
            (centre.saturating_sub(cut / 2), (centre + cut.div_ceil(2)).min(side))
        };
        let ((left, right), (top, bottom)) = (span(width, centre.0), span(height, centre.1));
        let region = Region { left, top, width: right - left, height: bottom - top };
        let share = f64::from(region.width) * f64::from(region.height)
            / (f64::from(width) * f64::from(height));
        Self::Cutmix { region, lambda: 1.0 - share }
    }

    /// Weight of an image's own class.
    pub fn lambda(&self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Mixup { lambda } | Self::Cutmix { lambda, .. } => *lambda,
        }
    }
}

impl Batch {
    /// Mixes the images and gives the batch soft targets: `1 - label_smoothing` for an image's class, the rest spread
    /// evenly over all, mixed as the images are. Without labels only the pixels are mixed.
    ///
    /// # Errors
    /// When the smoothing is not in [0, 1), a label is none of the classes, or a part is not in the images.
    pub fn mix(
        &mut self,
        mix: &Mix,
        classes: usize,
        label_smoothing: f64,
    ) -> Result<(), DatasetError> {
        let fine = (0.0..1.0).contains(&label_smoothing);
        ensure("label_smoothing", label_smoothing, fine, "in [0, 1)")?;
        if let Some(got) = self.labels.iter().find(|label| **label >= classes) {
            return Err(DatasetError::Target { got: *got, classes });
        }
        if let Mix::Cutmix { region, .. } = mix {
            let size = (self.shape[3] as u32, self.shape[2] as u32);
            if !region.is_inside(size) {
                return Err(DatasetError::Region { region: *region, got: size });
            }
        }
        self.mix_pixels(mix);
        if !self.labels.is_empty() {
            self.targets = Some(targets(&self.labels, mix.lambda(), classes, label_smoothing));
        }
        Ok(())
    }

    fn mix_pixels(&mut self, mix: &Mix) {
        let [images, channels, _, width] = self.shape;
        let values = self.shape[1..].iter().product::<usize>();
        let (front, back) = self.pixels.split_at_mut(images.div_ceil(2) * values);
        // Of an odd number the one in the middle would be mixed with itself.
        let pairs =
            front.chunks_exact_mut(values.max(1)).zip(back.chunks_exact_mut(values.max(1)).rev());
        for (one, other) in pairs {
            match mix {
                Mix::None => {}
                Mix::Mixup { lambda } => {
                    let (own, foreign) = (*lambda as f32, (1.0 - lambda) as f32);
                    for (one, other) in one.iter_mut().zip(other) {
                        (*one, *other) =
                            (*one * own + *other * foreign, *other * own + *one * foreign);
                    }
                }
                Mix::Cutmix { region, .. } => {
                    let [left, top, part_width, height] =
                        [region.left, region.top, region.width, region.height]
                            .map(|pixels| pixels as usize);
                    let plane = (values / channels).max(1);
                    let planes = one.chunks_exact_mut(plane).zip(other.chunks_exact_mut(plane));
                    for (one, other) in planes {
                        for start in (top..top + height).map(|row| row * width + left) {
                            let part = start..start + part_width;
                            one[part.clone()].swap_with_slice(&mut other[part]);
                        }
                    }
                }
            }
        }
    }
}

/// `[images, classes]`.
fn targets(labels: &[usize], lambda: f64, classes: usize, smoothing: f64) -> Vec<f32> {
    let off = smoothing / classes as f64;
    let (on, off) = ((1.0 - smoothing + off) as f32, off as f32);
    let (own, foreign) = (lambda as f32, (1.0 - lambda) as f32);
    let value = |is_class: bool| if is_class { on } else { off };
    let mut targets = Vec::with_capacity(labels.len() * classes);
    for (label, other) in labels.iter().zip(labels.iter().rev()) {
        targets.extend(
            (0..classes)
                .map(|class| value(class == *label) * own + value(class == *other) * foreign),
        );
    }
    targets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Images of 2 x 2 pixels in three channels, image `i` all `i`, of class `i`.
    fn batch(images: usize) -> Batch {
        let pixels = (0..images).flat_map(|image| [image as f32; 12]).collect();
        Batch { pixels, shape: [images, 3, 2, 2], labels: (0..images).collect(), targets: None }
    }

    fn mixed(images: usize, mix: Mix) -> Batch {
        let mut batch = batch(images);
        batch.mix(&mix, images, 0.0).expect("every image has a class of its own");
        batch
    }

    #[test]
    fn mixup_weighs_an_image_and_its_counterpart() {
        let batch = mixed(3, Mix::Mixup { lambda: 0.75 });
        let first: Vec<f32> = batch.pixels.iter().step_by(12).copied().collect();
        assert_eq!(first, [0.5, 1.0, 1.5]);
        assert_eq!(batch.targets, Some(vec![0.75, 0.0, 0.25, 0.0, 1.0, 0.0, 0.25, 0.0, 0.75]));
    }

    #[test]
    fn cutmix_exchanges_a_part() {
        let region = Region { left: 1, top: 0, width: 1, height: 2 };
        let batch = mixed(2, Mix::Cutmix { region, lambda: 0.5 });
        assert_eq!(batch.pixels[..12], [0.0, 1.0].repeat(6));
        assert_eq!(batch.pixels[12..], [1.0, 0.0].repeat(6));
        assert_eq!(batch.targets, Some(vec![0.5; 4]));
    }

    #[test]
    fn a_part_at_the_edge_is_cut_off_and_counts_as_what_it_is() {
        let mix = Mix::cutmix(0.75, (0, 3), (8, 8));
        let region = Region { left: 0, top: 1, width: 2, height: 4 };
        assert_eq!(mix, Mix::Cutmix { region, lambda: 0.875 });
    }

    #[test]
    fn unmixed_targets_are_smoothed_labels() {
        let mut batch = batch(2);
        batch.mix(&Mix::None, 2, 0.5).expect("two classes");
        assert_eq!(batch.targets, Some(vec![0.75, 0.25, 0.25, 0.75]));
    }

    #[test]
    fn an_empty_batch_and_one_without_labels_are_mixed() {
        assert!(mixed(0, Mix::Mixup { lambda: 0.5 }).pixels.is_empty());
        let mut unlabelled = Batch { labels: Vec::new(), ..batch(2) };
        unlabelled.mix(&Mix::Mixup { lambda: 0.5 }, 0, 0.1).expect("nothing to be wrong");
        assert_eq!((unlabelled.pixels, unlabelled.targets), (vec![0.5; 24], None));
    }

    #[test]
    fn impossible_targets_are_refused() {
        let error = batch(3).mix(&Mix::None, 2, 0.1).expect_err("the third class is not there");
        assert_eq!(error.to_string(), "an image has class 2, but there are 2 classes, from 0");
        let region = Region { left: u32::MAX, top: 0, width: 2, height: 1 };
        let error = batch(3).mix(&Mix::Cutmix { region, lambda: 0.5 }, 3, 0.1);
        assert!(matches!(error, Err(DatasetError::Region { got: (2, 2), .. })));
        let error = batch(3).mix(&Mix::None, 3, 1.0).expect_err("nothing is left of the label");
        assert_eq!(error.to_string(), "augmentation: label_smoothing must be in [0, 1), got 1.0");
    }

    fn draws(augment: Augment) -> Vec<Mix> {
        let augment = augment.check().expect("the settings are valid");
        (0..2_000).map(|step| augment.draw_mix(1, 2, step, 32)).collect()
    }

    fn check_cutmix(augment: Augment, of_2000: std::ops::RangeInclusive<usize>) {
        let cutmix = |mix: &&Mix| matches!(mix, Mix::Cutmix { .. });
        let count = draws(augment).iter().filter(cutmix).count();
        assert!(of_2000.contains(&count), "{count}");
    }

    #[test]
    fn both_kinds_are_drawn_as_asked_for() {
        check_cutmix(Augment::deit(), 900..=1_100);
        check_cutmix(Augment { cutmix: 0.0, ..Augment::deit() }, 0..=0);
        check_cutmix(Augment { mixup: 0.0, ..Augment::deit() }, 2_000..=2_000);
        check_cutmix(Augment { cutmix_probability: 0.2, ..Augment::deit() }, 340..=460);
        check_cutmix(Augment { mix_probability: 0.5, ..Augment::deit() }, 430..=570);
        let never = Augment { mix_probability: 0.0, ..Augment::deit() };
        assert!(draws(never).iter().all(|mix| *mix == Mix::None));
        assert!(draws(Augment::none()).iter().all(|mix| *mix == Mix::None));
    }

    /// A symmetric beta distribution has mean 1/2 and variance 1 / (4 (2 alpha + 1)).
    #[test]
    fn lambda_is_beta_distributed() {
        let shares: Vec<f64> = draws(Augment { cutmix: 0.0, ..Augment::deit() })
            .iter()
            .map(|mix| mix.lambda() - 0.5)
            .collect();
        let mean = shares.iter().sum::<f64>() / 2_000.0;
        let variance = shares.iter().map(|it| it * it).sum::<f64>() / 2_000.0;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0 / (4.0 * 2.6)).abs() < 0.01,
            "{mean} {variance}"
        );
    }

    proptest! {
        /// Soft targets of an image sum to one.
        #[test]
        fn targets_sum_to_one(seed in any::<u64>(), smoothing in 0.0..0.9, images in 1_usize..9) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mix = Mix::draw(&Augment::deit(), &mut rng, 2);
            let mut batch = batch(images);
            batch.mix(&mix, 10, smoothing).expect("fewer images than classes");
            for target in batch.targets.expect("the images have labels").chunks(10) {
                assert!((target.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
