//! Which random changes there are, and how strong.

use serde::{Deserialize, Serialize};

use super::bounds::ensure;
use super::{RandAugment, RandomErasing, ResizedCrop};
use crate::DatasetError;

/// Random changes of training images, by the words of timm and DeiT.
///
/// The order is timm's: crop and flip, RandAugment or colour jitter, normalisation, erasing, and last mixup or cutmix
/// of the batch. The default is what is usual for CIFAR-10, [`flip_and_crop`](Self::flip_and_crop); everything else
/// is off. Written unchecked, used checked: see [`check`](Self::check).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirror every second image, left to right.
    pub flip: bool,
    /// Surround the image by so many black pixels and cut its size out again at a random place; 0 for none.
    pub crop_padding: u32,
    /// Largest change of brightness, contrast and saturation, from 0 (off) to 1: each is multiplied by a number
    /// between `1 - color_jitter` and `1 + color_jitter`, in random order. Left out where there is a `rand_augment`,
    /// as timm does, unless forced.
    pub color_jitter: f64,
    /// Jitter colours after RandAugment, too.
    pub force_color_jitter: bool,
    /// Mixup of the images of a batch: alpha of the beta distribution of their shares; 0 for none.
    pub mixup: f64,
    /// Cutmix of the images of a batch: alpha of the beta distribution of their shares; 0 for none.
    pub cutmix: f64,
    /// Chance that a batch is mixed at all, where there is a mixup or a cutmix.
    pub mix_probability: f64,
    /// Chance that it is cutmix, where both are on.
    pub cutmix_probability: f64,
    /// How often an image stands in an epoch, which sees fewer images instead; 1 for once. See [`repeat_views`].
    ///
    /// [`repeat_views`]: crate::repeat_views
    pub repeats: u32,
    /// Cut a random part out and bring it to the input's size, instead of the centre.
    pub resized_crop: Option<ResizedCrop>,
    /// Random operations, in timm's notation.
    pub rand_augment: Option<RandAugment>,
    /// Noise over a random part.
    pub random_erasing: Option<RandomErasing>,
}

impl Default for Augment {
    fn default() -> Self {
        Self::flip_and_crop()
    }
}

impl Augment {
    /// No change at all.
    pub fn none() -> Self {
        Self {
            flip: false,
            crop_padding: 0,
            color_jitter: 0.0,
            force_color_jitter: false,
            mixup: 0.0,
            cutmix: 0.0,
            mix_probability: 1.0,
            cutmix_probability: 0.5,
            repeats: 1,
            resized_crop: None,
            rand_augment: None,
            random_erasing: None,
        }
    }

    /// Flip, and crop after padding by 4: the usual for CIFAR-10.
    pub fn flip_and_crop() -> Self {
        Self { flip: true, crop_padding: 4, ..Self::none() }
    }

    /// DeiT's training, <https://arxiv.org/abs/2012.12877>, Table 9. Its label smoothing belongs to the loss; colour
    /// jitter is off beside RandAugment, as there.
    pub fn deit() -> Self {
        Self {
            flip: true,
            mixup: 0.8,
            cutmix: 1.0,
            repeats: 3,
            resized_crop: Some(ResizedCrop::default()),
            rand_augment: Some(RandAugment::default()),
            random_erasing: Some(RandomErasing::default()),
            ..Self::none()
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// Names the first setting that is out of range or cannot go together with another, its value and the range.
    pub fn check(self) -> Result<CheckedAugment, DatasetError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let alpha = |value: f64| (0.0..=100.0).contains(&value);
        let padding = |pixels: u32| match self.resized_crop {
            Some(_) => pixels == 0,
            None => pixels <= 1024,
        };
        let padding_wanted = match self.resized_crop {
            Some(_) => "0 beside resized_crop, which crops already",
            None => "at most 1024 pixels",
        };
        let Self { crop_padding, color_jitter, mixup, cutmix, repeats, .. } = self;
        ensure("crop_padding", crop_padding, padding(crop_padding), padding_wanted)?;
        ensure("color_jitter", color_jitter, share(color_jitter), "from 0 to 1")?;
        ensure("mixup", mixup, alpha(mixup), "from 0 to 100")?;
        ensure("cutmix", cutmix, alpha(cutmix), "from 0 to 100")?;
        for (field, value) in [
            ("mix_probability", self.mix_probability),
            ("cutmix_probability", self.cutmix_probability),
        ] {
            ensure(field, value, share(value), "from 0 to 1")?;
        }
        ensure("repeats", repeats, (1..=100).contains(&repeats), "from 1 to 100")?;
        self.resized_crop.map_or(Ok(()), |crop| crop.check())?;
        self.rand_augment.map_or(Ok(()), |operations| operations.check())?;
        self.random_erasing.map_or(Ok(()), |erasing| erasing.check())?;
        Ok(CheckedAugment(self))
    }
}

/// An [`Augment`] whose settings were checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckedAugment(Augment);

impl CheckedAugment {
    /// The settings.
    pub fn settings(&self) -> &Augment {
        &self.0
    }

    /// Whether batches are mixed, and so have soft targets.
    pub fn mixes(&self) -> bool {
        self.0.mix_probability > 0.0 && (self.0.mixup > 0.0 || self.0.cutmix > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(change: impl FnOnce(&mut Augment), message: &str) {
        let mut settings = Augment::deit();
        change(&mut settings);
        let error = settings.check().expect_err("the setting makes no sense");
        assert_eq!(error.to_string(), format!("augmentation: {message}"));
    }

    fn resized_crop(scale: [f64; 2], ratio: [f64; 2]) -> impl FnOnce(&mut Augment) {
        move |augment| augment.resized_crop = Some(ResizedCrop { scale, ratio })
    }

    fn rand_augment(change: impl FnOnce(&mut RandAugment)) -> impl FnOnce(&mut Augment) {
        move |augment| augment.rand_augment = Some(changed(RandAugment::default(), change))
    }

    fn erasing(change: impl FnOnce(&mut RandomErasing)) -> impl FnOnce(&mut Augment) {
        move |augment| augment.random_erasing = Some(changed(RandomErasing::default(), change))
    }

    fn changed<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
        change(&mut value);
        value
    }

    #[test]
    fn presets_are_possible() {
        for preset in [Augment::none(), Augment::flip_and_crop(), Augment::deit()] {
            assert!(preset.check().is_ok(), "{preset:?}");
        }
        assert_eq!(Augment::default(), Augment::flip_and_crop());
    }

    #[test]
    fn settings_without_sense_are_refused() {
        check_refused(
            |augment| augment.crop_padding = 4,
            "crop_padding must be 0 beside resized_crop, which crops already, got 4",
        );
        check_refused(
            |augment| (augment.resized_crop, augment.crop_padding) = (None, 5000),
            "crop_padding must be at most 1024 pixels, got 5000",
        );
        check_refused(
            |augment| augment.color_jitter = 1.5,
            "color_jitter must be from 0 to 1, got 1.5",
        );
        check_refused(|augment| augment.mixup = -0.1, "mixup must be from 0 to 100, got -0.1");
        check_refused(|augment| augment.cutmix = f64::NAN, "cutmix must be from 0 to 100, got NaN");
        check_refused(
            |augment| augment.mix_probability = 2.0,
            "mix_probability must be from 0 to 1, got 2.0",
        );
        check_refused(
            |augment| augment.cutmix_probability = -1.0,
            "cutmix_probability must be from 0 to 1, got -1.0",
        );
        check_refused(|augment| augment.repeats = 0, "repeats must be from 1 to 100, got 0");
    }

    #[test]
    fn crops_without_sense_are_refused() {
        let want = "resized_crop.scale must be two rising numbers above 0 and at most 1";
        check_refused(resized_crop([0.0, 1.0], [1.0, 1.0]), &format!("{want}, got [0.0, 1.0]"));
        check_refused(resized_crop([0.5, 0.2], [1.0, 1.0]), &format!("{want}, got [0.5, 0.2]"));
        let want = "resized_crop.ratio must be two rising numbers above 0 and at most 100";
        check_refused(resized_crop([0.1, 1.0], [2.0, 1.0]), &format!("{want}, got [2.0, 1.0]"));
    }

    #[test]
    fn operations_without_sense_are_refused() {
        check_refused(
            rand_augment(|it| it.magnitude = 11.0),
            "rand_augment's m must be from 0 to 10, got 11.0",
        );
        check_refused(
            rand_augment(|it| it.magnitude_std = f64::INFINITY),
            "rand_augment's mstd must be from 0 to 100, got inf",
        );
        check_refused(
            rand_augment(|it| it.operations = 0),
            "rand_augment's n must be from 1 to 100, got 0",
        );
        check_refused(
            rand_augment(|it| it.probability = 1.5),
            "rand_augment's p must be from 0 to 1, got 1.5",
        );
    }

    #[test]
    fn erasing_without_sense_is_refused() {
        check_refused(
            erasing(|it| it.probability = -0.5),
            "random_erasing.probability must be from 0 to 1, got -0.5",
        );
        check_refused(
            erasing(|it| it.area = [0.5, 2.0]),
            "random_erasing.area must be two rising numbers above 0 and at most 1, got [0.5, 2.0]",
        );
        check_refused(
            erasing(|it| it.aspect = 0.0),
            "random_erasing.aspect must be above 0 and at most 1, got 0.0",
        );
    }

    /// A recipe that embeds the settings, as the training's does.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Recipe {
        augment: Augment,
    }

    fn read(text: &str) -> Result<Augment, String> {
        toml::from_str::<Recipe>(text).map(|it| it.augment).map_err(|error| error.to_string())
    }

    #[test]
    fn a_recipe_names_only_what_differs() {
        assert_eq!(read("[augment]"), Ok(Augment::default()));
        let deit = "augment = { crop_padding = 0, mixup = 0.8, cutmix = 1.0, repeats = 3, \
            resized_crop = {}, rand_augment = \"rand-m9-mstd0.5-inc1\", random_erasing = {} }";
        assert_eq!(read(deit), Ok(Augment::deit()));
    }

    #[test]
    fn a_recipe_written_out_is_read_back() {
        for augment in [Augment::none(), Augment::deit()] {
            let text = toml::to_string(&Recipe { augment }).expect("plain numbers and texts");
            assert_eq!(read(&text), Ok(augment), "{text}");
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        let error = read("[augment]\nmixupp = 0.8").expect_err("there is no such setting");
        assert!(error.contains("unknown field `mixupp`"), "{error}");
    }
}
