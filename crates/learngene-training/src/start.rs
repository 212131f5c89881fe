//! What a run starts from beside its recipe, so that no run is taken for another one.

use learngene_datasets::{Dataset, Fraction, Preprocess};
use learngene_models::{Classifier, StateDict};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::FitData;

/// The model and the images of a run: the file `start.json`.
#[derive(Clone, Serialize)]
pub(crate) struct Start {
    /// SHA-256 of the initial parameters, see [`sha256`].
    model_sha256: String,
    train_images: usize,
    /// What part of the training images was drawn, where not all are learnt from.
    #[serde(skip_serializing_if = "Option::is_none")]
    train_fraction: Option<Fraction>,
    test_images: usize,
    classes: Vec<String>,
    preprocess: Preprocess,
    /// SHA-256 of the names and labels of all images, see [`names_sha256`]; runs that began before
    /// it was told have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    names_sha256: Option<String>,
}

impl Start {
    pub(crate) fn of<C: Classifier>(model: &C, data: &FitData) -> Self {
        Self {
            model_sha256: sha256(&model.state_dict()),
            train_images: data.train.len(),
            train_fraction: data.train.fraction(),
            test_images: data.test.len(),
            classes: data.train.classes().to_vec(),
            preprocess: data.preprocess.settings().clone(),
            names_sha256: Some(names_sha256([data.train.as_ref(), data.test.as_ref()])),
        }
    }

    /// The same start as a run began with that did not tell its images by name.
    pub(crate) fn without_names(&self) -> Self {
        Self { names_sha256: None, ..self.clone() }
    }

    /// The text of the file; equal starts give equal bytes.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a start is plain numbers and texts") + "\n"
    }
}

/// SHA-256 over the parameters in order of their names: for each the name, a zero byte, the number
/// of values (8 bytes, little endian) and the values (4 bytes each, little endian).
fn sha256(parameters: &StateDict) -> String {
    let mut hash = Sha256::new();
    for (name, tensor) in parameters.iter() {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update((tensor.values.len() as u64).to_le_bytes());
        for values in tensor.values.chunks(4096) {
            let bytes: Vec<u8> = values.iter().copied().flat_map(f32::to_le_bytes).collect();
            hash.update(&bytes);
        }
    }
    hex(hash)
}

/// SHA-256 over datasets in order: for each the number of images, and for each of these the length of
/// its name, the name and its label (lengths, numbers and labels as 8 bytes, little endian; all bits
/// set for no label). Images are not read, so that a large dataset begins at once.
fn names_sha256(datasets: [&dyn Dataset; 2]) -> String {
    let mut hash = Sha256::new();
    for dataset in datasets {
        hash.update((dataset.len() as u64).to_le_bytes());
        for index in 0..dataset.len() {
            let name = dataset.name(index);
            let label = dataset.label(index).map_or(u64::MAX, |label| label as u64);
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(label.to_le_bytes());
        }
    }
    hex(hash)
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::RgbImage;
    use learngene_datasets::DatasetError;
    use learngene_models::HostTensor;

    use super::*;
    use crate::{Recipe, TrainingError, run_folder::RunFolder};

    /// Names and labels.
    type Images = &'static [(&'static str, Option<usize>)];

    struct Named(Images);

    impl Dataset for Named {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn classes(&self) -> &[String] {
            &[]
        }

        fn label(&self, index: usize) -> Option<usize> {
            self.0[index].1
        }

        fn image(&self, _: usize) -> Result<RgbImage, DatasetError> {
            unreachable!("images are not read")
        }

        fn name(&self, index: usize) -> String {
            self.0[index].0.to_owned()
        }
    }

    #[test]
    fn images_are_told_by_names_and_labels_of_each_part() {
        let hash = |train: Images, test: Images| names_sha256([&Named(train), &Named(test)]);
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

    fn start(names_sha256: Option<&str>) -> Start {
        Start {
            model_sha256: "0".into(),
            train_images: 8,
            train_fraction: None,
            test_images: 2,
            classes: vec!["cat".into()],
            preprocess: Preprocess::new(4),
            names_sha256: names_sha256.map(str::to_owned),
        }
    }

    /// The key by which a run of these images is refused where one of those began.
    fn refused(began: Option<&str>, images: &str) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (recipe, path) = (Recipe::default(), folder.path());
        RunFolder::open(path, &recipe, &start(began)).expect("an empty folder");
        fs::write(path.join("metrics.jsonl"), "").expect("the folder is writable");
        match RunFolder::open(path, &recipe, &start(Some(images))) {
            Ok(_) => None,
            Err(TrainingError::OtherRun { key, .. }) => Some(key),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_run_goes_on_with_its_own_images_alone() {
        assert_eq!(refused(Some("a"), "a"), None);
        assert_eq!(refused(Some("a"), "b").as_deref(), Some("names_sha256"));
        assert_eq!(refused(None, "a"), None, "it did not tell them");
    }

    #[test]
    fn every_value_and_every_name_counts() {
        let hash = |name: &str, last: f32| {
            let mut parameters = StateDict::default();
            parameters
                .insert(name, HostTensor::new([5000], [vec![1.0; 4999], vec![last]].concat()));
            sha256(&parameters)
        };
        assert_eq!(hash("a", 1.0), hash("a", 1.0));
        assert_ne!(hash("a", 1.0), hash("a", 1.5));
        assert_ne!(hash("a", 1.0), hash("b", 1.0));
    }
}
