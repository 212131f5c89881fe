//! Files out of a `.tar.gz`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::read::GzDecoder;

use super::FetchError;
use crate::DatasetError;

/// Writes the named files of a `.tar.gz` directly under `folder`; `origin` stands for it in messages.
pub(super) fn unpack(
    path: &Path,
    origin: &str,
    files: &[impl AsRef<str>],
    folder: &Path,
) -> Result<(), DatasetError> {
    let damaged = |error: std::io::Error| -> DatasetError {
        FetchError::Archive {
            archive: origin.to_owned(),
            file: "the archive".to_owned(),
            reason: format!("cannot be unpacked: {error}"),
        }
        .into()
    };
    let compressed = File::open(path).map_err(DatasetError::io("read", path))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(compressed)));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        // Only the last part of a name is used, so that no archive can write outside of `folder`.
        let name = entry.path().map_err(damaged)?.file_name().map(|name| name.to_owned());
        if let Some(file) =
            files.iter().map(AsRef::as_ref).find(|file| name.as_deref() == Some(OsStr::new(file)))
        {
            let target = folder.join(file);
            let mut output = File::create(&target).map_err(DatasetError::io("write", &target))?;
            std::io::copy(&mut entry, &mut output).map_err(damaged)?;
        }
    }
    match files.iter().map(AsRef::as_ref).find(|file| !folder.join(file).is_file()) {
        None => Ok(()),
        Some(file) => Err(FetchError::Archive {
            archive: origin.to_owned(),
            file: file.to_owned(),
            reason: "is missing".to_owned(),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::test_server::archive_of;
    use super::*;
    use crate::fixtures::TempFolder;

    fn unpacked(archive: &[u8], files: &[&str]) -> (TempFolder, Result<(), DatasetError>) {
        let folder = TempFolder::with([("in/set.tar.gz", archive), ("out/empty", b"")]);
        let path = folder.path().join("in/set.tar.gz");
        let outcome = unpack(&path, "the set", files, &folder.path().join("out"));
        (folder, outcome)
    }

    #[test]
    fn the_wanted_files_are_unpacked_and_nothing_else() {
        let archive = archive_of([("a.bin", b"AA".as_slice()), ("readme", b"no")]);
        let (folder, outcome) = unpacked(&archive, &["a.bin"]);
        outcome.expect("the archive is good");
        assert_eq!(fs::read(folder.path().join("out/a.bin")).expect("it was unpacked"), b"AA");
        assert!(!folder.path().join("out/readme").exists());
    }

    #[test]
    fn an_archive_without_a_file_is_refused() {
        let archive = archive_of([("a.bin", b"AA".as_slice())]);
        let text = unpacked(&archive, &["a.bin", "b.bin"]).1.expect_err("b.bin is not in it");
        assert_eq!(text.to_string(), "the set: b.bin is missing");
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let outcome = unpacked(b"<html>moved</html>", &["a.bin"]).1;
        let text = outcome.expect_err("a page is no archive").to_string();
        assert!(text.starts_with("the set: the archive cannot be unpacked: "), "{text}");
    }
}
