//! How the values of a learngene's tensors lie in its file.

use std::{collections::BTreeMap, fmt};

use learngene_tensors::{Dtype, Grid, Quantised, Tensor, safetensors::Format};
use serde::{Deserialize, Serialize};

/// How values are stored. A reader gets `f32` from all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// All in f32.
    F32,
    /// All in f16.
    F16,
    /// All in bf16.
    BF16,
    /// Matrices of layers in 8 bits with a scale for each row, all else in f16.
    Int8,
    /// Matrices of layers in 4 bits with a scale for each 32 neighbouring inputs, all else in f16.
    Int4,
}

impl Store {
    /// Number format of what is not in few bits.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::BF16 => Dtype::BF16,
            Self::F16 | Self::Int8 | Self::Int4 => Dtype::F16,
        }
    }

    /// Grid of the matrices of layers, where they are in few bits.
    pub fn of_matrices(self) -> Option<Grid> {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => None,
            Self::Int8 => Some(Grid::Rows8),
            Self::Int4 => Some(Grid::Groups4),
        }
    }

    /// Grid of the factors for fewer inputs. They decide less than matrices, and 8 bits cost nothing.
    pub(crate) fn of_factors(self) -> Option<Grid> {
        self.of_matrices().map(|_| Grid::Triangle8)
    }

    /// A tensor as a file gives it back, where it is a matrix of a layer, or else.
    pub fn round(self, tensor: Tensor, is_layer_matrix: bool) -> Tensor {
        match self.of_matrices().filter(|_| is_layer_matrix) {
            Some(grid) => Quantised::nearest(grid, &tensor).tensor(),
            None => Tensor { values: self.dtype().round(tensor.values), ..tensor },
        }
    }
}

impl From<Dtype> for Store {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int8 => f.write_str("int8"),
            Self::Int4 => f.write_str("int4"),
            other => other.dtype().fmt(f),
        }
    }
}

/// Shape of a tensor, and its grid where it is in few bits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub shape: Vec<usize>,
    pub grid: Option<Grid>,
}

/// What a learngene holds, by name.
pub(crate) type Layout = BTreeMap<String, Held>;

/// A tensor of the file.
pub(crate) struct Stored {
    /// Its name in the file.
    pub name: String,
    pub format: Format,
    pub shape: Vec<usize>,
    /// The tensor that it belongs to, and which piece of that it is.
    pub of: (String, Piece),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    Values,
    Levels,
    Scales,
}

/// The tensors of a file, in the order in which they follow the header: the wider number format first,
/// so that every value lies at a multiple of its length, and then by name.
pub(crate) fn stored(layout: &Layout, store: Store) -> Vec<Stored> {
    let plain = store.dtype().into();
    let mut tensors = Vec::new();
    for (name, held) in layout {
        let mut push = |stored: String, format: Format, shape: Vec<usize>, piece| {
            tensors.push(Stored { name: stored, format, shape, of: (name.clone(), piece) });
        };
        match held.grid {
            None => push(name.clone(), plain, held.shape.clone(), Piece::Values),
            Some(grid) => {
                let levels = grid.levels_shape(&held.shape);
                push(name.clone(), grid.format(), levels, Piece::Levels);
                let scales = grid.scales_shape(&held.shape);
                push(scales_name(name), Format::F16, scales, Piece::Scales);
            }
        }
    }
    tensors.sort_by(|one, other| other.format.cmp(&one.format).then(one.name.cmp(&other.name)));
    tensors
}

/// Name of the scales of a tensor.
pub(crate) fn scales_name(tensor: &str) -> String {
    format!("{tensor}.scale")
}

/// Shapes of the tensors of a file.
pub(crate) fn shapes(stored: &[Stored]) -> BTreeMap<String, Vec<usize>> {
    stored.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
}

/// Bytes of the tensors of a file.
pub(crate) fn num_bytes(stored: &[Stored]) -> u64 {
    let bytes = |tensor: &Stored| {
        let count: u64 = tensor.shape.iter().map(|length| *length as u64).product();
        count * tensor.format.bitsize() as u64 / 8
    };
    stored.iter().map(bytes).sum()
}
