//! Learnt transformations in a file: small, to be folded into the same expansion again.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, ensure};
use learngene_expansion::TransformationConfig;
use learngene_models::{HostTensor, StateDict};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::files::{read as read_bytes, write_whole};

/// Metadata under which the file says what kind of transformations it holds.
const KEY: &str = "transformations";

/// Writes transformations, whole or not at all.
pub fn write(
    path: &Path,
    transformations: &StateDict,
    config: &TransformationConfig,
) -> anyhow::Result<()> {
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = transformations
        .iter()
        .map(|(name, tensor)| {
            let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, tensor.shape.as_slice(), bytes)
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(config)?)]);
    write_whole(path, &safetensors::serialize(views, Some(metadata))?)
}

/// Reads transformations, all values finite.
pub fn read(path: &Path) -> anyhow::Result<(StateDict, TransformationConfig)> {
    let place = || format!("{} holds no transformations", path.display());
    parse(&read_bytes(path)?).with_context(place)
}

fn parse(bytes: &[u8]) -> anyhow::Result<(StateDict, TransformationConfig)> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let config = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let config = config.with_context(|| format!("its metadata have no key `{KEY}`"))?;
    let config = serde_json::from_str(config)?;
    let mut transformations = StateDict::default();
    for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
        let dtype = view.dtype();
        ensure!(dtype == Dtype::F32, "{name} is stored as {dtype:?}, wanted F32");
        let (words, _) = view.data().as_chunks();
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let unfit = values.iter().position(|value| !value.is_finite());
        ensure!(unfit.is_none(), "{name} is not finite at index {}", unfit.unwrap_or(0));
        transformations.insert(name, HostTensor::new(view.shape(), values));
    }
    Ok((transformations, config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TransformationConfig {
        let ffn = Some("low-rank:2".parse().expect("a transformation"));
        TransformationConfig { ffn, ..TransformationConfig::default() }
    }

    #[test]
    fn what_is_written_comes_back() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("transformations.safetensors");
        let mut transformations = StateDict::default();
        transformations.insert("ffn.0.fc1.a", HostTensor::new([1, 2], vec![0.5, -1.5]));
        write(&path, &transformations, &config()).expect("a temporary folder is writable");
        assert_eq!(read(&path).expect("just written"), (transformations, config()));
    }

    #[test]
    fn other_files_are_refused() {
        assert!(parse(b"short").is_err());
        let none = safetensors::serialize(Vec::<(&str, TensorView)>::new(), None);
        let error = parse(&none.expect("an empty file")).expect_err("no metadata").to_string();
        assert_eq!(error, "its metadata have no key `transformations`");
        let mut transformations = StateDict::default();
        transformations.insert("a", HostTensor::new([1], vec![f32::NAN]));
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("nan.safetensors");
        write(&path, &transformations, &config()).expect("a temporary folder is writable");
        let error = format!("{:#}", read(&path).expect_err("not finite"));
        assert!(error.ends_with("a is not finite at index 0"), "{error}");
    }
}
