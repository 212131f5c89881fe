//! Some images of another dataset.

use std::sync::Arc;

use image::RgbImage;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{Dataset, DatasetError, Fraction};

/// Some images of another dataset, in an order of their own.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
    fraction: Option<Fraction>,
}

impl Subset {
    /// Takes the images at `indices`, in that order.
    ///
    /// # Errors
    /// When an index is past the end.
    pub fn new(dataset: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self, DatasetError> {
        let len = dataset.len();
        match indices.iter().find(|index| **index >= len) {
            None => Ok(Self::of(dataset, indices)),
            Some(&index) => Err(DatasetError::IndexOutOfRange { index, len }),
        }
    }

    /// Takes the first `count` images, or all of them if there are fewer.
    pub fn first(dataset: Arc<dyn Dataset>, count: usize) -> Self {
        let indices = (0..dataset.len().min(count)).collect();
        Self::of(dataset, indices)
    }

    /// With indices that exist.
    fn of(dataset: Arc<dyn Dataset>, indices: Vec<usize>) -> Self {
        Self { dataset, indices, fraction: None }
    }

    /// Indices of the images in the dataset they were taken from.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn classes(&self) -> &[String] {
        self.dataset.classes()
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.dataset.label(*self.indices.get(index)?)
    }

    fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        let len = self.len();
        let inner = self.indices.get(index).ok_or(DatasetError::IndexOutOfRange { index, len })?;
        self.dataset.image(*inner)
    }

    fn name(&self, index: usize) -> String {
        self.indices.get(index).map(|inner| self.dataset.name(*inner)).unwrap_or_default()
    }

    fn fraction(&self) -> Option<Fraction> {
        self.fraction.or_else(|| self.dataset.fraction())
    }
}

/// A dataset in two parts.
#[derive(Clone)]
pub struct HeldOut {
    /// The larger rest, to learn from.
    pub kept: Subset,
    /// The part held out, to choose settings on.
    pub held_out: Subset,
}

/// Holds out a share of every class, drawn by `seed`; both parts keep the order of the dataset.
///
/// Of a class of `n` images `round(share * n)` are held out. The same dataset, share and seed always give the same
/// parts. Unlabelled images count as one class.
///
/// # Errors
/// When `share` is not between 0 and 1, or so small or large that a part would be empty.
pub fn hold_out(dataset: Arc<dyn Dataset>, share: f64, seed: u64) -> Result<HeldOut, DatasetError> {
    if !(share > 0.0 && share < 1.0) {
        return Err(DatasetError::Share { got: share });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut kept, mut held_out) = (Vec::new(), Vec::new());
    for mut class in members(dataset.as_ref()) {
        class.shuffle(&mut rng);
        let count = (share * class.len() as f64).round() as usize;
        kept.extend(class.split_off(count));
        held_out.extend(class);
    }
    if kept.is_empty() || held_out.is_empty() {
        return Err(DatasetError::EmptyPart { share, images: dataset.len() });
    }
    kept.sort_unstable();
    held_out.sort_unstable();
    Ok(HeldOut {
        kept: Subset::of(Arc::clone(&dataset), kept),
        held_out: Subset::of(dataset, held_out),
    })
}

/// Takes a fraction of every class, drawn by `seed`, in the order of the dataset.
///
/// Of a class of `n` images `round(share * n)` are taken, but at least one. With the same seed a smaller fraction is
/// a part of every larger one, and 1 is the whole dataset. Unlabelled images count as one class.
///
/// # Errors
/// When `share` is not above 0 and at most 1.
pub fn fraction(dataset: Arc<dyn Dataset>, share: f64, seed: u64) -> Result<Subset, DatasetError> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(DatasetError::Fraction { got: share });
    }
    if share == 1.0 {
        let all = (0..dataset.len()).collect();
        return Ok(Subset::of(dataset, all));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // What is held out by the same seed is drawn from stream 0.
    rng.set_stream(1);
    let mut taken = Vec::new();
    for mut class in members(dataset.as_ref()) {
        class.shuffle(&mut rng);
        let count = (share * class.len() as f64).round() as usize;
        class.truncate(count.max(1));
        taken.extend(class);
    }
    taken.sort_unstable();
    Ok(Subset { fraction: Some(Fraction { share, seed }), ..Subset::of(dataset, taken) })
}

/// Indices of every class.
fn members(dataset: &dyn Dataset) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); dataset.classes().len().max(1)];
    for index in 0..dataset.len() {
        members[dataset.label(index).unwrap_or(0)].push(index);
    }
    members
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Cifar10, Split};

    fn sample() -> Arc<dyn Dataset> {
        Arc::new(Cifar10::sample(Split::Test).expect("the embedded sample is whole"))
    }

    fn parts(seed: u64) -> HeldOut {
        hold_out(sample(), 0.2, seed).expect("the share is valid")
    }

    #[test]
    fn every_class_gives_the_same_share() {
        let HeldOut { kept, held_out } = parts(7);
        for class in 0..10 {
            let count = |part: &Subset| {
                (0..part.len()).filter(|index| part.label(*index) == Some(class)).count()
            };
            assert_eq!((count(&kept), count(&held_out)), (80, 20));
        }
    }

    #[test]
    fn the_parts_share_no_image_and_lose_none() {
        let HeldOut { kept, held_out } = parts(7);
        let mut all = [kept.indices(), held_out.indices()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn the_seed_alone_decides() {
        assert_eq!(parts(7).held_out.indices(), parts(7).held_out.indices());
        assert_ne!(parts(7).held_out.indices(), parts(8).held_out.indices());
    }

    #[test]
    fn a_subset_shows_the_images_it_was_told() {
        let subset = Subset::new(sample(), vec![13, 2]).expect("both indices exist");
        assert_eq!((subset.label(0), subset.label(1), subset.label(2)), (Some(3), Some(2), None));
        assert_eq!(subset.name(0), sample().name(13));
        assert!(matches!(subset.image(2), Err(DatasetError::IndexOutOfRange { index: 2, len: 2 })));
    }

    #[test]
    fn an_index_past_the_end_is_refused() {
        let error = Subset::new(sample(), vec![1_000]).err().expect("there are 1,000 images");
        assert_eq!(error.to_string(), "image 1000 was asked for, but the dataset has 1000");
    }

    #[test]
    fn a_share_that_is_no_share_is_refused() {
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            let error = hold_out(sample(), share, 0).err().expect("nothing or all is no part");
            assert!(matches!(error, DatasetError::Share { .. }), "{share}: {error}");
        }
    }

    #[test]
    fn an_empty_part_is_refused() {
        let error = hold_out(sample(), 0.001, 0).err().expect("0.1 images of each class");
        assert!(matches!(error, DatasetError::EmptyPart { images: 1_000, .. }), "{error}");
    }

    fn counts(part: &Subset) -> Vec<usize> {
        let mut counts = vec![0; part.classes().len()];
        (0..part.len()).filter_map(|index| part.label(index)).for_each(|label| counts[label] += 1);
        counts
    }

    fn check_fraction(share: f64, want: usize) {
        let part = fraction(sample(), share, 3).expect("the share is valid");
        assert_eq!(counts(&part), [want; 10]);
    }

    #[test]
    fn a_fraction_is_of_every_class() {
        check_fraction(0.25, 25);
        check_fraction(0.5, 50);
        check_fraction(1.0, 100);
        check_fraction(0.254, 25);
        check_fraction(0.0001, 1);
    }

    #[test]
    fn a_fraction_is_remembered_through_other_subsets() {
        let quarter: Arc<dyn Dataset> = Arc::new(fraction(sample(), 0.25, 3).expect("valid"));
        let of_it = Subset::first(quarter, 7);
        assert_eq!(of_it.fraction(), Some(Fraction { share: 0.25, seed: 3 }));
        assert_eq!(fraction(sample(), 1.0, 3).expect("valid").fraction(), None);
    }

    #[test]
    fn a_fraction_that_is_none_is_refused() {
        for share in [0.0, -0.5, 1.01, f64::NAN] {
            let error = fraction(sample(), share, 0).err().expect("nothing, or more than all");
            assert!(error.to_string().contains("above 0 and at most 1, got"), "{error}");
        }
    }

    #[test]
    fn a_fraction_of_what_is_kept_has_nothing_held_out() {
        let HeldOut { kept, held_out } = parts(7);
        let part = fraction(Arc::new(kept.clone()), 0.5, 7).expect("the share is valid");
        let names = |part: &Subset| (0..part.len()).map(|at| part.name(at)).collect::<Vec<_>>();
        let held_out = names(&held_out);
        assert!(names(&part).iter().all(|name| !held_out.contains(name)));
        assert_eq!(counts(&part), [40; 10]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Of two fractions with one seed the smaller is part of the larger, and the seed alone decides.
        #[test]
        fn fractions_are_nested(one in 0.01f64..1.0, other in 0.01f64..1.0, seed: u64) {
            let draw = |share| fraction(sample(), share, seed).expect("valid").indices().to_vec();
            let (small, large) = (draw(one.min(other)), draw(one.max(other)));
            prop_assert!(small.iter().all(|index| large.binary_search(index).is_ok()));
            prop_assert_eq!(draw(one), draw(one));
        }
    }
}
