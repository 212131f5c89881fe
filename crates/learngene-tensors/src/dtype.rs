//! Number formats of stored values; in memory they are always `f32`.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read},
};

use half::{bf16, f16, slice::HalfFloatSliceExt};
use serde::{Deserialize, Serialize};

/// Number format of stored values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision: 11 bits of mantissa, at most 65504.
    F16,
    /// The upper half of single precision: 8 bits of mantissa.
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

    /// The narrowest format that holds the values of both.
    pub fn join(self, other: Self) -> Self {
        if self == other { self } else { Self::F32 }
    }

    /// Values of little-endian bytes; a rest shorter than one value is left out.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => words(bytes).map(f32::from_le_bytes).collect(),
            Self::F16 => words(bytes).map(f16::from_le_bytes).collect::<Vec<_>>().to_f32_vec(),
            Self::BF16 => words(bytes).map(bf16::from_le_bytes).collect::<Vec<_>>().to_f32_vec(),
        }
    }

    /// The next `count` values of a source of little-endian bytes.
    ///
    /// # Errors
    /// A failure to read; a source that ends before.
    pub fn read(self, source: &mut impl Read, count: usize) -> io::Result<Vec<f32>> {
        if self == Self::F32 && cfg!(target_endian = "little") {
            // Straight to where they stay: a second copy costs as much as the reading.
            let mut values = vec![0.0; count];
            source.read_exact(bytemuck::cast_slice_mut(&mut values))?;
            return Ok(values);
        }
        let mut bytes = vec![0; count * self.size()];
        source.read_exact(&mut bytes)?;
        Ok(self.decode(&bytes))
    }

    /// Little-endian bytes of values, each rounded to the nearest (ties to even).
    pub fn encode(self, values: &[f32]) -> Cow<'_, [u8]> {
        match self {
            Self::F32 if cfg!(target_endian = "little") => bytemuck::cast_slice(values).into(),
            Self::F32 => flat(values.iter().map(|value| value.to_le_bytes())).into(),
            Self::F16 => {
                let mut halves = vec![f16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                flat(halves.iter().map(|value| value.to_le_bytes())).into()
            }
            Self::BF16 => {
                let mut halves = vec![bf16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                flat(halves.iter().map(|value| value.to_le_bytes())).into()
            }
        }
    }

    /// The values as a file of this format gives them back.
    pub fn round(self, values: Vec<f32>) -> Vec<f32> {
        if self == Self::F32 { values } else { self.decode(&self.encode(&values)) }
    }

    /// Position of the first value that this format cannot hold: NaN, an infinity, or a number
    /// that rounds to one.
    pub fn first_unfit(self, values: &[f32]) -> Option<usize> {
        let is_unfit = |value: &f32| match self {
            Self::F32 => !value.is_finite(),
            Self::F16 => !f16::from_f32(*value).is_finite(),
            Self::BF16 => !bf16::from_f32(*value).is_finite(),
        };
        // A block is looked over without a branch for each value, which SIMD instructions can do.
        const BLOCK: usize = 4096;
        let mut blocks = values.chunks(BLOCK).enumerate();
        let (block, values) = blocks.find(|(_, values)| {
            values.iter().fold(false, |found, value| found | is_unfit(value))
        })?;
        values.iter().position(is_unfit).map(|index| block * BLOCK + index)
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

/// The format of a safetensors file, where weights are stored in it.
impl TryFrom<safetensors::Dtype> for Dtype {
    type Error = safetensors::Dtype;

    fn try_from(dtype: safetensors::Dtype) -> Result<Self, safetensors::Dtype> {
        match dtype {
            safetensors::Dtype::F32 => Ok(Self::F32),
            safetensors::Dtype::F16 => Ok(Self::F16),
            safetensors::Dtype::BF16 => Ok(Self::BF16),
            other => Err(other),
        }
    }
}

fn words<const SIZE: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u8; SIZE]> {
    let (words, _) = bytes.as_chunks::<SIZE>();
    words.iter().copied()
}

fn flat<const SIZE: usize>(words: impl Iterator<Item = [u8; SIZE]>) -> Vec<u8> {
    words.collect::<Vec<_>>().into_flattened()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Going to f32 and back must keep every one of the 65,536 patterns, not-a-number aside.
    #[test]
    fn halves_survive_the_way_over_f32() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for dtype in [Dtype::F16, Dtype::BF16] {
            let values = dtype.decode(&bytes);
            let again = dtype.encode(&values);
            for (index, value) in values.iter().enumerate() {
                let place = 2 * index..2 * index + 2;
                let same = again[place.clone()] == bytes[place];
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
            assert_eq!(dtype.round(vec![value, -value]), [1.0, -1.0]);
        }
    }

    #[test]
    fn what_a_format_cannot_hold_is_found() {
        assert_eq!(Dtype::F32.first_unfit(&[1e30, f32::NAN]), Some(1));
        assert_eq!(Dtype::F16.first_unfit(&[65504.0, 1e5]), Some(1));
        assert_eq!(Dtype::BF16.first_unfit(&[1e30, f32::MAX]), Some(1));
        assert_eq!(Dtype::BF16.first_unfit(&[1e30]), None);
        let mut many = vec![1.0; 10_000];
        many[9_000] = f32::INFINITY;
        assert_eq!(Dtype::F32.first_unfit(&many), Some(9_000));
    }
}
