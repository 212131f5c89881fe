use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
};

use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;

use crate::{Dtype, Error, Manifest, Sha256, VERSION, tensor};

/// The one key of the safetensors metadata.
const KEY: &str = "learngene";
/// Longest header that safetensors readers accept, in bytes.
const MAX_HEADER: u64 = 100_000_000;
/// The header's length stands before it as a little-endian u64.
const LENGTH_BYTES: u64 = 8;

/// Shapes of a learngene's tensors by name, in the order in which they follow the header.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// All bytes before the first tensor: length, JSON, padding. The manifest decides every one of them.
pub(crate) fn encode(manifest: &Manifest, shapes: &Shapes) -> Result<Vec<u8>, Error> {
    let mut infos = Vec::with_capacity(shapes.len());
    let mut offset = 0usize;
    for (name, shape) in shapes {
        let info = tensor::byte_length(manifest.dtype, shape)
            .and_then(|length| offset.checked_add(length))
            .map(|end| TensorInfo {
                dtype: manifest.dtype.into(),
                shape: shape.clone(),
                data_offsets: (offset, end),
            })
            .ok_or_else(|| Error::Inconsistent {
                field: "architecture".to_owned(),
                found: format!("a tensor {name} of shape {shape:?}"),
                wanted: "tensors that fit a file".to_owned(),
            })?;
        offset = info.data_offsets.1;
        infos.push((name.clone(), info));
    }
    let metadata = HashMap::from([(KEY.to_owned(), seal(manifest))]);
    let metadata = Metadata::new(Some(metadata), infos).map_err(not_safetensors)?;
    let mut json = serde_json::to_vec(&metadata).map_err(not_safetensors)?;
    // Spaces bring the tensors to a multiple of 8 bytes.
    json.resize(json.len().next_multiple_of(8), b' ');

    let found = json.len() as u64;
    if found > MAX_HEADER {
        return Err(Error::HeaderTooLarge { found, wanted: MAX_HEADER });
    }
    Ok([found.to_le_bytes().as_slice(), &json].concat())
}

/// What stands before the first tensor.
pub(crate) struct Header {
    pub(crate) manifest: Manifest,
    pub(crate) shapes: Shapes,
    pub(crate) bytes: Vec<u8>,
}

/// Reads up to the first tensor and checks all that can be known there.
///
/// `length` is that of the whole file; nothing larger is allocated on the word of the header.
pub(crate) fn decode(source: &mut impl Read, length: u64) -> Result<Header, Error> {
    let bytes = read_header(source, length)?;
    let json = &bytes[LENGTH_BYTES as usize..];
    let metadata: Metadata = serde_json::from_slice(json).map_err(not_safetensors)?;
    check_length(length, (bytes.len() as u64).saturating_add(metadata.data_len() as u64))?;

    let manifest = unseal(manifest_text(&metadata)?)?;
    let shapes = manifest.expected_tensors()?;
    check_tensors(&metadata, &manifest, &shapes)?;
    check_entries(&manifest, &shapes)?;

    // All content is right. Now the spelling: one learngene is one sequence of bytes.
    let canonical = encode(&manifest, &shapes)?;
    if canonical != bytes {
        let same = canonical.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
        return Err(Error::NotCanonical { offset: same });
    }
    Ok(Header { manifest, shapes, bytes })
}

/// The header with its length before it.
fn read_header(source: &mut impl Read, length: u64) -> Result<Vec<u8>, Error> {
    if length == 0 {
        return Err(Error::Empty);
    }
    if length < LENGTH_BYTES {
        return Err(Error::Truncated { found: length, wanted: LENGTH_BYTES });
    }
    let failed = |problem| Error::Io { action: "read the header", problem };
    let mut start = [0; LENGTH_BYTES as usize];
    source.read_exact(&mut start).map_err(failed)?;
    let header = u64::from_le_bytes(start);
    if header > MAX_HEADER {
        let problem = format!("found a header of {header} bytes, wanted at most {MAX_HEADER}");
        return Err(Error::NotSafetensors { problem });
    }
    let wanted = LENGTH_BYTES + header;
    if wanted > length {
        return Err(Error::Truncated { found: length, wanted });
    }
    let mut bytes = vec![0; wanted as usize];
    bytes[..start.len()].copy_from_slice(&start);
    source.read_exact(&mut bytes[start.len()..]).map_err(failed)?;
    Ok(bytes)
}

fn check_length(found: u64, wanted: u64) -> Result<(), Error> {
    if found < wanted {
        return Err(Error::Truncated { found, wanted });
    }
    if found > wanted {
        return Err(Error::TrailingBytes { found, wanted });
    }
    Ok(())
}

fn manifest_text(metadata: &Metadata) -> Result<&str, Error> {
    let entries = metadata.metadata().as_ref().ok_or(Error::NotALearngene)?;
    let text = entries.get(KEY).ok_or(Error::NotALearngene)?;
    if entries.len() > 1 {
        let mut keys: Vec<_> = entries.keys().filter(|&key| key != KEY).cloned().collect();
        keys.sort();
        return Err(Error::ExtraMetadata { keys });
    }
    Ok(text)
}

/// Tensors of the file against those that the manifest implies.
fn check_tensors(metadata: &Metadata, manifest: &Manifest, shapes: &Shapes) -> Result<(), Error> {
    let found = metadata.tensors();
    check_set("tensors", found.keys(), shapes)?;
    for (name, shape) in shapes {
        let info = found[name];
        check_kind(name, (info.dtype, &info.shape), (manifest.dtype, shape))?;
    }
    Ok(())
}

/// Whether a tensor has the number type and the shape that the manifest implies.
pub(crate) fn check_kind(
    name: &str,
    found: (safetensors::Dtype, &[usize]),
    wanted: (Dtype, &[usize]),
) -> Result<(), Error> {
    if found.0 != wanted.0.into() {
        return Err(Error::TensorDtype {
            name: name.to_owned(),
            found: found.0.to_string(),
            wanted: wanted.0,
        });
    }
    if found.1 != wanted.1 {
        return Err(Error::TensorShape {
            name: name.to_owned(),
            found: found.1.to_vec(),
            wanted: wanted.1.to_vec(),
        });
    }
    Ok(())
}

/// What the manifest says of its tensors against what its other fields imply.
fn check_entries(manifest: &Manifest, shapes: &Shapes) -> Result<(), Error> {
    check_set("manifest field `tensors`", manifest.tensors.keys(), shapes)?;
    let stored: u64 = shapes.values().map(|shape| shape.iter().product::<usize>() as u64).sum();
    if manifest.parameters.stored != stored {
        return Err(Error::Inconsistent {
            field: "parameters.stored".to_owned(),
            found: manifest.parameters.stored.to_string(),
            wanted: stored.to_string(),
        });
    }
    Ok(())
}

/// Whether the names found are those wanted.
pub(crate) fn check_set<'a>(
    place: &'static str,
    found: impl Iterator<Item = &'a String>,
    wanted: &Shapes,
) -> Result<(), Error> {
    let found: BTreeSet<&String> = found.collect();
    let wanted: BTreeSet<&String> = wanted.keys().collect();
    if found == wanted {
        return Ok(());
    }
    let list =
        |names: &mut dyn Iterator<Item = &&String>| names.map(|&name| name.clone()).collect();
    Err(Error::TensorSet {
        place,
        missing: list(&mut wanted.difference(&found)),
        unexpected: list(&mut found.difference(&wanted)),
    })
}

/// What stands before and after the digits of the checksum, at the end of the manifest's text.
const SEAL: (&str, &str) = (r#","sha256":""#, r#""}"#);

/// JSON text of the manifest with its own checksum as the last field.
fn seal(manifest: &Manifest) -> String {
    let mut text =
        serde_json::to_string(manifest).expect("every map of a manifest has strings as keys");
    let checksum = Sha256::of(text.as_bytes()).to_string();
    text.pop(); // The closing brace.
    [&text, SEAL.0, &checksum, SEAL.1].concat()
}

fn unseal(text: &str) -> Result<Manifest, Error> {
    // A newer version may have another seal and other fields, so the version comes first.
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let not_json = |problem| Error::ManifestJson { problem };
    let Versioned { version } = serde_json::from_str(text).map_err(not_json)?;
    if version != u64::from(VERSION) {
        return Err(Error::UnsupportedVersion { found: version });
    }
    let (text, checksum) = text
        .strip_suffix(SEAL.1)
        .and_then(|text| text.rsplit_once(SEAL.0))
        .ok_or(Error::UnsealedManifest)?;
    let found: Sha256 = checksum.parse()?;
    let text = format!("{text}}}");
    let wanted = Sha256::of(text.as_bytes());
    if found != wanted {
        return Err(Error::ManifestChecksum { found, wanted });
    }
    serde_json::from_str(&text).map_err(not_json)
}

fn not_safetensors(problem: impl ToString) -> Error {
    Error::NotSafetensors { problem: problem.to_string() }
}
