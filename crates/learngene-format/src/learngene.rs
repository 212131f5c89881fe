use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{Read, Seek},
    iter,
    path::Path,
};

use learngene_tensors::{
    Dtype, Error, Grid, Quantised, Result, Safetensors, Sha256, StateDict, Tensor,
    safetensors::check_finite, write_whole,
};
use rayon::prelude::*;

use crate::{
    Manifest, Parameters, TensorEntry,
    check::same,
    header,
    store::{Held, Piece, scales_name, stored},
};

/// A manifest and exactly the tensors that it implies, every value finite.
///
/// Values are `f32` in memory, each one that the file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Learngene {
    manifest: Manifest,
    tensors: StateDict,
    /// Those of few bits, by name.
    quantised: BTreeMap<String, Quantised>,
    /// All bytes of the file before the first tensor.
    header: Vec<u8>,
}

impl Learngene {
    /// Joins a manifest and its tensors, whose values are rounded to how the manifest stores them.
    /// Whatever [`Manifest::parameters`] and [`Manifest::tensors`] say is replaced.
    ///
    /// # Errors
    /// Those of [`Manifest::check`]; tensors that are not those of [`Manifest::expected_tensors`]; a
    /// value that cannot be stored.
    pub fn new(manifest: Manifest, tensors: StateDict) -> Result<Self> {
        Self::of_quantised(manifest, tensors, BTreeMap::new())
    }

    /// [`Learngene::new`], where some tensors of few bits are rounded already; these stand for those of
    /// the same names.
    ///
    /// # Errors
    /// Those of [`Learngene::new`].
    ///
    /// # Panics
    /// Panics where one is not stored in its number of bits.
    pub fn of_quantised(
        mut manifest: Manifest,
        tensors: StateDict,
        mut quantised: BTreeMap<String, Quantised>,
    ) -> Result<Self> {
        let layout = manifest.layout()?;
        let shapes = layout.iter().map(|(name, held)| (name.clone(), held.shape.clone())).collect();
        tensors.check_against(&shapes)?;
        let dtype = manifest.store.dtype();
        let tensors: Vec<_> = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let given = quantised.remove(&name);
                (layout[&name].grid, given, name, tensor)
            })
            .collect();
        let kept: Vec<_> = tensors
            .into_par_iter()
            .map(|(grid, given, name, tensor)| match grid {
                None => keep(dtype, name, tensor),
                Some(grid) => quantise(grid, given, name, tensor),
            })
            .collect();
        // Of several errors the first by name, so that threads do not decide which.
        let kept = kept.into_iter().collect::<Result<Vec<_>>>()?;
        let (mut tensors, mut quantised) = (StateDict::default(), BTreeMap::new());
        manifest.tensors.clear();
        for Kept { name, tensor, of_few_bits, entries } in kept {
            manifest.tensors.extend(entries);
            quantised.extend(of_few_bits.map(|of| (name.clone(), of)));
            tensors.insert(name, tensor);
        }
        manifest.parameters = Parameters::of(&layout);
        let header = header::encode(&manifest, &stored(&layout, manifest.store))?;
        Ok(Self { manifest, tensors, quantised, header })
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
        let (manifest, layout) = header::decode(file)?;
        let check = |name: &str, bytes: &[u8]| {
            let expected = manifest.tensors[name].sha256;
            same(&format!("checksum of {name}"), &Sha256::of(bytes), &expected)
        };
        let read = |(name, Held { shape, grid }): (String, Held)| {
            let Some(grid) = grid else {
                let values = file.any_values(&name)?;
                check(&name, &manifest.store.dtype().encode(&values))?;
                check_finite(&name, &values, Dtype::F32)?;
                return Ok((name, Tensor::new(shape, values), None));
            };
            let scales = scales_name(&name);
            let bytes = [file.bytes(&name)?, file.bytes(&scales)?];
            check(&name, &bytes[0])?;
            check(&scales, &bytes[1])?;
            let quantised = Quantised::decode(&name, grid, &shape, [&bytes[0], &bytes[1]])?;
            Ok((name, quantised.tensor(), Some(quantised)))
        };
        let read: Vec<Result<_>> = layout.into_par_iter().map(read).collect();
        let (mut tensors, mut quantised) = (StateDict::default(), BTreeMap::new());
        for (name, tensor, of_few_bits) in read.into_iter().collect::<Result<Vec<_>>>()? {
            quantised.extend(of_few_bits.map(|of| (name.clone(), of)));
            tensors.insert(name, tensor);
        }
        Ok(Self { manifest, tensors, quantised, header: file.header().to_vec() })
    }

    /// The file, piece by piece: its header, then its tensors.
    fn parts(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let layout = self.manifest.layout().expect("it was checked");
        let dtype = self.manifest.store.dtype();
        let tensors = stored(&layout, self.manifest.store).into_iter().map(move |tensor| {
            let (name, piece) = tensor.of;
            let quantised = || self.quantised[&name].encode();
            match piece {
                Piece::Values => {
                    dtype.encode(&self.tensors.get(&name).expect("it was checked").values)
                }
                Piece::Levels => {
                    let [levels, _] = quantised();
                    levels.into()
                }
                Piece::Scales => {
                    let [_, scales] = quantised();
                    scales.into()
                }
            }
        });
        iter::once(self.header.as_slice().into()).chain(tensors)
    }
}

/// A tensor as a file gives it back, and what the manifest says of it.
struct Kept {
    name: String,
    tensor: Tensor,
    of_few_bits: Option<Quantised>,
    entries: Vec<(String, TensorEntry)>,
}

fn keep(dtype: Dtype, name: String, Tensor { shape, values }: Tensor) -> Result<Kept> {
    check_finite(&name, &values, dtype)?;
    let bytes = dtype.encode(&values);
    let entries = vec![entry(name.clone(), &bytes)];
    let rounded = (dtype != Dtype::F32).then(|| dtype.decode(&bytes));
    drop(bytes);
    let tensor = Tensor::new(shape, rounded.unwrap_or(values));
    Ok(Kept { name, tensor, of_few_bits: None, entries })
}

fn quantise(grid: Grid, given: Option<Quantised>, name: String, tensor: Tensor) -> Result<Kept> {
    check_finite(&name, &tensor.values, Dtype::F32)?;
    let quantised = given.unwrap_or_else(|| Quantised::nearest(grid, &tensor));
    assert_eq!(quantised.grid(), grid, "bits of {name}");
    check_finite(&format!("scales of {name}"), quantised.scales(), Dtype::F16)?;
    let bytes = quantised.encode();
    let entries = vec![entry(name.clone(), &bytes[0]), entry(scales_name(&name), &bytes[1])];
    let rounded = quantised.tensor();
    assert_eq!(rounded.shape, tensor.shape, "shape of {name}");
    Ok(Kept { name, tensor: rounded, of_few_bits: Some(quantised), entries })
}

fn entry(name: String, bytes: &[u8]) -> (String, TensorEntry) {
    (name, TensorEntry { sha256: Sha256::of(bytes) })
}
