//! What stands before the first tensor: the manifest, sealed, and where each tensor lies.

use std::io::{Read, Seek};

use learngene_tensors::{Error, Result, Safetensors, Sha256, safetensors::encode_header};
use serde::Deserialize;

use crate::{
    Manifest, Parameters, VERSION,
    check::{ensure, same},
    store::{self, Layout, Stored},
};

/// The one key of the safetensors metadata.
pub(crate) const KEY: &str = "learngene";

/// All bytes before the first tensor. The manifest decides every one of them.
pub(crate) fn encode(manifest: &Manifest, stored: &[Stored]) -> Result<Vec<u8>> {
    let tensors = stored.iter().map(|of| (of.name.as_str(), of.format, of.shape.as_slice()));
    encode_header((KEY, &seal(manifest)), tensors)
}

/// Reads the manifest of an opened file and checks all that can be known before the tensors.
pub(crate) fn decode<Source: Read + Seek>(
    file: &Safetensors<Source>,
) -> Result<(Manifest, Layout)> {
    let absent = || Error::invalid("", format!("no `{KEY}` in the metadata"), "a .learngene file");
    let manifest = unseal(file.metadata.get(KEY).ok_or_else(absent)?)?;
    let layout = manifest.layout()?;
    let stored = store::stored(&layout, manifest.store);
    let shapes = store::shapes(&stored);
    file.check_shapes(&shapes)?;

    let has_entries = manifest.tensors.keys().eq(shapes.keys());
    ensure(has_entries, "tensors of the manifest", "other names", "those of the file")?;
    let expected = Parameters::of(&layout).stored;
    same("stored parameters", &manifest.parameters.stored, &expected)?;

    // All content is right. Now the spelling, other metadata and number formats among it: one
    // learngene is one sequence of bytes.
    let (canonical, header) = (encode(&manifest, &stored)?, file.header());
    let same = canonical.iter().zip(header).take_while(|(a, b)| a == b).count();
    let expected = "the one spelling of this manifest";
    ensure(canonical == header, "header", format!("another byte at {same}"), expected)?;
    Ok((manifest, layout))
}

/// What stands before and after the digits of the checksum, at the end of the manifest's text.
const SEAL: (&str, &str) = (r#","sha256":""#, r#""}"#);

/// JSON text of the manifest with its own checksum as the last field.
fn seal(manifest: &Manifest) -> String {
    let mut text = serde_json::to_string(manifest).expect("all maps have strings as keys");
    let checksum = Sha256::of(text.as_bytes()).to_string();
    text.pop(); // The closing brace.
    [&text, SEAL.0, &checksum, SEAL.1].concat()
}

fn unseal(text: &str) -> Result<Manifest> {
    // A newer version may have another seal and other fields, so the version comes first.
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let not_json = |error| {
        Error::invalid(
            "manifest",
            format!("JSON that does not fit ({error})"),
            "that of a learngene",
        )
    };
    let Versioned { version } = serde_json::from_str(text).map_err(not_json)?;
    let expected = format!("{VERSION}, the only one that this program reads");
    ensure(version == u64::from(VERSION), "format version", version, expected)?;
    let sealed = text.strip_suffix(SEAL.1).and_then(|text| text.rsplit_once(SEAL.0));
    let unsealed = || Error::invalid("manifest", "no checksum", "one as its last field");
    let (text, checksum) = sealed.ok_or_else(unsealed)?;
    let text = format!("{text}}}");
    let expected = Sha256::of(text.as_bytes()).to_string();
    same("checksum of the manifest", &checksum, &expected.as_str())?;
    serde_json::from_str(&text).map_err(not_json)
}
