//! Learnt transformations in a file: small, to be folded into the same expansion again.

use std::path::Path;

use learngene_expansion::{ClassifierPolicy, DescendantConfig};
use learngene_tensors::{
    Dtype, Error, Result, Safetensors, Sha256, StateDict, Tensor, safetensors,
};
use learngene_training::TransformationConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::method::Method;

/// The file's only metadata key, so that equal contents are equal bytes.
const KEY: &str = "transformations";

/// What the file says of itself.
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
    pub learngene_sha256: Option<Sha256>,
    pub ancestor_sha256: Option<Sha256>,
    pub inherited_layers: Option<usize>,
    pub shared_layers: Option<usize>,
    pub config: DescendantConfig,
}

impl Origin {
    /// The first difference of two descendants, except in their classifiers.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (self.without_classifier(), other.without_classifier());
        let fields = ours.iter().zip(&theirs);
        let (name, here, there) = fields
            .map(|((name, ours), (_, theirs))| (name, ours, theirs))
            .find(|(_, ours, theirs)| ours != theirs)?;
        Some(format!("{name} is {here} there, {there} here"))
    }

    fn without_classifier(&self) -> Map<String, Value> {
        // Of these methods the seed draws whole layers, else the classifier alone.
        let seed = if self.method.chooses_layers() { self.config.seed } else { 0 };
        let classifier = ClassifierPolicy::default();
        let config =
            DescendantConfig { classifier, num_classes: None, seed, ..self.config.clone() };
        let [Ok(Value::Object(mut fields)), Ok(Value::Object(mut others))] =
            [serde_json::to_value(config), serde_json::to_value(self)]
        else {
            unreachable!("a structure of plain fields is an object")
        };
        others.remove("config");
        fields.append(&mut others);
        fields
    }
}

/// Writes transformations, whole or not at all.
pub fn write(path: &Path, transformations: &StateDict, learnt: &Learnt) -> anyhow::Result<()> {
    let learnt = serde_json::to_string(learnt)?;
    Ok(safetensors::write(path, (KEY, &learnt), Dtype::F32, transformations.parts())?)
}

/// Reads transformations, all values finite.
pub fn read(path: &Path) -> Result<(StateDict, Learnt)> {
    let file = Safetensors::open(path).and_then(|file| {
        let place = || format!("metadata `{KEY}`");
        let expected = "that of transformations.safetensors from `learngene train`";
        let learnt = file.metadata.get(KEY);
        let learnt = learnt.ok_or_else(|| Error::invalid(place(), "none", expected))?;
        let learnt = serde_json::from_str(learnt)
            .map_err(|error| Error::invalid(place(), error, expected))?;
        let tensor = |(name, stored): (&String, &safetensors::Stored)| {
            Ok((name.clone(), Tensor::new(stored.shape.clone(), file.values(name)?)))
        };
        Ok((file.tensors.iter().map(tensor).collect::<Result<_>>()?, learnt))
    });
    file.map_err(|error| error.in_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt() -> Learnt {
        let ffn = Some("low-rank:2".parse().expect("a transformation"));
        let config = TransformationConfig { ffn, ..TransformationConfig::default() };
        let by = Origin {
            method: Method::ClusterLearngene,
            learngene_sha256: Some(Sha256::of(b"a")),
            ancestor_sha256: None,
            inherited_layers: None,
            shared_layers: None,
            config: DescendantConfig { depth: 4.into(), ..DescendantConfig::default() },
        };
        Learnt { config, by }
    }

    #[test]
    fn descendants_differ_in_more_than_their_shapes() {
        let Learnt { by: there, .. } = learnt();
        let mut here = there.clone();
        (here.config.seed, here.config.num_classes) = (7, Some(3));
        assert_eq!(there.difference(&here), None);
        let heuristic = |seed| Origin {
            method: Method::HeuristicLearngene,
            config: DescendantConfig { seed, ..here.config.clone() },
            ..here.clone()
        };
        let words = "seed is 1 there, 2 here";
        assert_eq!(heuristic(1).difference(&heuristic(2)).as_deref(), Some(words));
        here.config.order = "increasing".parse().expect("an order");
        let words = "order is \"priority\" there, \"increasing\" here";
        assert_eq!(there.difference(&here).as_deref(), Some(words));
        here.learngene_sha256 = None;
        let difference = there.difference(&here).expect("another learngene");
        assert!(difference.starts_with("learngene_sha256 is \""), "{difference}");
    }

    #[test]
    fn what_is_written_comes_back_and_other_files_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("transformations.safetensors");
        let mut transformations = StateDict::default();
        transformations.insert("ffn.0.fc1.a", Tensor::new([1, 2], vec![0.5, -1.5]));
        write(&path, &transformations, &learnt()).expect("a temporary folder is writable");
        assert_eq!(read(&path).expect("just written"), (transformations, learnt()));
        safetensors::write(&path, ("x", ""), Dtype::F32, vec![]).expect("it is writable");
        let error = read(&path).expect_err("no transformations").to_string();
        assert!(error.contains("metadata `transformations`: found none, expected"), "{error}");
    }
}
