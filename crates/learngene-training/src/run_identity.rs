//! What a run starts from beside its recipe, so that a folder is never resumed as another run.

use learngene_datasets::{Dataset, Fraction, Preprocess};
use learngene_models::Classifier;
use learngene_tensors::{Sha256, StateDict};
use serde::Serialize;

use crate::FitData;

/// The model and the images of a run: the file `identity.json`.
#[derive(Serialize)]
pub(crate) struct RunIdentity {
    /// Hash of the initial parameters, see [`hash_parameters`].
    model_sha256: Sha256,
    /// The same of the teacher.
    #[serde(skip_serializing_if = "Option::is_none")]
    teacher_sha256: Option<Sha256>,
    train_images: usize,
    /// The fraction of the training images that was drawn, if not all are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    train_fraction: Option<Fraction>,
    test_images: usize,
    classes: Vec<String>,
    preprocess: Preprocess,
    /// Hash of the names and labels of all images, see [`hash_names`].
    names_sha256: Sha256,
}

impl RunIdentity {
    pub(crate) fn of<C: Classifier>(model: &C, data: &FitData) -> Self {
        Self {
            model_sha256: hash_parameters(&model.state_dict()),
            teacher_sha256: data.teacher.as_ref().map(|of| hash_parameters(&of.parameters())),
            train_images: data.train.len(),
            train_fraction: data.train.fraction(),
            test_images: data.test.len(),
            classes: data.train.classes().to_vec(),
            preprocess: data.preprocess.settings().clone(),
            names_sha256: hash_names([data.train.as_ref(), data.test.as_ref()]),
        }
    }

    /// The text of the file; the same bytes for the same identity.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("an identity is plain data") + "\n"
    }
}

/// Hash of the parameters in order of their names: for each the name, a zero byte, the number of
/// values (8 bytes, little endian) and the values (4 bytes each, little endian).
fn hash_parameters(parameters: &StateDict) -> Sha256 {
    let pieces = parameters.iter().flat_map(|(name, tensor)| {
        let count = (tensor.values.len() as u64).to_le_bytes();
        let begin = [name.as_bytes(), &[0], &count].concat();
        let bytes = |values: &[f32]| values.iter().copied().flat_map(f32::to_le_bytes).collect();
        std::iter::once(begin).chain(tensor.values.chunks(4096).map(bytes))
    });
    Sha256::of_parts(pieces)
}

/// Hash of the datasets in order: for each the number of images, and for each image the length of its
/// name, the name and its label (lengths, numbers and labels as 8 bytes, little endian; all bits set
/// for no label). Images are not read, so that a large dataset does not delay the start.
fn hash_names(datasets: [&dyn Dataset; 2]) -> Sha256 {
    let pieces = datasets.into_iter().flat_map(|dataset| {
        let image = |index| {
            let name: String = dataset.name(index);
            let label = dataset.label(index).map_or(u64::MAX, |label| label as u64);
            let length = (name.len() as u64).to_le_bytes();
            [&length, name.as_bytes(), &label.to_le_bytes()].concat()
        };
        let count = (dataset.len() as u64).to_le_bytes().to_vec();
        std::iter::once(count).chain((0..dataset.len()).map(image))
    });
    Sha256::of_parts(pieces)
}

#[cfg(test)]
mod tests {
    use learngene_tensors::Tensor;

    use super::*;
    use crate::named_images::{Images, Named};

    #[test]
    fn the_hash_covers_names_and_labels_of_each_split() {
        let hash = |train: Images, test: Images| hash_names([&Named(train), &Named(test)]);
        let (one, two): (Images, Images) = (&[("a", Some(0)), ("bc", Some(1))], &[("d", Some(0))]);
        assert_eq!(hash(one, two), hash(one, two));
        let others: [(Images, Images); 5] = [
            (&[("a", Some(0)), ("be", Some(1))], two),
            (&[("ab", Some(0)), ("c", Some(1))], two),
            (&[("a", Some(1)), ("bc", Some(1))], two),
            (&[("a", Some(0)), ("bc", None)], two),
            (&one[..1], &[("bc", Some(1)), ("d", Some(0))]),
        ];
        for (train, test) in others {
            assert_ne!(hash(one, two), hash(train, test), "{train:?}, {test:?}");
        }
    }

    #[test]
    fn the_hash_covers_every_value_and_every_name() {
        let hash = |name: &str, last: f32| {
            let values = [vec![1.0; 4999], vec![last]].concat();
            hash_parameters(&[(name.to_owned(), Tensor::new([5000], values))].into_iter().collect())
        };
        assert_eq!(hash("a", 1.0), hash("a", 1.0));
        assert_ne!(hash("a", 1.0), hash("a", 1.5));
        assert_ne!(hash("a", 1.0), hash("b", 1.0));
    }
}
