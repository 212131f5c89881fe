//! Parameters on the host, named and laid out as timm does.

use std::collections::BTreeMap;

use burn::{module::Module, tensor::TensorData};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter, bridge};
use thiserror::Error;

/// A dense f32 tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The elements; as many as the product of `shape`.
    pub values: Vec<f32>,
}

impl HostTensor {
    /// A tensor of the given shape and values.
    ///
    /// # Panics
    /// Panics when the number of values is not the product of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "{shape:?} does not hold {} values",
            values.len()
        );
        Self { shape, values }
    }
}

/// The parameters of a model: timm's names (`blocks.3.attn.qkv.weight`) and layouts (linear
/// weights are `[out, in]`), sorted by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict(BTreeMap<String, HostTensor>);

/// Parameters that do not fit a model.
#[derive(Debug, Error, PartialEq)]
#[error("the parameters do not fit the model{}", list(missing, unused, mismatched))]
pub struct StateDictError {
    /// Parameters that the model has and the source lacks.
    pub missing: Vec<String>,
    /// Parameters of the source that the model does not have.
    pub unused: Vec<String>,
    /// Parameters of another shape, as `name: found [..], wanted [..]`.
    pub mismatched: Vec<String>,
}

fn list(missing: &[String], unused: &[String], mismatched: &[String]) -> String {
    [("missing", missing), ("unused", unused), ("wrong shape", mismatched)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("; {what}: {}", names.join(", ")))
        .collect()
}

impl StateDict {
    /// Reads the parameters of a burn module back to the host.
    ///
    /// # Panics
    /// Panics when the device fails to hand over a parameter.
    pub fn from_module<M: Module>(module: &M) -> Self {
        let snapshots = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
        Self(
            snapshots
                .into_iter()
                .map(|snapshot| {
                    let name = snapshot.name.clone();
                    let data = bridge::into_data(snapshot).expect("a live parameter can be read");
                    let shape = data.shape().to_vec();
                    let values =
                        data.convert::<f32>().try_into_vec().expect("converted to f32 just before");
                    (name, HostTensor { shape, values })
                })
                .collect(),
        )
    }

    /// Gives a module these parameters.
    ///
    /// # Errors
    /// Lists every parameter that is missing, unused or of another shape.
    pub fn load_into<M: Module>(&self, mut module: M) -> Result<M, StateDictError> {
        self.check_against(&shapes(&module))?;
        let tensors = self.0.iter().map(|(name, tensor)| {
            let data = TensorData::new(tensor.values.clone(), tensor.shape.clone());
            bridge::from_data(data, name.clone(), None)
        });
        let result =
            module.apply(tensors.collect(), None, Some(Box::new(PyTorchToBurnAdapter)), true);
        assert!(
            result.errors.is_empty() && result.missing.is_empty() && result.unused.is_empty(),
            "names and shapes were checked just before: {result}"
        );
        Ok(module)
    }

    /// Checks names and shapes against those that a model wants.
    ///
    /// # Errors
    /// Lists every parameter that is missing, unused or of another shape.
    pub fn check_against(
        &self,
        wanted: &BTreeMap<String, Vec<usize>>,
    ) -> Result<(), StateDictError> {
        let error = StateDictError {
            missing: wanted.keys().filter(|name| !self.0.contains_key(*name)).cloned().collect(),
            unused: self.0.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect(),
            mismatched: wanted
                .iter()
                .filter_map(|(name, shape)| {
                    let found = &self.0.get(name)?.shape;
                    (found != shape).then(|| format!("{name}: found {found:?}, wanted {shape:?}"))
                })
                .collect(),
        };
        if error.missing.is_empty() && error.unused.is_empty() && error.mismatched.is_empty() {
            Ok(())
        } else {
            Err(error)
        }
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&HostTensor> {
        self.0.get(name)
    }

    /// Adds or replaces a parameter.
    pub fn insert(&mut self, name: impl Into<String>, tensor: HostTensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Takes a parameter out.
    pub fn remove(&mut self, name: &str) -> Option<HostTensor> {
        self.0.remove(name)
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and tensors in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &HostTensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Scalars in all tensors together.
    pub fn num_parameters(&self) -> usize {
        self.0.values().map(|tensor| tensor.values.len()).sum()
    }
}

impl FromIterator<(String, HostTensor)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (String, HostTensor)>>(tensors: I) -> Self {
        Self(tensors.into_iter().collect())
    }
}

impl IntoIterator for StateDict {
    type Item = (String, HostTensor);
    type IntoIter = std::collections::btree_map::IntoIter<String, HostTensor>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Names and shapes of a module's parameters, in timm's names and layouts.
pub(crate) fn shapes<M: Module>(module: &M) -> BTreeMap<String, Vec<usize>> {
    module
        .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
        .into_iter()
        .map(|snapshot| (snapshot.name.clone(), snapshot.shape.to_vec()))
        .collect()
}
