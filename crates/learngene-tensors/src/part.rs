//! Tensors on their way into a file.

use crate::Tensor;

/// A tensor to be written: a whole one, or some rows of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<'a> {
    /// Its name in the file.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: &'a [f32],
}

impl<'a> Part<'a> {
    /// A whole tensor.
    pub fn of(name: impl Into<String>, tensor: &'a Tensor) -> Self {
        Self { name: name.into(), shape: tensor.shape.clone(), values: &tensor.values }
    }
}
