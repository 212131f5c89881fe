//! An archive over HTTP: downloaded to a file, checked, and unpacked.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use md5::{Digest, Md5};

use super::{Progress, Stage, hex};
use crate::DatasetError;

/// Longest wait for a name to resolve, and for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the next bytes of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes between two calls of the progress callback.
const CHUNK: usize = 1 << 16;

/// A `.tar.gz` somewhere on the network.
pub(super) struct Archive<'a> {
    /// Its address.
    pub url: &'a str,
    /// Its MD5 in lower-case hexadecimal, as its publisher gives it.
    pub md5: &'a str,
}

/// Downloads an archive, checks it, and writes `files` of it (wherever they lie in it) directly under `folder`.
pub(super) fn download_and_unpack(
    archive: &Archive<'_>,
    files: &[impl AsRef<str>],
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DatasetError> {
    let path = folder.join("download.tar.gz");
    let md5 = download(archive.url, &path, progress)?;
    if md5 != archive.md5 {
        return Err(DatasetError::Checksum {
            what: archive.url.to_owned(),
            got: md5,
            want: archive.md5.to_owned(),
        });
    }
    unpack(&path, archive.url, files, folder)
}

/// Writes what an address answers to `path`; returns its MD5.
fn download(
    url: &str,
    path: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<String, DatasetError> {
    let failed = |reason: String| DatasetError::Download { url: url.to_owned(), reason };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(READ_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .build()
        .into();
    let mut body = agent.get(url).call().map_err(|error| failed(error.to_string()))?.into_body();
    let total = body.content_length();
    let mut reader = body.as_reader();
    let mut file = File::create(path).map_err(DatasetError::io("write", path))?;
    let mut md5 = Md5::new();
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let count = reader.read(&mut buffer).map_err(|error| failed(error.to_string()))?;
        if count == 0 {
            break;
        }
        md5.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(DatasetError::io("write", path))?;
        done += count as u64;
        progress(Progress { stage: Stage::Download, done, total });
    }
    Ok(hex(&md5.finalize()))
}

/// Writes the named files of a `.tar.gz` directly under `folder`; `origin` stands for it in messages.
pub(super) fn unpack(
    path: &Path,
    origin: &str,
    files: &[impl AsRef<str>],
    folder: &Path,
) -> Result<(), DatasetError> {
    let damaged = |error: std::io::Error| DatasetError::Archive {
        archive: origin.to_owned(),
        file: "the archive".to_owned(),
        reason: format!("cannot be unpacked: {error}"),
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
        None => fs::remove_file(path).map_err(DatasetError::io("remove", path)),
        Some(file) => Err(DatasetError::Archive {
            archive: origin.to_owned(),
            file: file.to_owned(),
            reason: "is missing".to_owned(),
        }),
    }
}
