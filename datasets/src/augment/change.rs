//! One drawn change of an image, and carrying it out.

use image::RgbImage;
use image::imageops;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::affine::Canvas;
use super::{Augment, CheckedAugment, Erase, Operation, Part, Region, View, stream};
use crate::resize_region::Resizer;
use crate::{CheckedPreprocess, DatasetError};

/// One drawn change of an image: plain data, the same for the same seed, epoch and view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// How the image becomes as large as the input.
    pub crop: Crop,
    /// Whether it is mirrored, left to right.
    pub flip: bool,
    /// What is done to it then, in order.
    pub operations: Vec<Operation>,
    /// The part that noise covers after the normalisation.
    pub erase: Option<Erase>,
}

/// How an image becomes as large as the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Crop {
    /// As in an evaluation, mirrored if it is to be, and then moved; what comes in is black.
    Moved {
        /// Pixels to the right.
        right: i64,
        /// Pixels down.
        down: i64,
    },
    /// A part of it is resized, and mirrored then if it is to be.
    Resized(Region),
}

/// Memory that is used again for the next image.
#[derive(Default)]
pub(crate) struct Scratch {
    resizer: Resizer,
    canvas: Canvas,
}

impl CheckedAugment {
    /// Draws the change of one view of an image. It depends on the arguments alone, not on the order of the calls.
    ///
    /// - `source`: width and height of the image
    /// - `image_size`: side of the input that it becomes
    pub fn draw(
        &self,
        seed: u64,
        epoch: u64,
        view: View,
        source: (u32, u32),
        image_size: u32,
    ) -> Change {
        let rng = |part| stream(seed, epoch, view.index as u64, view.repeat, part);
        draw(self.settings(), rng, source, image_size)
    }
}

fn draw<R: Rng>(
    augment: &Augment,
    rng: impl Fn(Part) -> R,
    source: (u32, u32),
    image_size: u32,
) -> Change {
    // The order of these three draws is that of all runs so far.
    let mut place = rng(Part::FlipAndMove);
    let padding = i64::from(augment.crop_padding);
    let flip = place.random::<bool>() && augment.flip;
    let (right, down) =
        (place.random_range(-padding..=padding), place.random_range(-padding..=padding));
    let crop = match augment.resized_crop {
        Some(crop) => Crop::Resized(crop.draw(&mut rng(Part::ResizedCrop), source)),
        None => Crop::Moved { right, down },
    };
    let mut operations = augment
        .rand_augment
        .map_or(Vec::new(), |operations| operations.draw(&mut rng(Part::RandAugment)));
    if augment.rand_augment.is_none() || augment.force_color_jitter {
        operations.extend(jitter(augment.color_jitter, &mut rng(Part::ColorJitter)));
    }
    let erase = augment
        .random_erasing
        .and_then(|erasing| erasing.draw(&mut rng(Part::Erasing), image_size));
    Change { crop, flip, operations, erase }
}

/// Brightness, contrast and saturation in random order, as torchvision's `ColorJitter`.
fn jitter(strength: f64, rng: &mut impl Rng) -> Vec<Operation> {
    if strength == 0.0 {
        return Vec::new();
    }
    let mut factor = || rng.random_range(1.0 - strength..=1.0 + strength);
    let mut operations = vec![
        Operation::Brightness(factor()),
        Operation::Contrast(factor()),
        Operation::Color(factor()),
    ];
    operations.shuffle(rng);
    operations
}

impl Change {
    /// Changes an image, up to its normalisation: what comes out has the input's size.
    ///
    /// # Errors
    /// When the image cannot be resized, or has no such part.
    pub fn apply(
        &self,
        image: RgbImage,
        preprocess: &CheckedPreprocess,
    ) -> Result<RgbImage, DatasetError> {
        self.apply_with(image, preprocess, &mut Scratch::default())
    }

    pub(crate) fn apply_with(
        &self,
        image: RgbImage,
        preprocess: &CheckedPreprocess,
        scratch: &mut Scratch,
    ) -> Result<RgbImage, DatasetError> {
        let mut image = match self.crop {
            Crop::Moved { right, down } => {
                let mut image = preprocess.fit(image)?;
                self.flip(&mut image);
                moved(image, right, down)
            }
            Crop::Resized(region) => {
                let mut image = preprocess.resize_region(&image, region, &mut scratch.resizer)?;
                self.flip(&mut image);
                image
            }
        };
        let settings = preprocess.settings();
        // What an affine map leaves empty is grey: the mean, in bytes.
        let fill = settings.mean.map(|mean| (f64::from(mean) * 255.0).round_ties_even() as u8);
        for operation in &self.operations {
            operation.apply(&mut image, settings.interpolation, fill, &mut scratch.canvas);
        }
        Ok(image)
    }

    fn flip(&self, image: &mut RgbImage) {
        if self.flip {
            imageops::flip_horizontal_in_place(image);
        }
    }
}

fn moved(image: RgbImage, right: i64, down: i64) -> RgbImage {
    if (right, down) == (0, 0) {
        return image;
    }
    let mut moved = RgbImage::new(image.width(), image.height());
    imageops::replace(&mut moved, &image, right, down);
    moved
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use image::Rgb;
    use proptest::prelude::*;

    use super::*;
    use crate::augment::View;
    use crate::{CheckedAugment, Preprocess};

    fn preprocess(image_size: u32) -> CheckedPreprocess {
        Preprocess::new(image_size).check().expect("the settings are valid")
    }

    fn checked(augment: Augment) -> CheckedAugment {
        augment.check().expect("the settings are valid")
    }

    fn draw(augment: Augment, seed: u64, epoch: u64, index: usize) -> Change {
        checked(augment).draw(seed, epoch, View::from(index), (500, 375), 224)
    }

    /// Changes a picture of 3 x 3 pixels whose columns are 1, 2 and 3, and compares its first row.
    fn check(flip: bool, right: i64, down: i64, want: [u8; 3]) {
        let image = RgbImage::from_fn(3, 3, |x, _| Rgb([x as u8 + 1; 3]));
        let crop = Crop::Moved { right, down };
        let change = Change { crop, flip, operations: Vec::new(), erase: None };
        let changed = change.apply(image, &preprocess(3)).expect("it has the input's size");
        assert_eq!([0, 1, 2].map(|x| changed.get_pixel(x, 0).0[0]), want);
    }

    #[test]
    fn no_change_changes_nothing() {
        check(false, 0, 0, [1, 2, 3]);
    }

    #[test]
    fn a_flip_mirrors_left_to_right() {
        check(true, 0, 0, [3, 2, 1]);
    }

    #[test]
    fn what_moves_in_is_black() {
        check(false, 1, 0, [0, 1, 2]);
        check(false, -2, 0, [3, 0, 0]);
        check(false, 0, 1, [0, 0, 0]);
    }

    #[test]
    fn the_flip_comes_before_the_move() {
        check(true, 1, 0, [0, 3, 2]);
    }

    #[test]
    fn every_change_is_drawn() {
        let drawn: HashSet<_> = (0..5_000)
            .map(|index| draw(Augment::flip_and_crop(), 1, 2, index))
            .map(|change| (change.flip, format!("{:?}", change.crop)))
            .collect();
        assert_eq!(drawn.len(), 2 * 9 * 9);
    }

    #[test]
    fn nothing_is_drawn_when_nothing_is_asked_for() {
        let crop = Crop::Moved { right: 0, down: 0 };
        let nothing = Change { crop, flip: false, operations: Vec::new(), erase: None };
        for index in 0..100 {
            assert_eq!(draw(Augment::none(), 1, 2, index), nothing);
        }
    }

    /// What was drawn before there were other changes than these, on which kept results depend.
    #[test]
    fn flip_and_move_are_drawn_as_ever() {
        let drawn = |seed, epoch, index| {
            let change = draw(Augment::flip_and_crop(), seed, epoch, index);
            match change.crop {
                Crop::Moved { right, down } => (change.flip, right, down),
                Crop::Resized(_) => panic!("no resized crop was asked for"),
            }
        };
        assert_eq!(
            [0, 1, 2, 3].map(|index| drawn(0, 1, index)),
            [(false, 2, 0), (true, 1, 1), (true, -3, -4), (false, -3, -4)]
        );
        assert_eq!([7, 49_999].map(|index| drawn(12, 30, index)), [(false, 0, 3), (true, 0, 0)]);
    }

    #[test]
    fn one_part_does_not_change_another() {
        for index in 0..20 {
            let all = draw(Augment::deit(), 1, 2, index);
            let alone = Augment { random_erasing: None, rand_augment: None, ..Augment::deit() };
            let alone = draw(alone, 1, 2, index);
            assert_eq!((all.crop, all.flip), (alone.crop, alone.flip));
        }
    }

    fn jitters(augment: Augment) -> usize {
        draw(augment, 1, 2, 3).operations.len()
    }

    #[test]
    fn colours_are_jittered_without_rand_augment_or_when_forced() {
        let jitter = Augment { color_jitter: 0.4, ..Augment::none() };
        assert_eq!(jitters(jitter), 3);
        let with = Augment {
            rand_augment: Some("rand-m9-inc1-p0".parse().expect("it is timm's")),
            ..jitter
        };
        assert_eq!(jitters(with), 0);
        assert_eq!(jitters(Augment { force_color_jitter: true, ..with }), 3);
    }

    #[test]
    fn jitter_stays_in_its_range_and_takes_every_order() {
        let mut orders = HashSet::new();
        for index in 0..200 {
            let change = draw(Augment { color_jitter: 0.4, ..Augment::none() }, 1, 2, index);
            let mut order = Vec::new();
            for operation in change.operations {
                let (Operation::Brightness(factor)
                | Operation::Contrast(factor)
                | Operation::Color(factor)) = operation
                else {
                    panic!("{operation:?} is no jitter");
                };
                assert!((0.6..=1.4).contains(&factor));
                order.push(std::mem::discriminant(&operation));
            }
            orders.insert(order);
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn a_change_is_plain_data() {
        let change = draw(Augment::deit(), 1, 2, 3);
        let text = serde_json::to_string(&change).expect("plain numbers");
        assert_eq!(serde_json::from_str::<Change>(&text).ok(), Some(change));
    }

    #[test]
    fn a_part_outside_the_image_is_refused() {
        let region = Region { left: 4, top: 0, width: 3, height: 6 };
        let change = Change {
            crop: Crop::Resized(region),
            flip: false,
            operations: Vec::new(),
            erase: None,
        };
        let error = change.apply(RgbImage::new(6, 6), &preprocess(3)).expect_err("7 is past 6");
        assert!(error.to_string().contains("columns 4 to 7"), "{error}");
    }

    proptest! {
        /// A draw depends on seed, epoch and index, and on nothing else.
        #[test]
        fn a_draw_is_a_function(seed in any::<u64>(), epoch in any::<u64>(), index in any::<usize>()) {
            assert_eq!(draw(Augment::deit(), seed, epoch, index), draw(Augment::deit(), seed, epoch, index));
        }
    }

    #[test]
    fn seed_epoch_index_and_repeat_all_matter() {
        let draws = |seed, epoch, first: usize, repeat| -> Vec<Change> {
            let augment = checked(Augment::deit());
            let views = (first..first + 20).map(|index| View { index, repeat });
            views.map(|view| augment.draw(seed, epoch, view, (500, 375), 224)).collect()
        };
        let base = draws(1, 2, 3, 0);
        let others = [
            draws(2, 2, 3, 0),
            draws(1, 3, 3, 0),
            draws(2, 1, 3, 0),
            draws(1, 2, 40, 0),
            draws(1, 2, 3, 1),
        ];
        for other in others {
            assert!(base.iter().zip(&other).all(|(base, other)| base != other));
        }
    }
}
