use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::{Error, Result};

/// A SHA-256 hash; written as 64 lower-case hexadecimal digits.
///
/// ```
/// use learngene_tensors::Sha256;
///
/// let hash = Sha256::of(b"abc");
/// assert!(hash.to_string().starts_with("ba7816bf8f01cfea")); // FIPS 180-2, appendix B.1
/// assert_eq!(hash.to_string().parse::<Sha256>()?, hash);
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Hash of several pieces, one after another.
    pub fn of_parts<Piece: AsRef<[u8]>>(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut hasher = sha2::Sha256::new();
        pieces.into_iter().for_each(|piece| hasher.update(piece));
        Self(hasher.finalize().into())
    }

    /// Hash of a file, read in pieces.
    ///
    /// # Errors
    /// Those of reading the file, with its path.
    pub fn of_file(path: &Path) -> Result<Self> {
        File::open(path).and_then(Self::of_reader).map_err(Error::read(path))
    }

    fn of_reader(mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = Error;

    /// Upper case is refused, so that one hash has one spelling.
    fn from_str(text: &str) -> Result<Self> {
        let digit = |character: u8| match character {
            b'0'..=b'9' => Some(character - b'0'),
            b'a'..=b'f' => Some(character - b'a' + 10),
            _ => None,
        };
        let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        match bytes.map(<[u8; 32]>::try_from) {
            Some(Ok(bytes)) if rest.is_empty() => Ok(Self(bytes)),
            _ => {
                let found: String = text.chars().take(80).collect();
                let expected = "64 lower-case hexadecimal digits";
                Err(Error::invalid("sha256", format!("`{found}`"), expected))
            }
        }
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(hash: Sha256) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_bytes_have_one_hash() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), &bytes).expect("it is writable");
        assert_eq!(Sha256::of_file(file.path()).expect("just written"), Sha256::of(&bytes));
        assert_eq!(Sha256::of_parts(bytes.chunks(1000)), Sha256::of(&bytes));
    }

    #[test]
    fn other_texts_are_refused() {
        let good = Sha256::of(b"").to_string();
        let texts = [
            String::new(),
            "abc".into(),
            good.to_uppercase(),
            good.replace('e', "g"),
            "é".repeat(32),
            good.clone() + "0",
        ];
        for text in texts {
            let error = text.parse::<Sha256>().expect_err(&text).to_string();
            assert!(error.ends_with("expected 64 lower-case hexadecimal digits"), "{error}");
        }
    }
}
