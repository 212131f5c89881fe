//! Checksums of files, as publishers give them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::Md5;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::DatasetError;
use crate::fetch::FetchError;
use crate::provenance::hex;

/// What a file is known by, in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum<'a> {
    /// MD5, which most datasets are published with.
    Md5(&'a str),
    /// SHA-256.
    Sha256(&'a str),
}

impl Checksum<'_> {
    /// Refuses a file with other contents; the message calls it `what`.
    ///
    /// # Errors
    /// When the file cannot be read, or has another checksum.
    pub fn check(&self, path: &Path, what: &str) -> Result<(), DatasetError> {
        let (got, want) = match self {
            Self::Md5(want) => (of_file::<Md5>(path)?, want),
            Self::Sha256(want) => (of_file::<Sha256>(path)?, want),
        };
        if got == *want {
            return Ok(());
        }
        Err(FetchError::Checksum { what: what.to_owned(), got, want: (*want).to_owned() }.into())
    }
}

fn of_file<D: Digest>(path: &Path) -> Result<String, DatasetError> {
    let mut file = File::open(path).map_err(DatasetError::io("read", path))?;
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(DatasetError::io("read", path))? {
            0 => return Ok(hex(&digest.finalize())),
            count => digest.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::TempFolder;

    /// The checksums of `abc` in RFC 1321 and FIPS 180-4.
    const ABC: [Checksum<'static>; 2] = [
        Checksum::Md5("900150983cd24fb0d6963f7d28e17f72"),
        Checksum::Sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ];

    #[test]
    fn published_checksums_are_computed() {
        let folder = TempFolder::with([("abc", b"abc".as_slice()), ("abd", b"abd")]);
        for checksum in ABC {
            checksum.check(&folder.path().join("abc"), "abc").expect("it is the published one");
            let error = checksum.check(&folder.path().join("abd"), "the file").expect_err("abd");
            assert!(error.to_string().starts_with("the file has the checksum "), "{error}");
        }
    }
}
