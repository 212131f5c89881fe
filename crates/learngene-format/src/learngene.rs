use std::{
    borrow::Cow,
    io::{Read, Seek},
    iter,
    path::Path,
};

use learngene_tensors::{
    Dtype, Error, Result, Safetensors, Sha256, StateDict, Tensor, safetensors::check_finite,
    write_whole,
};
use rayon::prelude::*;

use crate::{Manifest, Parameters, TensorEntry, check::same, header};

/// A manifest and exactly the tensors that it implies, every value finite.
///
/// Values are `f32` in memory, each one that the manifest's number format can hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Learngene {
    manifest: Manifest,
    tensors: StateDict,
    /// All bytes of the file before the first tensor.
    header: Vec<u8>,
}

impl Learngene {
    /// Joins a manifest and its tensors, whose values are rounded to the manifest's number format.
    /// Whatever [`Manifest::parameters`] and [`Manifest::tensors`] say is replaced.
    ///
    /// # Errors
    /// Those of [`Manifest::check`]; tensors that are not those of [`Manifest::expected_tensors`]; a
    /// value that the number format cannot hold.
    pub fn new(mut manifest: Manifest, tensors: StateDict) -> Result<Self> {
        let shapes = manifest.expected_tensors()?;
        tensors.check_against(&shapes)?;
        let dtype = manifest.dtype;
        let tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
        let stored: Vec<_> =
            tensors.into_par_iter().map(|(name, tensor)| store(dtype, name, tensor)).collect();
        // Of several errors the first by name, so that threads do not decide which.
        let stored = stored.into_iter().collect::<Result<Vec<_>>>()?;
        let (entries, tensors): (Vec<_>, Vec<_>) = stored.into_iter().unzip();
        manifest.tensors = entries.into_iter().collect();
        manifest.parameters = Parameters::of(&shapes);
        let header = header::encode(&manifest, &shapes)?;
        Ok(Self { manifest, tensors: tensors.into_iter().collect(), header })
    }

    /// Reads a file and checks everything about it.
    ///
    /// # Errors
    /// A file that cannot be read, or is not a learngene to the last bit.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = Safetensors::open(path).and_then(|file| Self::decode(&file));
        file.map_err(|error| error.in_file(path))
    }

    /// Whether a file is a learngene, of whatever version and in whatever state: its metadata says so.
    pub fn is_one(path: impl AsRef<Path>) -> bool {
        Safetensors::open(path.as_ref()).is_ok_and(|file| file.metadata.contains_key(header::KEY))
    }

    /// Reads the manifest alone, however large the file is.
    ///
    /// # Errors
    /// Those of [`Learngene::read`] but what concerns the tensors' values.
    pub fn read_manifest(path: impl AsRef<Path>) -> Result<Manifest> {
        let path = path.as_ref();
        let file = Safetensors::open(path).and_then(|file| header::decode(&file));
        Ok(file.map_err(|error| error.in_file(path))?.0)
    }

    /// Reads the bytes of a file and checks everything about them.
    ///
    /// # Errors
    /// Bytes that are not a learngene.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::decode(&Safetensors::from_bytes(bytes)?)
    }

    /// Writes the file, which appears whole or not at all. A file of this name is replaced.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        write_whole(path, self.parts()).map_err(Error::write(path))
    }

    /// The bytes of the file; the same learngene is always the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.parts().collect::<Vec<_>>().concat()
    }

    /// What the learngene is and how it was made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Every tensor by its name; `FORMAT.md` lists names and shapes.
    pub fn tensors(&self) -> &StateDict {
        &self.tensors
    }

    /// The manifest and the tensors.
    pub fn into_parts(self) -> (Manifest, StateDict) {
        (self.manifest, self.tensors)
    }

    fn decode<Source: Read + Seek + Send>(file: &Safetensors<Source>) -> Result<Self> {
        let (manifest, shapes) = header::decode(file)?;
        let read = |(name, shape): (String, Vec<usize>)| {
            let values = file.any_values(&name)?;
            let expected = manifest.tensors[&name].sha256;
            let found = Sha256::of(&manifest.dtype.encode(&values));
            same(&format!("checksum of {name}"), &found, &expected)?;
            check_finite(&name, &values, Dtype::F32)?;
            Ok((name, Tensor::new(shape, values)))
        };
        let tensors: Vec<Result<_>> = shapes.into_par_iter().map(read).collect();
        let tensors = tensors.into_iter().collect::<Result<_>>()?;
        Ok(Self { manifest, tensors, header: file.header().to_vec() })
    }

    /// The file, piece by piece: its header, then its tensors by name.
    fn parts(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let dtype = self.manifest.dtype;
        let tensors = self.tensors.iter().map(move |(_, tensor)| dtype.encode(&tensor.values));
        iter::once(self.header.as_slice().into()).chain(tensors)
    }
}

/// What the manifest says of a tensor, and the tensor as a file gives it back.
type Stored = ((String, TensorEntry), (String, Tensor));

fn store(dtype: Dtype, name: String, Tensor { shape, values }: Tensor) -> Result<Stored> {
    check_finite(&name, &values, dtype)?;
    let bytes = dtype.encode(&values);
    let entry = TensorEntry { sha256: Sha256::of(&bytes) };
    let rounded = (dtype != Dtype::F32).then(|| dtype.decode(&bytes));
    drop(bytes);
    let tensor = Tensor::new(shape, rounded.unwrap_or(values));
    Ok(((name.clone(), entry), (name, tensor)))
}
