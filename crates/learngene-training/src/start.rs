//! What a run starts from beside its recipe, so that no run is taken for another one.

use learngene_datasets::{Fraction, Preprocess};
use learngene_models::{Classifier, StateDict};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{FitData, Recipe};

/// The model and the images of a run: the file `start.json`.
#[derive(Serialize)]
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
    /// Whether half of every epoch is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    half_epochs: bool,
}

impl Start {
    pub(crate) fn of<C: Classifier>(model: &C, data: &FitData, recipe: &Recipe) -> Self {
        Self {
            model_sha256: sha256(&model.state_dict()),
            train_images: data.train.len(),
            train_fraction: data.train.fraction(),
            test_images: data.test.len(),
            classes: data.train.classes().to_vec(),
            preprocess: data.preprocess.settings().clone(),
            half_epochs: recipe.half_epochs,
        }
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
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use learngene_models::HostTensor;

    use super::*;

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
