//! One reader and one writer of safetensors files.
//!
//! A file is the length of its header (`u64`, little-endian), the header (JSON, padded with spaces to
//! a multiple of 8 bytes), then the tensors' values. The reader takes what any safetensors library
//! takes. The writer sorts tensors by name and stores one number format and one metadata entry, so
//! that the same content is always the same bytes.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
    sync::{Mutex, PoisonError},
};

use ::safetensors::tensor::{Metadata, TensorInfo};

/// Every number format that a file may name.
pub use ::safetensors::Dtype as Format;

use crate::{Dtype, Error, Part, Result, check_shapes, write_whole};

/// Longest header that safetensors readers accept, in bytes.
pub const MAX_HEADER: u64 = 100_000_000;

/// Bytes before the header, which hold its length.
pub const LENGTH_BYTES: usize = 8;

/// An opened file: names, shapes and formats are read, values when they are asked for.
///
/// Errors do not name the file: the caller does ([`Error::in_file`]).
#[derive(Debug)]
pub struct Safetensors<Source = File> {
    source: Mutex<Source>,
    /// Everything before the first value, the header's length included.
    header: Vec<u8>,
    /// All metadata.
    pub metadata: BTreeMap<String, String>,
    /// What the header says of each tensor.
    pub tensors: BTreeMap<String, Stored>,
}

/// What a header says of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Number format.
    pub dtype: Format,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Its bytes, counted from the end of the header.
    range: Range<usize>,
}

impl Safetensors<File> {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that cannot be read; one that is not a whole safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::read(path))?;
        let data = file.metadata().map_err(Error::read(path))?;
        if data.is_dir() {
            return Err(Error::read(path)(io::ErrorKind::IsADirectory.into()));
        }
        Self::new(file, data.len())
    }
}

impl<'a> Safetensors<Cursor<&'a [u8]>> {
    /// Reads a file that is already in memory.
    ///
    /// # Errors
    /// Bytes that are not a whole safetensors file.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        Self::new(Cursor::new(bytes), bytes.len() as u64)
    }
}

impl<Source: Read + Seek> Safetensors<Source> {
    /// Nothing larger than the file is allocated on the word of its header.
    fn new(mut source: Source, length: u64) -> Result<Self> {
        let header = read_header(&mut source, length)?;
        let refused = |error: &dyn ToString| {
            let found = format!("one that does not fit ({})", error.to_string());
            Error::invalid("header", found, "that of a safetensors file")
        };
        let parsed: Metadata =
            serde_json::from_slice(&header[LENGTH_BYTES..]).map_err(|error| refused(&error))?;
        // Parsing has checked that the tensors' bytes lie one after another and fit their shapes.
        let wanted = (header.len() as u64).saturating_add(parsed.data_len() as u64);
        if length != wanted {
            return Err(Error::invalid("", format!("{length} bytes"), format!("{wanted} bytes")));
        }
        let stored = |(name, info): (String, &TensorInfo)| {
            let range = info.data_offsets.0..info.data_offsets.1;
            (name, Stored { dtype: info.dtype, shape: info.shape.clone(), range })
        };
        Ok(Self {
            source: Mutex::new(source),
            header,
            metadata: parsed.metadata().clone().unwrap_or_default().into_iter().collect(),
            tensors: parsed.tensors().into_iter().map(stored).collect(),
        })
    }

    /// All bytes before the first value.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Checks names and shapes against those that are expected.
    ///
    /// # Errors
    /// [`Error::Parameters`] with every tensor that is missing, unused or of another shape.
    pub fn check_shapes(&self, expected: &BTreeMap<String, Vec<usize>>) -> Result<()> {
        let found = self.tensors.iter().map(|(name, of)| (name.as_str(), of.shape.as_slice()));
        check_shapes("", &found.collect(), expected)
    }

    /// The number format of a tensor.
    ///
    /// # Errors
    /// A format that weights are not stored in; a name that the file does not have.
    pub fn dtype(&self, name: &str) -> Result<Dtype> {
        let dtype = self.stored(name)?.dtype;
        dtype.try_into().map_err(|other: Format| Error::invalid(name, other, "f32, f16 or bf16"))
    }

    /// The values of a tensor, all finite.
    ///
    /// # Errors
    /// A name that the file does not have; a format that weights are not stored in; a value that is
    /// NaN or infinite; a failure to read.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let values = self.any_values(name)?;
        check_finite(name, &values, Dtype::F32)?;
        Ok(values)
    }

    /// The values of a tensor, finite or not.
    ///
    /// # Errors
    /// Those of [`Safetensors::values`] but for the values themselves.
    pub fn any_values(&self, name: &str) -> Result<Vec<f32>> {
        let dtype = self.dtype(name)?;
        self.read(name, |source, length| dtype.read(source, length / dtype.size()))
    }

    /// The bytes of a tensor of any number format.
    ///
    /// # Errors
    /// A name that the file does not have; a failure to read.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        self.read(name, |source, length| {
            let mut bytes = vec![0; length];
            source.read_exact(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// Reads a tensor from its first byte on; the reader is given its length.
    fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&mut Source, usize) -> io::Result<T>,
    ) -> Result<T> {
        let range = self.stored(name)?.range.clone();
        let start = SeekFrom::Start((self.header.len() + range.start) as u64);
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source
            .seek(start)
            .and_then(|_| read(&mut source, range.len()))
            .map_err(|error| Error::invalid(name, error, "a readable file"))
    }

    fn stored(&self, name: &str) -> Result<&Stored> {
        let absent = || Error::invalid("tensors", format!("no `{name}`"), "one of this name");
        self.tensors.get(name).ok_or_else(absent)
    }
}

/// Checks that a number format can hold all values of a tensor.
///
/// # Errors
/// Names the first that it cannot: NaN and infinities fit none.
pub fn check_finite(name: &str, values: &[f32], dtype: Dtype) -> Result<()> {
    match dtype.first_unfit(values) {
        None => Ok(()),
        Some(index) => {
            let found = format!("{} at index {index}", values[index]);
            Err(Error::invalid(name, found, format!("finite values that {dtype} can hold")))
        }
    }
}

/// The header with its length before it.
fn read_header(source: &mut impl Read, length: u64) -> Result<Vec<u8>> {
    let expected = "a safetensors file";
    let cut = |error: io::Error| Error::invalid("header", error, expected);
    if length < LENGTH_BYTES as u64 {
        return Err(Error::invalid("", format!("{length} bytes"), expected));
    }
    let mut start = [0; LENGTH_BYTES];
    source.read_exact(&mut start).map_err(cut)?;
    let header = u64::from_le_bytes(start);
    let most = MAX_HEADER.min(length - LENGTH_BYTES as u64);
    if header > most {
        let found = format!("a length of {header} bytes");
        return Err(Error::invalid("header", found, format!("at most {most} in {expected}")));
    }
    let mut bytes = vec![0; LENGTH_BYTES + header as usize];
    bytes[..LENGTH_BYTES].copy_from_slice(&start);
    source.read_exact(&mut bytes[LENGTH_BYTES..]).map_err(cut)?;
    Ok(bytes)
}

/// Writes a file, whole or not at all, with one metadata entry.
///
/// # Errors
/// A value that the number format cannot hold (nothing is written then); a header longer than
/// [`MAX_HEADER`]; a file that cannot be written.
pub fn write(
    path: &Path,
    metadata: (&str, &str),
    dtype: Dtype,
    parts: Vec<Part<'_>>,
) -> Result<()> {
    for part in &parts {
        check_finite(&part.name, part.values, dtype)?;
    }
    write_whole(path, encode(metadata, dtype, parts)?).map_err(Error::write(path))
}

/// The bytes of a file piece by piece: everything before the values, then each tensor in the order of
/// names. One tensor at a time is made into bytes.
///
/// # Errors
/// A header longer than [`MAX_HEADER`].
pub fn encode<'a>(
    metadata: (&str, &str),
    dtype: Dtype,
    mut parts: Vec<Part<'a>>,
) -> Result<impl Iterator<Item = std::borrow::Cow<'a, [u8]>>> {
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    let shapes = parts.iter().map(|part| (part.name.as_str(), part.shape.as_slice()));
    let stored = shapes.map(|(name, shape)| (name, dtype.into(), shape));
    let header = encode_header(metadata, stored)?;
    let tensors = parts.into_iter().map(move |part| dtype.encode(part.values));
    Ok(std::iter::once(header.into()).chain(tensors))
}

/// Everything before the values of a file whose tensors have these names, number formats and shapes,
/// and lie in this order.
///
/// # Errors
/// A header longer than [`MAX_HEADER`]; tensors that no file can hold.
pub fn encode_header<'a>(
    (key, text): (&str, &str),
    tensors: impl IntoIterator<Item = (&'a str, Format, &'a [usize])>,
) -> Result<Vec<u8>> {
    let mut end = 0usize;
    let mut infos = Vec::new();
    for (name, dtype, shape) in tensors {
        let size = dtype.bitsize() / 8;
        let count = shape.iter().try_fold(size, |size, length| size.checked_mul(*length));
        let next = count.and_then(|bytes| end.checked_add(bytes));
        let next = next.ok_or_else(|| {
            Error::invalid(name, format!("shape {shape:?}"), "a tensor that fits a file")
        })?;
        let (shape, data_offsets) = (shape.to_vec(), (end, next));
        infos.push((name.to_owned(), TensorInfo { dtype, shape, data_offsets }));
        end = next;
    }
    // A second metadata key would make the order of bytes depend on a hash map's seed.
    let metadata = HashMap::from([(key.to_owned(), text.to_owned())]);
    let unfit = |error: String| Error::invalid("header", error, "one that safetensors can hold");
    let metadata = Metadata::new(Some(metadata), infos).map_err(|e| unfit(e.to_string()))?;
    let mut json = serde_json::to_vec(&metadata).map_err(|e| unfit(e.to_string()))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    if json.len() as u64 > MAX_HEADER {
        return Err(unfit(format!("{} bytes, more than {MAX_HEADER}", json.len())));
    }
    Ok([&(json.len() as u64).to_le_bytes()[..], &json].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StateDict, Tensor};

    fn parameters() -> StateDict {
        let mut parameters = StateDict::default();
        parameters.insert("norm.weight", Tensor::new([3], vec![1.0, -2.0, 0.25]));
        parameters.insert("blocks.0.fc.weight", Tensor::new([1, 2], vec![0.5, 65504.0]));
        parameters
    }

    fn bytes(dtype: Dtype) -> Vec<u8> {
        let parameters = parameters();
        let pieces = encode(("format", "pt"), dtype, parameters.parts()).expect("a small file");
        pieces.collect::<Vec<_>>().concat()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
            let bytes = bytes(dtype);
            let file = Safetensors::from_bytes(&bytes).expect("just made");
            assert_eq!(file.metadata["format"], "pt");
            assert_eq!(file.tensors["blocks.0.fc.weight"].shape, [1, 2]);
            for (name, tensor) in parameters().iter() {
                assert_eq!(file.values(name).expect(name), dtype.round(tensor.values.clone()));
            }
            assert_eq!(::safetensors::SafeTensors::deserialize(&bytes).expect("whole").len(), 2);
        }
    }

    fn check_refused(bytes: &[u8], message: &str) {
        let error = Safetensors::from_bytes(bytes).expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn files_that_are_not_whole_are_refused() {
        let whole = bytes(Dtype::F32);
        let length = whole.len();
        check_refused(b"", "found 0 bytes, expected a safetensors file");
        check_refused(&whole[..20], "expected at most 12 in a safetensors file");
        let message = format!("found {} bytes, expected {length} bytes", length - 1);
        check_refused(&whole[..length - 1], &message);
        check_refused(&[&whole[..], b"x"].concat(), "expected");
        let mut text = whole.clone();
        text[9] = b'!';
        check_refused(&text, "expected that of a safetensors file");
        check_refused(&u64::MAX.to_le_bytes(), "header: found a length of");
    }

    #[test]
    fn values_that_are_not_finite_are_refused_on_both_sides() {
        let mut bytes = bytes(Dtype::F32);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let file = Safetensors::from_bytes(&bytes).expect("a whole file");
        let error = file.values("norm.weight").expect_err("NaN").to_string();
        let message = "norm.weight: found NaN at index 2, expected finite values that f32 can hold";
        assert_eq!(error, message);

        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.safetensors");
        let large = Tensor::new([1], vec![1e6]);
        let part = vec![Part::of("x", &large)];
        let error = write(&path, ("format", "pt"), Dtype::F16, part).expect_err("too large");
        let message = "x: found 1000000 at index 0, expected finite values that f16 can hold";
        assert_eq!(error.to_string(), message);
        assert!(!path.exists());
    }

    /// A file of one tensor of another number format.
    fn other_format(dtype: &str, length: usize, num_bytes: usize) -> Vec<u8> {
        let offsets = [0, num_bytes];
        let tensor =
            serde_json::json!({"dtype": dtype, "shape": [length], "data_offsets": offsets});
        let json = serde_json::json!({ "count": tensor }).to_string();
        [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &vec![0; num_bytes]].concat()
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        let bytes = other_format("I64", 1, 8);
        let file = Safetensors::from_bytes(&bytes).expect("a whole file");
        let error = file.values("count").expect_err("integers").to_string();
        assert_eq!(error, "count: found I64, expected f32, f16 or bf16");
    }

    #[test]
    fn offsets_that_do_not_fit_the_shape_are_refused() {
        let message = "header: found ";
        check_refused(&other_format("I64", 1, 4), message);
        // Three values of four bits are no whole bytes.
        Safetensors::from_bytes(&other_format("F4", 4, 2)).expect("two whole bytes");
        check_refused(&other_format("F4", 3, 1), message);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Safetensors::open(Path::new("missing.safetensors")).expect_err("missing");
        assert!(error.to_string().starts_with("cannot read missing.safetensors: "), "{error}");
    }
}
