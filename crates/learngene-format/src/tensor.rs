use std::fmt;

use half::{bf16, f16, slice::HalfFloatSliceExt};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::{Error, Sha256};

/// Number type of a learngene's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision: 11 bits of mantissa, at most 65504.
    F16,
    /// bfloat16: 8 bits of mantissa, the range of `F32`.
    BF16,
}

impl Dtype {
    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        })
    }
}

impl From<Dtype> for safetensors::Dtype {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
        }
    }
}

/// Values in row-major order, little-endian, as they stand in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of bytes that are already in place.
    ///
    /// # Errors
    /// [`Error::TensorLength`] where the shape holds another number of bytes.
    pub fn new(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Self, Error> {
        let wanted = byte_length(dtype, &shape).unwrap_or(usize::MAX);
        if bytes.len() != wanted {
            let found = bytes.len();
            return Err(Error::TensorLength { shape, found, wanted, unit: "bytes" });
        }
        Ok(Self { dtype, shape, bytes })
    }

    /// A tensor of f32 values, each rounded to the nearest value of `dtype` (ties to even).
    ///
    /// Values that came from `dtype` are kept exactly. Those beyond the range of f16 become infinite,
    /// which [`Learngene::new`](crate::Learngene::new) refuses.
    ///
    /// # Errors
    /// [`Error::TensorLength`] where the shape holds another number of values.
    pub fn from_f32(dtype: Dtype, shape: Vec<usize>, values: &[f32]) -> Result<Self, Error> {
        let wanted = value_count(&shape).unwrap_or(usize::MAX);
        if values.len() != wanted {
            let found = values.len();
            return Err(Error::TensorLength { shape, found, wanted, unit: "values" });
        }
        let bytes = match dtype {
            Dtype::F32 => flat(values.iter().map(|value| value.to_le_bytes())),
            Dtype::F16 => {
                let mut halves = vec![f16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                flat(halves.iter().map(|value| value.to_le_bytes()))
            }
            Dtype::BF16 => {
                let mut halves = vec![bf16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                flat(halves.iter().map(|value| value.to_le_bytes()))
            }
        };
        Ok(Self { dtype, shape, bytes })
    }

    /// The values as f32, exact for every dtype.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::F32 => words(&self.bytes).map(f32::from_le_bytes).collect(),
            Dtype::F16 => {
                words(&self.bytes).map(f16::from_le_bytes).collect::<Vec<_>>().to_f32_vec()
            }
            Dtype::BF16 => {
                words(&self.bytes).map(bf16::from_le_bytes).collect::<Vec<_>>().to_f32_vec()
            }
        }
    }

    /// Number type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Length along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values' bytes, little-endian, in row-major order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// Hash of the bytes, after seeing that every value is finite. `name` is for the error.
    pub(crate) fn checked_sha256(&self, name: &str) -> Result<Sha256, Error> {
        // Both go over a block while it is in the cache: the bytes come from memory once.
        const BLOCK: usize = 1 << 16;
        let mut hasher = sha2::Sha256::new();
        for (block, bytes) in self.bytes.chunks(BLOCK).enumerate() {
            if !all_finite(self.dtype, bytes) {
                let start = block * BLOCK / self.dtype.size();
                return Err(self.first_non_finite(name, start));
            }
            hasher.update(bytes);
        }
        Ok(<[u8; 32]>::from(hasher.finalize()).into())
    }

    fn first_non_finite(&self, name: &str, start: usize) -> Error {
        let values = self.to_f32();
        let index =
            (start..values.len()).find(|&index| !values[index].is_finite()).unwrap_or(start);
        Error::NonFinite { name: name.to_owned(), index, value: values[index] }
    }
}

/// Bytes of a tensor; `None` where that is beyond counting.
pub(crate) fn byte_length(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    value_count(shape)?.checked_mul(dtype.size())
}

/// Values of a tensor; `None` where that is beyond counting.
pub(crate) fn value_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length))
}

fn words<const SIZE: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u8; SIZE]> {
    let (words, _) = bytes.as_chunks::<SIZE>();
    words.iter().copied()
}

/// The bytes of words.
fn flat<const SIZE: usize>(words: impl Iterator<Item = [u8; SIZE]>) -> Vec<u8> {
    words.collect::<Vec<_>>().into_flattened()
}

/// A value is infinite or not a number exactly when all bits of its exponent are set.
///
/// The folds have no branch, so that the compiler makes vector instructions of them.
fn all_finite(dtype: Dtype, bytes: &[u8]) -> bool {
    let half = |exponent: u16| {
        !words(bytes)
            .map(u16::from_le_bytes)
            .fold(false, |found, bits| found | (bits & exponent == exponent))
    };
    match dtype {
        Dtype::F32 => !words(bytes)
            .map(u32::from_le_bytes)
            .fold(false, |found, bits| found | (bits & 0x7f80_0000 == 0x7f80_0000)),
        Dtype::F16 => half(0x7c00),
        Dtype::BF16 => half(0x7f80),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

    /// Going to f32 and back must keep every one of the 65,536 patterns, not-a-number aside.
    #[test]
    fn halves_survive_the_way_over_f32() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for dtype in [Dtype::F16, Dtype::BF16] {
            let tensor = Tensor::new(dtype, vec![1 << 16], bytes.clone()).expect("two bytes each");
            let values = tensor.to_f32();
            let again = Tensor::from_f32(dtype, vec![1 << 16], &values).expect("one value each");
            for (index, value) in values.iter().enumerate() {
                let place = 2 * index..2 * index + 2;
                let same = again.bytes[place.clone()] == bytes[place];
                assert!(same || value.is_nan(), "{dtype} pattern {index:#06x}");
            }
        }
    }

    #[test]
    fn rounding_is_to_nearest_even() {
        // 1 + 2^-11 lies half-way between two f16, 1 + 2^-8 half-way between two bf16.
        for (dtype, value) in
            [(Dtype::F16, 1.0 + 2f32.powi(-11)), (Dtype::BF16, 1.0 + 2f32.powi(-8))]
        {
            let tensor = Tensor::from_f32(dtype, vec![2], &[value, -value]).expect("two values");
            assert_eq!(tensor.to_f32(), [1.0, -1.0]);
        }
    }

    #[test]
    fn a_value_that_is_not_finite_is_found_wherever_it_stands() {
        for dtype in DTYPES {
            for length in [1, 7, 40_000] {
                for index in [0, length / 2, length - 1] {
                    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                        let mut values = vec![1.0; length];
                        values[index] = value;
                        let tensor = Tensor::from_f32(dtype, vec![length], &values).expect("fits");
                        let error =
                            tensor.checked_sha256("x").expect_err("one value is not finite");
                        assert!(
                            matches!(&error, Error::NonFinite { name, index: at, .. } if name == "x" && *at == index),
                            "{dtype}, {length} values, index {index}: {error}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_finite_values_pass() {
        for (dtype, value) in
            [(Dtype::F32, f32::MAX), (Dtype::F16, 65504.0), (Dtype::BF16, 3.3895314e38)]
        {
            let tensor = Tensor::from_f32(dtype, vec![2], &[value, -value]).expect("two values");
            let hash = tensor.checked_sha256("x").expect("both are finite");
            assert_eq!(hash, Sha256::of(tensor.bytes()));
        }
    }

    #[test]
    fn lengths_that_do_not_fit_the_shape_are_refused() {
        let short =
            Tensor::from_f32(Dtype::F32, vec![2, 3], &[0.0; 5]).expect_err("five values for six");
        assert_eq!(short.to_string(), "tensor of shape [2, 3]: found 5 values, wanted 6");
        let long = Tensor::new(Dtype::F16, vec![2], vec![0; 5]).expect_err("five bytes for four");
        assert_eq!(long.to_string(), "tensor of shape [2]: found 5 bytes, wanted 4");
        let huge = Tensor::new(Dtype::F32, vec![usize::MAX, 2], vec![]);
        assert!(matches!(huge, Err(Error::TensorLength { .. })));
    }
}
