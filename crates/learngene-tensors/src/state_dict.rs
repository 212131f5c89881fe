use std::collections::{BTreeMap, btree_map};

use crate::{Part, Result, Tensor, check_shapes};

/// The parameters of a model: timm's names (`blocks.3.attn.qkv.weight`) and layouts (linear
/// weights are `[out, in]`), sorted by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict(BTreeMap<String, Tensor>);

impl StateDict {
    /// Checks names and shapes against those that are expected.
    ///
    /// # Errors
    /// [`Error::Parameters`] with every parameter that is missing, unused or of another shape.
    pub fn check_against(&self, expected: &BTreeMap<String, Vec<usize>>) -> Result<()> {
        let found = self.0.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()));
        check_shapes("", &found.collect(), expected)
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// Adds or replaces a parameter.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Takes a parameter out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and tensors in alphabetical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Names and tensors in alphabetical order, to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Tensor)> {
        self.0.iter_mut().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Scalars in all tensors together.
    pub fn num_parameters(&self) -> usize {
        self.0.values().map(|tensor| tensor.values.len()).sum()
    }

    /// The tensors as [`safetensors::write`](crate::safetensors::write) takes them.
    pub fn parts(&self) -> Vec<Part<'_>> {
        self.iter().map(|(name, tensor)| Part::of(name, tensor)).collect()
    }
}

impl FromIterator<(String, Tensor)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(tensors: I) -> Self {
        Self(tensors.into_iter().collect())
    }
}

impl Extend<(String, Tensor)> for StateDict {
    fn extend<I: IntoIterator<Item = (String, Tensor)>>(&mut self, tensors: I) {
        self.0.extend(tensors);
    }
}

impl IntoIterator for StateDict {
    type Item = (String, Tensor);
    type IntoIter = btree_map::IntoIter<String, Tensor>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
