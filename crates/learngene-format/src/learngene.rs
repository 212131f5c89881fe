use std::{collections::BTreeMap, io::Read};

use rayon::prelude::*;

use crate::{
    Dtype, Error, Manifest, Parameters, Sha256, Tensor, TensorEntry,
    header::{self, Header, Shapes},
    tensor,
};

/// A manifest and exactly the tensors that it implies, every value finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Learngene {
    manifest: Manifest,
    tensors: BTreeMap<String, Tensor>,
    /// Bytes of the file before the first tensor.
    header: Vec<u8>,
}

impl Learngene {
    /// Joins a manifest with its tensors, after checking both.
    ///
    /// [`Manifest::parameters`] and [`Manifest::tensors`] are worked out here from the tensors,
    /// whatever they held.
    ///
    /// # Errors
    /// Those of [`Manifest::check`]; [`Error::TensorSet`], [`Error::TensorShape`],
    /// [`Error::TensorDtype`] or [`Error::NonFinite`] where the tensors are not those of
    /// [`Manifest::expected_tensors`].
    pub fn new(mut manifest: Manifest, tensors: BTreeMap<String, Tensor>) -> Result<Self, Error> {
        let shapes = manifest.expected_tensors()?;
        header::check_set("tensors", tensors.keys(), &shapes)?;
        for (name, tensor) in &tensors {
            let found = (tensor.dtype().into(), tensor.shape());
            header::check_kind(name, found, (manifest.dtype, &shapes[name]))?;
        }
        manifest.tensors = in_order(tensors.par_iter().map(|(name, tensor)| {
            let entry = tensor.checked_sha256(name).map(|sha256| TensorEntry { sha256 });
            (name.clone(), entry)
        }))?;
        let stored = tensors.values().map(|tensor| tensor.len() as u64).sum();
        manifest.parameters = Parameters { stored };
        let header = header::encode(&manifest, &shapes)?;
        Ok(Self { manifest, tensors, header })
    }

    /// Reads the bytes of a file and checks everything about them.
    ///
    /// # Errors
    /// All of [`Error`]'s variants but [`Error::InFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_reader(bytes, bytes.len() as u64)
    }

    /// The bytes of the file; the same learngene is always the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts: Vec<&[u8]> = self.parts().collect();
        parts.concat()
    }

    /// What the learngene is and how it was made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Every tensor by its name; `FORMAT.md` lists names and shapes.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// One tensor, or `None` where the manifest implies no tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The manifest and the tensors.
    pub fn into_parts(self) -> (Manifest, BTreeMap<String, Tensor>) {
        (self.manifest, self.tensors)
    }

    /// Reads a file of `length` bytes.
    pub(crate) fn from_reader(mut source: impl Read + Send, length: u64) -> Result<Self, Error> {
        let Header { manifest, shapes, bytes } = header::decode(&mut source, length)?;
        let tensors = read_tensors(source, &manifest, &shapes)?;
        Ok(Self { manifest, tensors, header: bytes })
    }

    /// The file, piece by piece: its header, then its tensors by name.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let tensors = self.tensors.values().map(Tensor::bytes);
        std::iter::once(self.header.as_slice()).chain(tensors)
    }
}

/// Reads tensors one after another while other threads check those that are there.
fn read_tensors(
    mut source: impl Read + Send,
    manifest: &Manifest,
    shapes: &Shapes,
) -> Result<BTreeMap<String, Tensor>, Error> {
    let read = shapes.iter().map(|(name, shape)| {
        let tensor = read_tensor(&mut source, manifest.dtype, shape);
        (name.clone(), tensor)
    });
    in_order(read.par_bridge().map(|(name, tensor)| {
        let checked = tensor.and_then(|tensor| {
            check_sha256(&name, &tensor, manifest.tensors[&name].sha256)?;
            Ok(tensor)
        });
        (name, checked)
    }))
}

fn read_tensor(source: &mut impl Read, dtype: Dtype, shape: &[usize]) -> Result<Tensor, Error> {
    let wanted = tensor::byte_length(dtype, shape)
        .expect("the header's offsets were compared with the length of the file");
    // `read_to_end` fills memory that was never set to zero, as `read_exact` would need it.
    let mut bytes = Vec::with_capacity(wanted);
    source
        .by_ref()
        .take(wanted as u64)
        .read_to_end(&mut bytes)
        .map_err(|problem| Error::Io { action: "read a tensor", problem })?;
    Tensor::new(dtype, shape.to_vec(), bytes)
}

fn check_sha256(name: &str, tensor: &Tensor, wanted: Sha256) -> Result<(), Error> {
    let found = tensor.checked_sha256(name)?;
    if found == wanted {
        return Ok(());
    }
    Err(Error::TensorChecksum { name: name.to_owned(), found, wanted })
}

/// All results by name, or the error of the first name, so that threads do not decide which.
fn in_order<T: Send>(
    results: impl ParallelIterator<Item = (String, Result<T, Error>)>,
) -> Result<BTreeMap<String, T>, Error> {
    let results: BTreeMap<String, Result<T, Error>> = results.collect();
    results.into_iter().map(|(name, result)| result.map(|value| (name, value))).collect()
}
