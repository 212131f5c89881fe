//! Safetensors files taken apart, changed and put together again.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// Tensors by name: number format, shape and little-endian bytes.
pub struct Tensors(pub BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

impl Tensors {
    pub fn of(bytes: &[u8]) -> Self {
        let file = SafeTensors::deserialize(bytes).expect("it is a safetensors file");
        let tensors = file.tensors().into_iter().map(|(name, view)| {
            (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        });
        Self(tensors.collect())
    }

    /// One tensor of equal numbers.
    pub fn filled(name: &str, shape: &[usize], value: f32) -> Self {
        let bytes = value.to_le_bytes().repeat(shape.iter().product());
        Self(BTreeMap::from([(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes))]))
    }

    /// Shape and values of a tensor in single precision.
    pub fn get(&self, name: &str) -> (&[usize], Vec<f32>) {
        let names = || self.0.keys().cloned().collect::<Vec<_>>();
        let (dtype, shape, bytes) =
            self.0.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", names()));
        assert_eq!(*dtype, Dtype::F32, "{name}");
        (shape, bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Replaces the numbers of a tensor in single precision.
    pub fn map(&mut self, name: &str, mut number: impl FnMut(usize, f32) -> f32) {
        let (_, values) = self.get(name);
        let values = values.into_iter().enumerate().map(|(index, value)| number(index, value));
        let bytes = values.flat_map(f32::to_le_bytes).collect();
        self.0.get_mut(name).expect("it was just read").2 = bytes;
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let views = self.0.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name, view.expect("shape and bytes agree"))
        });
        safetensors::serialize(views, None).expect("the names are different")
    }
}

/// Checks that two lists of numbers differ by at most `tolerance`.
pub fn check_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    let difference = |(got, want): (&f32, &f32)| (got - want).abs();
    let largest = got.iter().zip(want).map(difference).fold(0.0, f32::max);
    assert!(largest <= tolerance, "{what} differs by {largest}, at most {tolerance} is accepted");
}
