//! Number formats of stored weights.

use std::fmt;

use half::{bf16, f16};

/// Number format in which a checkpoint stores its weights; in memory they are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE single precision.
    F32,
    /// IEEE half precision, up to 65504.
    F16,
    /// The upper half of single precision.
    BF16,
}

impl Dtype {
    /// The narrowest format that holds the values of both.
    pub(super) fn join(self, other: Self) -> Self {
        if self == other { self } else { Self::F32 }
    }

    /// Bytes of one value.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    pub(super) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::BF16),
            _ => None,
        }
    }

    pub(super) fn to_safetensors(self) -> safetensors::Dtype {
        match self {
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::BF16 => safetensors::Dtype::BF16,
        }
    }

    /// Values of little-endian bytes; a rest shorter than one value is left out.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let halves = bytes.chunks_exact(2).map(|bytes| [bytes[0], bytes[1]]);
        match self {
            Self::F32 => bytes
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect(),
            Self::F16 => halves.map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Self::BF16 => halves.map(|bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        }
    }

    /// Little-endian bytes of values, each rounded to the nearest.
    pub(super) fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => {
                values.iter().map(|value| value.to_le_bytes()).collect::<Vec<_>>().into_flattened()
            }
            Self::F16 => {
                let halves = values.iter().map(|value| f16::from_f32(*value).to_le_bytes());
                halves.collect::<Vec<_>>().into_flattened()
            }
            Self::BF16 => {
                let halves = values.iter().map(|value| bf16::from_f32(*value).to_le_bytes());
                halves.collect::<Vec<_>>().into_flattened()
            }
        }
    }

    /// Position of the first value that this format cannot hold: NaN, an infinity, or a number
    /// that rounds to one.
    pub(super) fn first_unfit(self, values: &[f32]) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_format_holds_come_back_unchanged() {
        let values = [0.0, -0.0, 1.5, -65504.0 / 2.0, f32::from_bits(0x3880_0000)];
        for dtype in [Dtype::F32, Dtype::F16] {
            let back = dtype.decode(&dtype.encode(&values));
            assert_eq!(back.map_bits(), values.to_vec().map_bits(), "{dtype}");
        }
        assert_eq!(Dtype::BF16.decode(&Dtype::BF16.encode(&[1.5, -256.0])), [1.5, -256.0]);
    }

    #[test]
    fn what_overflows_is_found() {
        assert_eq!(Dtype::F32.first_unfit(&[1e30, f32::NAN]), Some(1));
        assert_eq!(Dtype::F16.first_unfit(&[65504.0, 1e5]), Some(1));
        assert_eq!(Dtype::BF16.first_unfit(&[1e30, f32::MAX]), Some(1));
        assert_eq!(Dtype::BF16.first_unfit(&[1e30]), None);
        let mut many = vec![1.0; 10_000];
        many[9_000] = f32::INFINITY;
        assert_eq!(Dtype::F32.first_unfit(&many), Some(9_000));
    }

    trait MapBits {
        fn map_bits(self) -> Vec<u32>;
    }

    impl MapBits for Vec<f32> {
        fn map_bits(self) -> Vec<u32> {
            self.into_iter().map(f32::to_bits).collect()
        }
    }
}
