//! The tensors of a file, whichever way it packs them.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use learngene_tensors::{
    Dtype, Error, Result, Safetensors, check_shapes,
    safetensors::{LENGTH_BYTES, check_finite},
};
use pytorch_reader::{PytorchError, PytorchReader};

/// Keys under which PyTorch training scripts (DeiT's, timm's) nest the weights.
const PYTORCH_KEYS: [&str; 2] = ["model", "state_dict"];

/// An opened file: what it says of its tensors, and where their bytes are.
pub(crate) struct Container {
    path: PathBuf,
    /// What each tensor is.
    pub tensors: BTreeMap<String, Header>,
    /// The configuration in the metadata of a safetensors header, where there is one.
    pub config: Option<String>,
    source: Source,
}

/// What a file says of one tensor.
pub(crate) struct Header {
    /// Its number format, or the name of one that weights are not stored in.
    dtype: Result<Dtype, String>,
    pub shape: Vec<usize>,
}

enum Source {
    Safetensors(Safetensors),
    /// Handles that read one tensor each.
    Pytorch(HashMap<String, pytorch_reader::Tensor>),
}

impl Container {
    /// Opens a safetensors file or a `.pth`, distinguished by their first bytes.
    pub fn open(path: &Path) -> Result<Self> {
        let mut start = Vec::new();
        let file = File::open(path).map_err(Error::read(path))?;
        file.take(LENGTH_BYTES as u64 + 1).read_to_end(&mut start).map_err(Error::read(path))?;
        // The header is JSON.
        if start.get(LENGTH_BYTES) == Some(&b'{') {
            return Self::safetensors(path).map_err(|error| error.in_file(path));
        }
        // A ZIP archive (PyTorch 1.6 and later), or the pickles of older releases.
        if start.starts_with(b"PK") || start.starts_with(b"\x80") {
            return Self::pytorch(path).map_err(|error| unreadable("", error).in_file(path));
        }
        let found = match &start[..] {
            [] => "an empty file".into(),
            start => format!("a file that begins with `{}`", start.escape_ascii()),
        };
        let expected = "a safetensors file or a PyTorch checkpoint (.pth)";
        Err(Error::invalid("", found, expected).in_file(path))
    }

    fn safetensors(path: &Path) -> Result<Self> {
        let mut file = Safetensors::open(path)?;
        let tensors = file.tensors.iter().map(|(name, stored)| {
            let dtype = stored.dtype.try_into().map_err(|dtype| format!("{dtype:?}"));
            (name.clone(), Header { dtype, shape: stored.shape.clone() })
        });
        Ok(Self {
            path: path.into(),
            tensors: tensors.collect(),
            config: file.metadata.remove("config"),
            source: Source::Safetensors(file),
        })
    }

    fn pytorch(path: &Path) -> Result<Self, PytorchError> {
        let file = pytorch_tensors(path)?;
        let tensors = file.iter().map(|(name, tensor)| {
            let dtype = match tensor.dtype() {
                pytorch_reader::DType::F32 => Ok(Dtype::F32),
                pytorch_reader::DType::F16 => Ok(Dtype::F16),
                pytorch_reader::DType::BF16 => Ok(Dtype::BF16),
                other => Err(format!("{other:?}")),
            };
            (name.clone(), Header { dtype, shape: tensor.shape().to_vec() })
        });
        Ok(Self {
            path: path.into(),
            tensors: tensors.collect(),
            config: None,
            source: Source::Pytorch(file),
        })
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.tensors.keys().map(String::as_str)
    }

    /// Takes out the tensors whose names fulfil a condition.
    pub fn take(&mut self, is_taken: impl Fn(&str) -> bool) -> Vec<(String, Header)> {
        self.tensors.extract_if(.., |name, _| is_taken(name)).collect()
    }

    /// The one format that holds the values of all tensors.
    ///
    /// # Errors
    /// Lists every tensor of a format that weights are not stored in.
    pub fn dtype(&self) -> Result<Dtype> {
        let unfit = self.tensors.iter().filter_map(|(name, header)| {
            let dtype = header.dtype.as_ref().err()?;
            Some(format!("{name} as {dtype}"))
        });
        let unfit = unfit.collect::<Vec<_>>().join(", ");
        if !unfit.is_empty() {
            let error = Error::invalid("number formats", unfit, "f32, f16 or bf16");
            return Err(error.in_file(&self.path));
        }
        let dtypes = self.tensors.values().filter_map(|header| header.dtype.clone().ok());
        Ok(dtypes.reduce(Dtype::join).unwrap_or(Dtype::F32))
    }

    /// Checks names and shapes against those of a model.
    ///
    /// # Errors
    /// [`Error::Parameters`] with everything that differs.
    pub fn check_shapes(&self, expected: &BTreeMap<String, Vec<usize>>) -> Result<()> {
        let found = self.tensors.iter().map(|(name, of)| (name.as_str(), of.shape.as_slice()));
        check_shapes(&self.path.display().to_string(), &found.collect(), expected)
    }

    /// The values of a tensor, all finite.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.read(name).map_err(|error| error.in_file(&self.path))
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        match &self.source {
            Source::Safetensors(file) => file.values(name),
            Source::Pytorch(tensors) => {
                let dtype = self.tensors.get(name).and_then(|header| header.dtype.clone().ok());
                let (tensor, dtype) = tensors
                    .get(name)
                    .zip(dtype)
                    .ok_or_else(|| Error::invalid("tensors", format!("no `{name}`"), "one"))?;
                let bytes = tensor.read().map_err(|error| unreadable(name, error))?;
                let values = dtype.decode(&bytes);
                check_finite(name, &values, Dtype::F32)?;
                Ok(values)
            }
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

fn unreadable(what: &str, error: impl std::fmt::Display) -> Error {
    Error::invalid(what, error, "a whole PyTorch checkpoint")
}
