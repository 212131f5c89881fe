//! Reading images of a dataset, changed at random if asked for, into one block of numbers.

use rayon::prelude::*;

use crate::augment::Scratch;
use crate::preprocess::CHANNELS;
use crate::{Batch, CheckedAugment, CheckedPreprocess, Dataset, DatasetError, View};

/// Random changes and what they are drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// Which changes; those of whole batches are [`Batch::mix`]'s.
    pub augment: CheckedAugment,
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, so that an image looks different in each.
    pub epoch: u64,
}

/// Reads some images, in the order of `indices`, on all cores.
///
/// Each is fitted to the input size, changed at random if asked for, and normalised. The result does not depend on
/// the number of cores.
///
/// # Errors
/// When an image cannot be read or an index is past the end: the first such image in the order of `indices`.
pub fn load_batch(
    dataset: &dyn Dataset,
    indices: &[usize],
    preprocess: &CheckedPreprocess,
    augmentation: Option<&Augmentation>,
) -> Result<Batch, DatasetError> {
    let size = preprocess.settings().image_size as usize;
    let mut pixels = vec![0.0; indices.len() * preprocess.values()];
    let outcomes: Vec<Result<(), DatasetError>> = pixels
        .par_chunks_exact_mut(preprocess.values())
        .zip(indices)
        .map_init(Scratch::default, |scratch, (pixels, index)| {
            load_image(dataset, View::from(*index), preprocess, augmentation, scratch, pixels)
        })
        .collect();
    outcomes.into_iter().collect::<Result<(), _>>()?;
    let labels = indices.iter().filter_map(|index| dataset.label(*index)).collect();
    Ok(Batch { pixels, shape: [indices.len(), CHANNELS, size, size], labels, targets: None })
}

/// Reads one view of an image.
///
/// # Shapes
/// - pixels: `[3, image_size, image_size]`
pub(crate) fn load_image(
    dataset: &dyn Dataset,
    view: View,
    preprocess: &CheckedPreprocess,
    augmentation: Option<&Augmentation>,
    scratch: &mut Scratch,
    pixels: &mut [f32],
) -> Result<(), DatasetError> {
    let image = dataset.image(view.index)?;
    let Some(Augmentation { augment, seed, epoch }) = augmentation else {
        return preprocess.normalize(&preprocess.fit(image)?, pixels);
    };
    let image_size = preprocess.settings().image_size;
    let change = augment.draw(*seed, *epoch, view, image.dimensions(), image_size);
    preprocess.normalize(&change.apply_with(image, preprocess, scratch)?, pixels)?;
    if let Some(erase) = change.erase {
        erase.apply(pixels, image_size as usize);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{TempFolder, png_bytes};
    use crate::{Augment, BadImages, Cifar10, ImageFiles, Preprocess, Split};

    const IMAGE: usize = 3 * 32 * 32;

    fn load(indices: &[usize], augmentation: Option<(u64, u64)>) -> Result<Batch, DatasetError> {
        let sample = Cifar10::sample(Split::Test)?;
        let augment = Augment::flip_and_crop().check()?;
        let augmentation = augmentation.map(|(seed, epoch)| Augmentation { augment, seed, epoch });
        load_batch(&sample, indices, &Preprocess::new(32).check()?, augmentation.as_ref())
    }

    #[test]
    fn the_order_is_that_of_the_indices() {
        let indices = [7, 3, 3, 500];
        let batch = load(&indices, None).expect("the images are in memory");
        assert_eq!(batch.shape, [4, 3, 32, 32]);
        assert_eq!(batch.labels, [7, 3, 3, 0]);
        for (at, index) in indices.into_iter().enumerate() {
            let alone = load(&[index], None).expect("the image is in memory");
            assert_eq!(batch.pixels[at * IMAGE..(at + 1) * IMAGE], alone.pixels);
        }
    }

    #[test]
    fn an_augmented_image_does_not_depend_on_its_batch() {
        let batch = load(&[4, 5, 6], Some((1, 0))).expect("the images are in memory");
        let alone = load(&[6], Some((1, 0))).expect("the image is in memory");
        assert_eq!(batch.pixels[2 * IMAGE..], alone.pixels);
    }

    #[test]
    fn every_epoch_looks_different() {
        let indices: Vec<usize> = (0..20).collect();
        let batch = |epoch| load(&indices, Some((1, epoch))).expect("the images are in memory");
        assert_eq!(batch(0), batch(0));
        assert_ne!(batch(0), batch(1));
    }

    #[test]
    fn the_first_bad_image_is_the_error() {
        let indices: Vec<usize> = (990..1_010).collect();
        let error = load(&indices, None).expect_err("there are 1,000 images");
        assert!(matches!(error, DatasetError::IndexOutOfRange { index: 1_000, .. }), "{error}");
    }

    #[test]
    fn no_images_make_an_empty_batch() {
        let batch = load(&[], None).expect("nothing can fail");
        assert_eq!((batch.shape, batch.pixels.len()), ([0, 3, 32, 32], 0));
    }

    #[test]
    fn unlabelled_images_have_no_labels() {
        let png = png_bytes([255, 255, 255]);
        let folder = TempFolder::with([("a.png", png.as_slice())]);
        let dataset = ImageFiles::open(folder.path(), BadImages::Refuse).expect("one image");
        let preprocess = Preprocess::new(8).check().expect("the settings are valid");
        let batch = load_batch(&dataset, &[0], &preprocess, None).expect("the image is good");
        assert_eq!((batch.shape, batch.labels.len()), ([1, 3, 8, 8], 0));
    }
}
