//! An archive over HTTP: downloaded to a file, checked, and unpacked.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use md5::{Digest, Md5};

use super::{Progress, Stage};
use crate::DatasetError;
use crate::provenance::hex;

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

/// A server for one answer, and archives for it.
#[cfg(test)]
pub(super) mod test_server {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use md5::{Digest, Md5};

    use crate::provenance::hex;

    /// Answers one request with `body`, announced as `missing` bytes longer than it is; returns the address.
    pub fn serve(body: Vec<u8>, missing: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a local port is free");
        let address = listener.local_addr().expect("the listener is bound");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the test connects");
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).expect("a request ends with an empty line");
                request.push(byte[0]);
            }
            let length = body.len() + missing;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            // The client may hang up early: that is its business.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        });
        format!("http://{address}/set.tar.gz")
    }

    /// A `.tar.gz` of these files, in a folder of its own, and its MD5.
    pub fn archive_of<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> (Vec<u8>, String) {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, format!("set/{name}"), bytes)
                .expect("memory can be written to");
        }
        let encoder = archive.into_inner().expect("memory can be written to");
        let bytes = encoder.finish().expect("memory can be written to");
        let md5 = hex(&Md5::digest(&bytes));
        (bytes, md5)
    }
}

#[cfg(test)]
mod tests {
    use super::test_server::{archive_of, serve};
    use super::*;
    use crate::fixtures::TempFolder;

    fn fetch(url: &str, md5: &str, files: &[&str]) -> (TempFolder, Result<(), DatasetError>) {
        let folder = TempFolder::with([]);
        let archive = Archive { url, md5 };
        let outcome = download_and_unpack(&archive, files, folder.path(), &mut |_| {});
        (folder, outcome)
    }

    #[test]
    fn the_wanted_files_are_unpacked_and_nothing_else() {
        let (bytes, md5) = archive_of([("a.bin", b"AA".as_slice()), ("readme", b"no")]);
        let (folder, outcome) = fetch(&serve(bytes, 0), &md5, &["a.bin"]);
        outcome.expect("the archive is good");
        assert_eq!(fs::read(folder.path().join("a.bin")).expect("it was unpacked"), b"AA");
        assert_eq!(fs::read_dir(folder.path()).expect("the folder exists").count(), 1);
    }

    #[test]
    fn progress_ends_with_all_bytes() {
        let (bytes, md5) = archive_of([("a.bin", [7; 300_000].as_slice())]);
        let length = bytes.len() as u64;
        let folder = TempFolder::with([]);
        let mut last = None;
        let url = serve(bytes, 0);
        let archive = Archive { url: &url, md5: &md5 };
        download_and_unpack(&archive, &["a.bin"], folder.path(), &mut |step| last = Some(step))
            .expect("the archive is good");
        let all = Progress { stage: Stage::Download, done: length, total: Some(length) };
        assert_eq!(last, Some(all));
    }

    #[test]
    fn a_wrong_checksum_is_refused_before_unpacking() {
        let (bytes, _) = archive_of([("a.bin", b"AA".as_slice())]);
        let url = serve(bytes, 0);
        let (folder, outcome) = fetch(&url, "00000000000000000000000000000000", &["a.bin"]);
        let error = outcome.expect_err("the checksum is another one");
        assert!(matches!(&error, DatasetError::Checksum { what, .. } if *what == url), "{error}");
        assert!(!folder.path().join("a.bin").exists());
    }

    #[test]
    fn an_archive_without_a_file_is_refused() {
        let (bytes, md5) = archive_of([("a.bin", b"AA".as_slice())]);
        let (_, outcome) = fetch(&serve(bytes, 0), &md5, &["a.bin", "b.bin"]);
        let text = outcome.expect_err("b.bin is not in it").to_string();
        assert!(text.ends_with("b.bin is missing"), "{text}");
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let page = b"<html>moved</html>".to_vec();
        let md5 = hex(&Md5::digest(&page));
        let (_, outcome) = fetch(&serve(page, 0), &md5, &["a.bin"]);
        assert!(matches!(outcome, Err(DatasetError::Archive { .. })), "{outcome:?}");
    }

    #[test]
    fn a_connection_that_breaks_off_is_an_error() {
        let (bytes, md5) = archive_of([("a.bin", b"AA".as_slice())]);
        let (_, outcome) = fetch(&serve(bytes, 100), &md5, &["a.bin"]);
        assert!(matches!(outcome, Err(DatasetError::Download { .. })), "{outcome:?}");
    }

    #[test]
    fn an_address_that_nobody_serves_is_an_error() {
        let (_, outcome) = fetch("http://127.0.0.1:1/set.tar.gz", "", &["a.bin"]);
        let text = outcome.expect_err("nobody listens there").to_string();
        assert!(text.starts_with("cannot download http://127.0.0.1:1/set.tar.gz: "), "{text}");
    }
}
