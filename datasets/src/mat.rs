//! MAT files of version 5, as far as datasets use them: numbers, text, cells and structures.
//!
//! Layout after MathWorks' description of level 5 MAT-files: a header of 128 bytes, then elements of a tag (type
//! and bytes) and their data, padded to 8 bytes; a compressed element holds another in a zlib stream.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::DatasetError;

const HEADER: usize = 128;
/// Deeper than any file of a dataset.
const MAX_DEPTH: usize = 8;
/// Bytes that one compressed element may become; the largest of the datasets has less than 2 MB.
const MAX_BYTES: u64 = 1 << 28;

const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// A variable, column by column as MATLAB has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Numbers(Vec<f64>),
    Text(String),
    Cells(Vec<Value>),
    /// One map from field to value for each element.
    Structs(Vec<BTreeMap<String, Value>>),
}

impl Value {
    /// What errors call it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Text(_) => "text",
            Self::Cells(_) => "cells",
            Self::Structs(_) => "structures",
        }
    }

    /// Whole numbers of at least 0.
    pub fn indices(&self) -> Result<Vec<usize>, String> {
        let Self::Numbers(numbers) = self else {
            return Err(format!("{}, wanted numbers", self.kind()));
        };
        let whole = |number: &f64| {
            let is_whole = (0.0..1e15).contains(number) && number.fract() == 0.0;
            is_whole.then_some(*number as usize).ok_or_else(|| format!("{number}, wanted an index"))
        };
        numbers.iter().map(whole).collect()
    }

    /// A single whole number.
    pub fn index(&self) -> Result<usize, String> {
        match self.indices()?.as_slice() {
            [index] => Ok(*index),
            others => Err(format!("{} numbers, wanted one", others.len())),
        }
    }

    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("{}, wanted text", other.kind())),
        }
    }

    pub fn cells(&self) -> Result<&[Value], String> {
        match self {
            Self::Cells(cells) => Ok(cells),
            other => Err(format!("{}, wanted cells", other.kind())),
        }
    }

    pub fn structs(&self) -> Result<&[BTreeMap<String, Value>], String> {
        match self {
            Self::Structs(structs) => Ok(structs),
            other => Err(format!("{}, wanted structures", other.kind())),
        }
    }
}

/// The variables of a file.
pub(crate) struct MatFile<'a> {
    path: &'a Path,
    variables: BTreeMap<String, Value>,
}

impl<'a> MatFile<'a> {
    /// # Errors
    /// When the file cannot be read, is truncated, or is no MAT file of version 5.
    pub fn read(path: &'a Path) -> Result<Self, DatasetError> {
        let bytes = fs::read(path).map_err(DatasetError::io("read", path))?;
        let variables = parse(&bytes).map_err(|reason| layout(path, "MAT file", reason))?;
        Ok(Self { path, variables })
    }

    /// What `read` finds in a variable; where it finds nothing, the error names file and variable.
    pub fn get<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, DatasetError> {
        let known = || self.variables.keys().cloned().collect::<Vec<_>>().join(", ");
        let value = self.variables.get(name);
        let value =
            value.ok_or_else(|| layout(self.path, name, format!("missing beside {}", known())));
        read(value?).map_err(|reason| layout(self.path, name, reason))
    }
}

fn layout(path: &Path, place: &str, reason: String) -> DatasetError {
    DatasetError::Layout { path: path.to_owned(), place: place.to_owned(), reason }
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Value>, String> {
    let (header, mut rest) = bytes
        .split_at_checked(HEADER)
        .ok_or_else(|| format!("{} bytes, wanted a header of {HEADER}", bytes.len()))?;
    match header[124..] {
        [0, 1, b'I', b'M'] => {}
        [0, 2, b'I', b'M'] => return Err("version 7.3, wanted 5: save it with `-v7`".into()),
        _ => return Err("no MAT file of version 5 in little-endian order".into()),
    }
    let mut variables = BTreeMap::new();
    while !rest.is_empty() {
        let element = Element::take(&mut rest)?;
        let (name, value) = match element.kind {
            COMPRESSED => {
                let mut inner = Vec::new();
                let stream = ZlibDecoder::new(element.data).take(MAX_BYTES);
                { stream }.read_to_end(&mut inner).map_err(|error| error.to_string())?;
                let mut inner = inner.as_slice();
                matrix(Element::take(&mut inner)?, 0)?
            }
            _ => matrix(element, 0)?,
        };
        variables.insert(name, value);
    }
    Ok(variables)
}

/// A tag and its data.
struct Element<'a> {
    kind: u32,
    data: &'a [u8],
}

impl<'a> Element<'a> {
    fn take(bytes: &mut &'a [u8]) -> Result<Self, String> {
        let first = word(bytes)?;
        // A small element has its size in the upper half of the first word, and its data in the second.
        if first >> 16 != 0 {
            let data = take(bytes, 4)?;
            let size = (first >> 16) as usize;
            let data = data.get(..size).ok_or("a small element of more than 4 bytes")?;
            return Ok(Self { kind: first & 0xffff, data });
        }
        let size = word(bytes)? as usize;
        let data = take(bytes, size)?;
        // The padding of the last element may be missing.
        let padding = if first == COMPRESSED { 0 } else { size.next_multiple_of(8) - size };
        *bytes = &bytes[padding.min(bytes.len())..];
        Ok(Self { kind: first, data })
    }

    /// The numbers of a numeric element.
    fn numbers(&self) -> Result<Vec<f64>, String> {
        macro_rules! read {
            ($number:ty) => {{
                let (numbers, rest) = self.data.as_chunks::<{ size_of::<$number>() }>();
                if !rest.is_empty() {
                    return Err("an element that ends within a number".into());
                }
                numbers.iter().map(|bytes| <$number>::from_le_bytes(*bytes) as f64).collect()
            }};
        }
        Ok(match self.kind {
            1 => read!(i8),
            2 | 16 => read!(u8),
            3 => read!(i16),
            4 | 17 => read!(u16),
            5 => read!(i32),
            6 => read!(u32),
            7 => read!(f32),
            9 => read!(f64),
            12 => read!(i64),
            13 => read!(u64),
            other => return Err(format!("an element of type {other}, wanted numbers")),
        })
    }

    /// The characters of a text element.
    fn text(&self) -> Result<String, String> {
        if self.kind == 16 {
            return String::from_utf8(self.data.to_vec()).map_err(|error| error.to_string());
        }
        let units: Vec<u16> = self.numbers()?.into_iter().map(|unit| unit as u16).collect();
        String::from_utf16(&units).map_err(|error| error.to_string())
    }
}

/// Name and value of a matrix element.
fn matrix(element: Element<'_>, depth: usize) -> Result<(String, Value), String> {
    if element.kind != MATRIX {
        return Err(format!("an element of type {}, wanted an array", element.kind));
    }
    if depth > MAX_DEPTH {
        return Err(format!("arrays within arrays more than {MAX_DEPTH} deep"));
    }
    let mut rest = element.data;
    // An empty array within another may have no more than its tag.
    if rest.is_empty() {
        return Ok((String::new(), Value::Numbers(Vec::new())));
    }
    let class =
        Element::take(&mut rest)?.numbers()?.first().map_or(0, |flags| *flags as u64 & 0xff);
    let dims = Element::take(&mut rest)?.numbers()?;
    let length = dims.iter().product::<f64>();
    let name = Element::take(&mut rest)?.text()?;
    // Each element of an array takes at least the 8 bytes of a tag.
    let count = |fields: usize| {
        let wanted = length * fields as f64;
        let possible = (element.data.len() / 8) as f64;
        (wanted <= possible).then_some(length as usize).ok_or("more elements than bytes".to_owned())
    };
    let value = match class {
        1 => {
            let cells = (0..count(1)?).map(|_| Ok(matrix(Element::take(&mut rest)?, depth + 1)?.1));
            Value::Cells(cells.collect::<Result<_, String>>()?)
        }
        2 => {
            let width = Element::take(&mut rest)?.numbers()?;
            let width = width.first().map_or(0, |width| *width as usize).max(1);
            let names = Element::take(&mut rest)?.data;
            let names: Vec<String> = names.chunks(width).map(c_string).collect();
            let structs = (0..count(names.len())?).map(|_| {
                let fields = names.iter().map(|name| {
                    Ok((name.clone(), matrix(Element::take(&mut rest)?, depth + 1)?.1))
                });
                fields.collect::<Result<BTreeMap<_, _>, String>>()
            });
            Value::Structs(structs.collect::<Result<_, String>>()?)
        }
        4 => Value::Text(Element::take(&mut rest)?.text()?),
        6..=15 => {
            let numbers = Element::take(&mut rest)?.numbers()?;
            if numbers.len() as f64 != length {
                return Err(format!("`{name}` has {} numbers, wanted {length}", numbers.len()));
            }
            Value::Numbers(numbers)
        }
        other => return Err(format!("`{name}` is an array of class {other}")),
    };
    Ok((name, value))
}

/// Characters up to the first zero.
fn c_string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes[..end].iter().map(|byte| char::from(*byte)).collect()
}

fn word(bytes: &mut &[u8]) -> Result<u32, String> {
    let word = take(bytes, 4)?;
    Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(size).ok_or_else(|| {
        format!("truncated: {size} bytes were announced, {} are left", bytes.len())
    })?;
    *bytes = rest;
    Ok(taken)
}
