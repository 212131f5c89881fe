use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{Dtype, Sha256, VERSION};

/// What can be wrong with a learngene, one variant per failure.
///
/// Every message is complete in itself: it names the place, what was found and what was wanted.
#[derive(Debug, Error)]
pub enum Error {
    /// A failure on the way to or from a file, with the file's path.
    #[error("{}: {problem}", path.display())]
    InFile {
        /// The file, as it was named by the caller.
        path: PathBuf,
        /// What was wrong with it.
        problem: Box<Error>,
    },

    /// The operating system refused an operation.
    #[error("cannot {action}: {problem}")]
    Io {
        /// What was tried, as a verb: `open`, `read the manifest`.
        action: &'static str,
        /// Why it failed.
        problem: io::Error,
    },

    /// There is not a single byte.
    #[error("the file is empty, wanted a learngene")]
    Empty,

    /// The file ends too early.
    #[error("the file is cut short: found {found} bytes, wanted at least {wanted}")]
    Truncated {
        /// Length of the file in bytes.
        found: u64,
        /// Length that the part read so far calls for.
        wanted: u64,
    },

    /// The file goes on behind its last tensor.
    #[error("the file is too long: found {found} bytes, wanted {wanted}")]
    TrailingBytes {
        /// Length of the file in bytes.
        found: u64,
        /// Length that its header gives.
        wanted: u64,
    },

    /// The header is not that of a safetensors file, or contradicts itself.
    #[error("not a safetensors file: {problem}")]
    NotSafetensors {
        /// What the header should have been.
        problem: String,
    },

    /// A safetensors file that holds no manifest.
    #[error("a safetensors file but not a learngene: its metadata has no key `learngene`")]
    NotALearngene,

    /// The metadata has keys beside the manifest's.
    #[error("metadata: found the extra keys {}, wanted only `learngene`", keys.join(", "))]
    ExtraMetadata {
        /// The keys that do not belong there, sorted.
        keys: Vec<String>,
    },

    /// The file was written in another version of the format.
    #[error(
        "manifest: found format version {found}, but this program reads version {VERSION} only"
    )]
    UnsupportedVersion {
        /// Version that the file gives.
        found: u64,
    },

    /// The manifest does not end in its checksum.
    #[error(
        "manifest: found no field `sha256` at its end, wanted the checksum of the fields before it"
    )]
    UnsealedManifest,

    /// The manifest is not the one that its checksum was made of.
    #[error("manifest: its checksum says {found}, but its fields give {wanted}: damaged or edited")]
    ManifestChecksum {
        /// Checksum written in the file.
        found: Sha256,
        /// Checksum of the fields as they are.
        wanted: Sha256,
    },

    /// The manifest is not JSON, lacks a field, has an unknown one, or one of another type.
    #[error("manifest: {problem}")]
    ManifestJson {
        /// What the JSON reader met, with its place in the text.
        problem: serde_json::Error,
    },

    /// A field of the manifest is out of range or contradicts another.
    #[error("manifest field `{field}`: found {found}, wanted {wanted}")]
    Inconsistent {
        /// Path of the field, such as `layers[3].labels`.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        wanted: String,
    },

    /// The file says the right things in other bytes than this crate writes, such as other spacing.
    #[error("header: byte {offset} differs from the one way to write this learngene")]
    NotCanonical {
        /// First byte that differs, from the start of the file.
        offset: usize,
    },

    /// The header would be longer than safetensors readers accept.
    #[error("header: {found} bytes, wanted at most {wanted}")]
    HeaderTooLarge {
        /// Length of the header in bytes.
        found: u64,
        /// Longest header that readers accept.
        wanted: u64,
    },

    /// The tensors are not those that the manifest's architecture and clusters imply.
    #[error("{place}: {}", list_differences(missing, unexpected))]
    TensorSet {
        /// `tensors` of the file, or `manifest field tensors`.
        place: &'static str,
        /// Names that should be there and are not, sorted.
        missing: Vec<String>,
        /// Names that are there and should not be, sorted.
        unexpected: Vec<String>,
    },

    /// A tensor has another shape than the manifest implies.
    #[error("tensor `{name}`: found shape {found:?}, wanted {wanted:?}")]
    TensorShape {
        /// Name of the tensor.
        name: String,
        /// Shape that it has.
        found: Vec<usize>,
        /// Shape that the manifest implies.
        wanted: Vec<usize>,
    },

    /// A tensor has another number type than the manifest says.
    #[error("tensor `{name}`: found dtype {found}, wanted {wanted}")]
    TensorDtype {
        /// Name of the tensor.
        name: String,
        /// Its type, in safetensors' spelling.
        found: String,
        /// The manifest's type.
        wanted: Dtype,
    },

    /// A tensor was given more or fewer bytes or values than its shape holds.
    #[error("tensor of shape {shape:?}: found {found} {unit}, wanted {wanted}")]
    TensorLength {
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// What was given.
        found: usize,
        /// What the shape holds (`usize::MAX` where that is beyond counting).
        wanted: usize,
        /// What is counted: `bytes` or `values`.
        unit: &'static str,
    },

    /// A tensor holds infinity or not-a-number.
    #[error("tensor `{name}`: found {value} at flat index {index}, wanted finite values")]
    NonFinite {
        /// Name of the tensor.
        name: String,
        /// Place of the first such value, counted in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },

    /// The bytes of a tensor are not those that the manifest was made with.
    #[error("tensor `{name}`: its bytes have sha256 {found}, wanted {wanted}")]
    TensorChecksum {
        /// Name of the tensor.
        name: String,
        /// Hash of the bytes in the file.
        found: Sha256,
        /// Hash that the manifest gives.
        wanted: Sha256,
    },

    /// A text is not a hash.
    #[error("sha256: found `{found}`, wanted 64 lower-case hexadecimal digits")]
    Sha256Text {
        /// The text.
        found: String,
    },
}

fn list_differences(missing: &[String], unexpected: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("missing {}", missing.join(", ")));
    }
    if !unexpected.is_empty() {
        parts.push(format!("unexpected {}", unexpected.join(", ")));
    }
    parts.join("; ")
}
