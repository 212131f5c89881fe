//! The tensors of a file, whichever way it packs them.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use burn_store::pytorch_reader::{self, PytorchError, PytorchReader};
use safetensors::SafeTensors;

use super::{CheckpointError, Dtype, file};

/// Keys under which PyTorch training scripts (DeiT's, timm's) nest the weights.
const PYTORCH_KEYS: [&str; 2] = ["model", "state_dict"];

/// Bytes before a safetensors header, which is JSON: its length as an unsigned integer.
const SAFETENSORS_LENGTH: usize = 8;

/// An opened file: what it says of its tensors, and their bytes.
pub(super) struct Container {
    path: PathBuf,
    /// What each tensor is.
    pub headers: BTreeMap<String, Header>,
    /// The configuration in the metadata of a safetensors header, where there is one.
    pub config: Option<String>,
    bytes: Bytes,
}

/// What a file says of one tensor.
pub(super) struct Header {
    /// The format by its name in the file, and what it is to us.
    dtype: (String, Option<Dtype>),
    pub shape: Vec<usize>,
}

enum Bytes {
    /// The whole file.
    Safetensors { file: Vec<u8>, ranges: BTreeMap<String, std::ops::Range<usize>> },
    /// Handles that read one tensor each.
    Pytorch(HashMap<String, pytorch_reader::Tensor>),
}

impl Container {
    /// Opens a safetensors file or a `.pth`, told apart by their first bytes.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let mut start = Vec::new();
        let file = File::open(path).map_err(|source| read_error(path, source))?;
        file.take(SAFETENSORS_LENGTH as u64 + 1)
            .read_to_end(&mut start)
            .map_err(|source| read_error(path, source))?;
        if start.is_empty() {
            Err(CheckpointError::Empty { path: path.into() })
        } else if start.get(SAFETENSORS_LENGTH) == Some(&b'{') {
            Self::open_safetensors(path)
        } else if start.starts_with(b"PK") || start.starts_with(b"\x80") {
            // A ZIP archive (PyTorch 1.6 and later), or the pickles of older releases.
            Self::open_pytorch(path)
        } else {
            Err(CheckpointError::NotACheckpoint { path: path.into() })
        }
    }

    fn open_safetensors(path: &Path) -> Result<Self, CheckpointError> {
        let file = fs::read(path).map_err(|source| read_error(path, source))?;
        let (length, metadata) = SafeTensors::read_metadata(&file)
            .map_err(|source| CheckpointError::Safetensors { path: path.into(), source })?;
        let start = SAFETENSORS_LENGTH + length;
        let tensors = metadata.tensors();
        let ranges = tensors.iter().map(|(name, info)| {
            let (from, to) = info.data_offsets;
            (name.clone(), start + from..start + to)
        });
        let headers = tensors.iter().map(|(name, info)| {
            let dtype = (format!("{:?}", info.dtype), Dtype::from_safetensors(info.dtype));
            (name.clone(), Header { dtype, shape: info.shape.clone() })
        });
        Ok(Self {
            path: path.into(),
            headers: headers.collect(),
            config: metadata.metadata().as_ref().and_then(|map| map.get("config").cloned()),
            bytes: Bytes::Safetensors { ranges: ranges.collect(), file },
        })
    }

    fn open_pytorch(path: &Path) -> Result<Self, CheckpointError> {
        let tensors = pytorch_tensors(path).map_err(|source| CheckpointError::Pytorch {
            path: path.into(),
            source: source.into(),
        })?;
        let headers = tensors.iter().map(|(name, tensor)| {
            let known = match tensor.dtype() {
                pytorch_reader::DType::F32 => Some(Dtype::F32),
                pytorch_reader::DType::F16 => Some(Dtype::F16),
                pytorch_reader::DType::BF16 => Some(Dtype::BF16),
                _ => None,
            };
            let dtype = (format!("{:?}", tensor.dtype()), known);
            (name.clone(), Header { dtype, shape: tensor.shape().to_vec() })
        });
        Ok(Self {
            path: path.into(),
            headers: headers.collect(),
            config: None,
            bytes: Bytes::Pytorch(tensors),
        })
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> Result<String, CheckpointError> {
        let hash = match &self.bytes {
            Bytes::Safetensors { file, .. } => file::sha256_of(&file[..]),
            Bytes::Pytorch(_) => file::sha256(&self.path),
        };
        hash.map_err(|source| read_error(&self.path, source))
    }

    /// The one format that holds the values of all tensors.
    ///
    /// # Errors
    /// Lists every tensor of a format that weights are not stored in.
    pub fn dtype(&self) -> Result<Dtype, CheckpointError> {
        let tensors: Vec<String> = self
            .headers
            .iter()
            .filter(|(_, header)| header.dtype.1.is_none())
            .map(|(name, header)| format!("{name} as {}", header.dtype.0))
            .collect();
        if !tensors.is_empty() {
            return Err(CheckpointError::Dtype { path: self.path.clone(), tensors });
        }
        let dtypes = self.headers.values().filter_map(|header| header.dtype.1);
        Ok(dtypes.reduce(Dtype::join).unwrap_or(Dtype::F32))
    }

    /// The values of a tensor, all finite.
    ///
    /// # Panics
    /// Panics on a name that the file does not have, or a format that [`Container::dtype`]
    /// refuses.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let dtype = self.headers[name].dtype.1.expect("formats were checked by the caller");
        let values = match &self.bytes {
            Bytes::Safetensors { file, ranges } => dtype.decode(&file[ranges[name].clone()]),
            Bytes::Pytorch(tensors) => {
                let bytes = tensors[name].read().map_err(|source| CheckpointError::Pytorch {
                    path: self.path.clone(),
                    source: Box::new(source.into()),
                })?;
                dtype.decode(&bytes)
            }
        };
        match Dtype::F32.first_unfit(&values) {
            None => Ok(values),
            Some(index) => Err(CheckpointError::NonFinite {
                path: self.path.clone(),
                tensor: name.into(),
                index,
                value: values[index],
            }),
        }
    }
}

/// The tensors under the first of [`PYTORCH_KEYS`] that the file has, or at its root.
fn pytorch_tensors(path: &Path) -> Result<HashMap<String, pytorch_reader::Tensor>, PytorchError> {
    for key in PYTORCH_KEYS {
        match PytorchReader::with_top_level_key(path, key) {
            Ok(reader) => return Ok(reader.into_tensors()),
            Err(PytorchError::KeyNotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(PytorchReader::new(path)?.into_tensors())
}

pub(super) fn read_error(path: &Path, source: io::Error) -> CheckpointError {
    CheckpointError::Read { path: path.into(), source }
}
