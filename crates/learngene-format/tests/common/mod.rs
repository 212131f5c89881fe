//! Small learngenes, and files made by hand as a stranger would make them.

#![allow(dead_code, reason = "every test file uses some of these helpers")]

use std::collections::{BTreeMap, HashMap};

use learngene_format::{Learngene, Manifest, Store};
use learngene_tensors::{Sha256, StateDict, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// The manifest of `data/tiny.json`, its tensors still to be made.
pub fn tiny_manifest() -> Manifest {
    serde_json::from_str(include_str!("../data/tiny.json")).expect("the file is a manifest")
}

/// The manifest of `data/tiny_swin.json`: stages, a shared FFN, whole projections, and a refit.
pub fn tiny_swin_manifest() -> Manifest {
    serde_json::from_str(include_str!("../data/tiny_swin.json")).expect("the file is a manifest")
}

/// Tensors of a manifest, every value another one, none rounded by bf16.
pub fn tensors_of(manifest: &Manifest) -> StateDict {
    let mut next = 0u8;
    let mut value = || {
        next = next.wrapping_add(1);
        f32::from(next) / 64.0 - 2.0
    };
    let shapes = manifest.expected_tensors().expect("the manifest is consistent").into_iter();
    let tensors = shapes.map(|(name, shape)| {
        let values = (0..shape.iter().product()).map(|_| value()).collect();
        (name, Tensor::new(shape, values))
    });
    tensors.collect()
}

/// The learngene of `data/tiny.json`.
pub fn tiny() -> Learngene {
    learngene_of(tiny_manifest())
}

/// The learngene of `data/tiny_swin.json`.
pub fn tiny_swin() -> Learngene {
    learngene_of(tiny_swin_manifest())
}

/// The learngene of `data/tiny_swin.json` in few bits.
pub fn tiny_of(store: Store) -> Learngene {
    learngene_of(Manifest { store, ..tiny_swin_manifest() })
}

fn learngene_of(manifest: Manifest) -> Learngene {
    let tensors = tensors_of(&manifest);
    Learngene::new(manifest, tensors).expect("manifest and tensors fit")
}

/// One tensor of a file made by hand.
#[derive(Clone)]
pub struct RawTensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// A file taken apart, to be changed and put together again with nothing checked.
#[derive(Clone)]
pub struct Forgery {
    pub manifest: Value,
    pub tensors: BTreeMap<String, RawTensor>,
}

impl Forgery {
    /// Takes a learngene apart.
    pub fn of(learngene: &Learngene) -> Self {
        let manifest = serde_json::to_value(learngene.manifest()).expect("a manifest is JSON");
        let bytes = learngene.to_bytes();
        let file = SafeTensors::deserialize(&bytes).expect("the file is safetensors");
        let raw = |tensor: TensorView<'_>| RawTensor {
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            bytes: tensor.data().to_vec(),
        };
        let tensors = file.tensors().into_iter().map(|(name, tensor)| (name, raw(tensor)));
        Self { manifest, tensors: tensors.collect() }
    }

    /// A file whose every checksum is right for what it holds.
    pub fn sealed(mut self) -> Vec<u8> {
        if let Some(entries) = self.manifest["tensors"].as_object_mut() {
            for (name, entry) in entries {
                if let Some(tensor) = self.tensors.get(name) {
                    entry["sha256"] = Sha256::of(&tensor.bytes).to_string().into();
                }
            }
        }
        // In the order of the manifest's fields, unless the change made it no manifest at all.
        let text = match serde_json::from_value::<Manifest>(self.manifest.clone()) {
            Ok(manifest) => serde_json::to_string(&manifest).expect("a manifest is JSON"),
            Err(_) => self.manifest.to_string(),
        };
        self.with_text(&text)
    }

    /// A file with the text of a manifest, and that text's checksum.
    pub fn with_text(&self, text: &str) -> Vec<u8> {
        let checksum = Sha256::of(text.as_bytes());
        let text = text.strip_suffix('}').expect("JSON objects end in a brace");
        self.with_metadata(&[("learngene", &format!(r#"{text},"sha256":"{checksum}"}}"#))])
    }

    /// A file with the metadata given.
    pub fn with_metadata(&self, metadata: &[(&str, &str)]) -> Vec<u8> {
        let entry = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        let metadata: HashMap<String, String> = metadata.iter().map(entry).collect();
        let views = self.tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
            (name, view.expect("bytes fit the shape"))
        });
        safetensors::serialize(views, Some(metadata)).expect("safetensors takes any tensors")
    }
}

/// The manifest's text as it stands in a file.
pub fn manifest_text(bytes: &[u8]) -> String {
    let (_, metadata) = SafeTensors::read_metadata(bytes).expect("the file is safetensors");
    let metadata = metadata.metadata().as_ref().expect("the file has metadata");
    metadata["learngene"].clone()
}

/// Bytes before the first tensor.
pub fn header_length(bytes: &[u8]) -> usize {
    let (header, _) = SafeTensors::read_metadata(bytes).expect("the file is safetensors");
    header + 8
}

/// The bytes are refused with a message that begins like this.
#[track_caller]
pub fn check_refused(bytes: &[u8], message: &str) {
    let error = Learngene::from_bytes(bytes).expect_err(message).to_string();
    assert!(error.starts_with(message), "{error}");
}

/// A learngene that was changed, and whose manifest was sealed again, is refused likewise.
#[track_caller]
pub fn check_changed(learngene: &Learngene, message: &str, change: impl FnOnce(&mut Forgery)) {
    let mut forgery = Forgery::of(learngene);
    change(&mut forgery);
    check_refused(&forgery.sealed(), message);
}
