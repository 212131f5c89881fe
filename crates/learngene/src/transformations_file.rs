//! Learnt transformations in a file: small, to be folded into the same expansion again.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, ensure};
use learngene_expansion::{ClassifierPolicy, DescendantConfig, TransformationConfig};
use learngene_models::{HostTensor, StateDict};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    files::{read as read_bytes, write_whole},
    method::Method,
};

/// Metadata under which the file says what it holds.
const KEY: &str = "transformations";

/// What the file says of itself. In one place, as the order of several would not be the same every
/// time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learnt {
    /// What was learnt.
    pub config: TransformationConfig,
    /// By what descendant.
    pub by: Origin,
}

/// Where the weights of a descendant come from. Transformations fit no others, even of the same
/// shapes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    pub method: Method,
    #[serde(default)]
    pub learngene_sha256: Option<String>,
    #[serde(default)]
    pub ancestor_sha256: Option<String>,
    #[serde(default)]
    pub images_sha256: Option<String>,
    #[serde(default)]
    pub inherited_layers: Option<usize>,
    #[serde(default)]
    pub shared_layers: Option<usize>,
    pub wanted: DescendantConfig,
}

impl Origin {
    /// In what two descendants differ, their classifiers aside.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (self.without_classifier(), other.without_classifier());
        let fields = ours.iter().zip(&theirs);
        let (name, here, there) = fields
            .map(|((name, ours), (_, theirs))| (name, ours, theirs))
            .find(|(_, ours, theirs)| ours != theirs)?;
        Some(format!("{name} is {here} there, {there} here"))
    }

    fn without_classifier(&self) -> serde_json::Map<String, Value> {
        let classifier = ClassifierPolicy::default();
        // Of these methods the seed draws whole layers, else the classifier alone.
        let seed = if self.method.chooses_layers() { self.wanted.seed } else { 0 };
        let wanted =
            DescendantConfig { classifier, num_classes: None, seed, ..self.wanted.clone() };
        let Ok(Value::Object(mut fields)) = serde_json::to_value(wanted) else {
            unreachable!("a structure of plain fields is an object")
        };
        let Ok(Value::Object(mut others)) = serde_json::to_value(self) else {
            unreachable!("a structure of plain fields is an object")
        };
        others.remove("wanted");
        fields.append(&mut others);
        fields
    }
}

/// Writes transformations, whole or not at all.
pub fn write(path: &Path, transformations: &StateDict, learnt: &Learnt) -> anyhow::Result<()> {
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
    let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(learnt)?)]);
    write_whole(path, &safetensors::serialize(views, Some(metadata))?)
}

/// Reads transformations, all values finite.
pub fn read(path: &Path) -> anyhow::Result<(StateDict, Learnt)> {
    let place = || format!("{} holds no transformations", path.display());
    parse(&read_bytes(path)?).with_context(place)
}

fn parse(bytes: &[u8]) -> anyhow::Result<(StateDict, Learnt)> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let learnt = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let learnt = learnt.with_context(|| format!("its metadata have no key `{KEY}`"))?;
    let learnt = serde_json::from_str(learnt)?;
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
    Ok((transformations, learnt))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt() -> Learnt {
        let ffn = Some("low-rank:2".parse().expect("a transformation"));
        let config = TransformationConfig { ffn, ..TransformationConfig::default() };
        let wanted = DescendantConfig { depth: 4.into(), ..DescendantConfig::default() };
        let by = Origin {
            method: Method::ClusterLearngene,
            learngene_sha256: Some("a1".into()),
            ancestor_sha256: None,
            images_sha256: None,
            inherited_layers: None,
            shared_layers: None,
            wanted,
        };
        Learnt { config, by }
    }

    #[test]
    fn descendants_differ_in_more_than_their_shapes() {
        let Learnt { by: there, .. } = learnt();
        let mut here = there.clone();
        (here.wanted.seed, here.wanted.num_classes) = (7, Some(3));
        assert_eq!(there.difference(&here), None);
        let heuristic = |seed| Origin {
            method: Method::HeuristicLearngene,
            wanted: DescendantConfig { seed, ..here.wanted.clone() },
            ..here.clone()
        };
        let words = "seed is 1 there, 2 here";
        assert_eq!(heuristic(1).difference(&heuristic(2)).as_deref(), Some(words));
        here.wanted.order = "increasing".parse().expect("an order");
        let words = "order is \"priority\" there, \"increasing\" here";
        assert_eq!(there.difference(&here).as_deref(), Some(words));
        here.learngene_sha256 = Some("b2".into());
        let words = "learngene_sha256 is \"a1\" there, \"b2\" here";
        assert_eq!(there.difference(&here).as_deref(), Some(words));
    }

    #[test]
    fn a_method_that_there_is_not_is_refused() {
        let mut origin = serde_json::to_value(learnt().by).expect("plain data");
        origin["method"] = "cluster-learngen".into();
        let error = serde_json::from_value::<Origin>(origin).expect_err("a slip").to_string();
        let found = "unknown variant `cluster-learngen`, expected one of `cluster-learngene`, ";
        assert!(error.starts_with(found), "{error}");
    }

    /// Files of before the other fields were there tell none of them.
    #[test]
    fn fields_that_are_absent_are_none() {
        let Learnt { by, .. } = learnt();
        let wanted = serde_json::to_value(&by.wanted).expect("plain data");
        let old = serde_json::json!({
            "method": "cluster-learngene", "learngene_sha256": "a1", "wanted": wanted
        });
        let old: Origin = serde_json::from_value(old).expect("fields of their own defaults");
        assert_eq!(old.difference(&by), None);
        let other = Origin { shared_layers: Some(3), ..by };
        let words = "shared_layers is null there, 3 here";
        assert_eq!(old.difference(&other).as_deref(), Some(words));
    }

    #[test]
    fn what_is_written_comes_back() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("transformations.safetensors");
        let mut transformations = StateDict::default();
        transformations.insert("ffn.0.fc1.a", HostTensor::new([1, 2], vec![0.5, -1.5]));
        write(&path, &transformations, &learnt()).expect("a temporary folder is writable");
        assert_eq!(read(&path).expect("just written"), (transformations, learnt()));
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
        write(&path, &transformations, &learnt()).expect("a temporary folder is writable");
        let error = format!("{:#}", read(&path).expect_err("not finite"));
        assert!(error.ends_with("a is not finite at index 0"), "{error}");
    }
}
