//! One file over HTTP, whole or not at all, continued where an earlier attempt broke off.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::config::AutoHeaderValue;
use ureq::http::{StatusCode, header};

use super::{FetchError, Progress, Stage};
use crate::{Checksum, DatasetError};

/// Longest wait for a name to resolve, and for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the next bytes of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes between two calls of the progress callback.
const CHUNK: usize = 1 << 16;

/// Downloads an address to `path`; the file appears there whole and with the wanted checksum, or not at all.
///
/// What has come lies beside it, under the name with `.part`, until it is whole. A connection that breaks off is taken
/// up again from there as long as each attempt brings something; so does a later call after the program was stopped.
/// A server that does not know parts of files (HTTP ranges) sends all again. What was continued and has the wrong
/// checksum is downloaded once more from its beginning. A file that is at `path` already, with the wanted checksum, is
/// kept.
///
/// # Errors
/// When the address cannot be reached, the checksum is another one, another process downloads the same file, or the
/// files cannot be written.
pub fn download(
    url: &str,
    checksum: &Checksum<'_>,
    path: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DatasetError> {
    if path.is_file() && checksum.check(path, url).is_ok() {
        return Ok(());
    }
    let mut part = Part::open(url, path)?;
    let mut was_continued = part.len > 0;
    loop {
        let before = part.len;
        match part.receive(url, progress) {
            Ok(()) => {}
            Err(error) if part.len > before => {
                tracing::info!("{error}; going on after {} bytes", part.len);
                was_continued = true;
                continue;
            }
            Err(error) => {
                part.remove_if_empty();
                return Err(error);
            }
        }
        match checksum.check(&part.path, url) {
            Ok(()) => return part.finish(path),
            Err(error) => {
                part.clear()?;
                if !was_continued {
                    part.remove_if_empty();
                    return Err(error);
                }
                tracing::info!("{error}; starting anew");
                was_continued = false;
            }
        }
    }
}

/// The part of a file that has come.
struct Part {
    path: PathBuf,
    file: File,
    /// Bytes in it.
    len: u64,
}

impl Part {
    /// What an earlier attempt left, or nothing; no other process can have it at the same time.
    fn open(url: &str, target: &Path) -> Result<Self, DatasetError> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = target.with_file_name(name);
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = opened.map_err(DatasetError::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let reason = format!("another process is writing {}", path.display());
                return Err(FetchError::Download { url: url.to_owned(), reason }.into());
            }
            Err(TryLockError::Error(source)) => {
                return Err(DatasetError::io("lock", &path)(source));
            }
        }
        let len = file.metadata().map_err(DatasetError::io("read", &path))?.len();
        Ok(Self { path, file, len })
    }

    /// Asks for what is missing and appends it.
    fn receive(
        &mut self,
        url: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DatasetError> {
        let failed = |reason: String| -> DatasetError {
            FetchError::Download { url: url.to_owned(), reason }.into()
        };
        let mut request = agent().get(url);
        if self.len > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.len));
        }
        let answer = request.call().map_err(|error| failed(error.to_string()))?;
        match answer.status() {
            StatusCode::OK => self.clear()?,
            StatusCode::PARTIAL_CONTENT if self.len > 0 => {
                let range = answer.headers().get(header::CONTENT_RANGE);
                let range = range.and_then(|range| range.to_str().ok()).unwrap_or("none");
                if !range.starts_with(&format!("bytes {}-", self.len)) {
                    return Err(failed(format!(
                        "asked for bytes from {}, got the range {range}",
                        self.len
                    )));
                }
            }
            // There is nothing beyond what has come; whether it is the file, its checksum tells.
            StatusCode::RANGE_NOT_SATISFIABLE if self.len > 0 => return Ok(()),
            other => return Err(failed(format!("the server answers {other}"))),
        }
        let mut body = answer.into_body();
        let total = body.content_length().map(|rest| self.len + rest);
        let mut reader = body.as_reader();
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = reader.read(&mut buffer).map_err(|error| failed(error.to_string()))?;
            if count == 0 {
                return Ok(());
            }
            let written = self.file.write_all(&buffer[..count]);
            written.map_err(DatasetError::io("write", &self.path))?;
            self.len += count as u64;
            progress(Progress { stage: Stage::Download, done: self.len, total });
        }
    }

    fn clear(&mut self) -> Result<(), DatasetError> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cleared.map_err(DatasetError::io("write", &self.path))?;
        self.len = 0;
        Ok(())
    }

    fn remove_if_empty(&self) {
        if self.len == 0 {
            let _stays = fs::remove_file(&self.path);
        }
    }

    fn finish(self, path: &Path) -> Result<(), DatasetError> {
        let Self { path: part, file, .. } = self;
        file.sync_all().map_err(DatasetError::io("write", &part))?;
        // Some systems do not rename open files.
        drop(file);
        fs::rename(&part, path).map_err(DatasetError::io("write", path))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(READ_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT))
        .http_status_as_error(false)
        // A server that unpacks what it sends would count other bytes than the file has.
        .accept_encoding(AutoHeaderValue::from("identity"))
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::super::test_server::{Answer, Server};
    use super::*;
    use crate::fixtures::TempFolder;
    use crate::provenance::hex;

    fn contents() -> Vec<u8> {
        (0..200_000_u32)
            .flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 24).to_le_bytes())
            .step_by(4)
            .collect()
    }

    /// Downloads the contents from a server with these answers; what came of it, the folder, and what was asked for.
    fn fetch(
        part: &[u8],
        answers: &[Answer],
    ) -> (Result<(), DatasetError>, TempFolder, Vec<String>) {
        let folder = TempFolder::with([("set.bin.part", part)]);
        let server = Server::start(contents(), answers);
        let md5 = hex(&Md5::digest(contents()));
        let path = folder.path().join("set.bin");
        let outcome = download(&server.url("set.bin"), &Checksum::Md5(&md5), &path, &mut |_| {});
        (outcome, folder, server.ranges())
    }

    /// The file arrives whole with these requests for ranges.
    fn check(part: &[u8], answers: &[Answer], ranges: &[&str]) {
        let (outcome, folder, asked) = fetch(part, answers);
        outcome.expect("the server has the file");
        assert!(fs::read(folder.path().join("set.bin")).expect("it is there") == contents());
        assert_eq!(asked, ranges);
        assert_eq!(fs::read_dir(folder.path()).expect("it can be listed").count(), 1);
    }

    #[test]
    fn a_file_comes_at_once() {
        check(b"", &[Answer::Good], &[""]);
    }

    #[test]
    fn a_connection_that_breaks_off_is_taken_up_again() {
        let answers = [Answer::CutAfter(70_000), Answer::CutAfter(1), Answer::Good];
        check(b"", &answers, &["", "bytes=70000-", "bytes=70001-"]);
    }

    #[test]
    fn what_an_earlier_call_left_is_continued() {
        check(&contents()[..1234], &[Answer::Good], &["bytes=1234-"]);
    }

    #[test]
    fn a_part_that_is_whole_needs_no_more() {
        check(&contents(), &[Answer::Good], &["bytes=200000-"]);
    }

    #[test]
    fn a_server_without_ranges_sends_all_again() {
        check(&contents()[..1234], &[Answer::WithoutRanges], &["bytes=1234-"]);
    }

    #[test]
    fn a_part_of_something_else_is_thrown_away() {
        check(b"something else", &[Answer::Good, Answer::Good], &["bytes=14-", ""]);
    }

    fn refused(part: &[u8], answers: &[Answer], reason: &str) -> TempFolder {
        let (outcome, folder, _) = fetch(part, answers);
        let text = outcome.expect_err("the file does not come").to_string();
        assert!(text.contains(reason), "{text}");
        assert!(!folder.path().join("set.bin").exists());
        folder
    }

    #[test]
    fn what_came_before_a_failure_stays_for_the_next_time() {
        let folder = refused(b"", &[Answer::CutAfter(70_000)], "cannot download http://");
        let part = fs::read(folder.path().join("set.bin.part")).expect("a part has come");
        assert!(part == contents()[..70_000]);
    }

    #[test]
    fn other_contents_are_refused_and_nothing_stays() {
        let folder = refused(b"", &[Answer::Damaged], "has the checksum");
        assert_eq!(fs::read_dir(folder.path()).expect("it can be listed").count(), 0);
    }

    #[test]
    fn an_answer_of_failure_is_told() {
        refused(b"", &[Answer::Missing], "the server answers 404 Not Found");
    }

    #[test]
    fn another_range_than_the_one_asked_for_is_refused() {
        let reason = "asked for bytes from 1234, got the range bytes 1233-";
        refused(&contents()[..1234], &[Answer::OtherRange], reason);
    }

    #[test]
    fn an_address_that_nobody_serves_is_an_error() {
        let folder = TempFolder::with([]);
        let url = "http://127.0.0.1:1/set.bin";
        let outcome =
            download(url, &Checksum::Md5(""), &folder.path().join("set.bin"), &mut |_| {});
        let text = outcome.expect_err("nobody listens there").to_string();
        assert!(text.starts_with("cannot download http://127.0.0.1:1/set.bin: "), "{text}");
        assert_eq!(fs::read_dir(folder.path()).expect("it can be listed").count(), 0);
    }

    #[test]
    fn two_downloads_of_one_file_do_not_mix() {
        let folder = TempFolder::with([]);
        let path = folder.path().join("set.bin");
        let _first = Part::open("first", &path).expect("nobody else has it");
        let error = download("second", &Checksum::Md5(""), &path, &mut |_| {});
        let text = error.expect_err("the first is writing").to_string();
        assert!(text.contains("another process is writing"), "{text}");
    }

    #[test]
    fn progress_counts_what_was_there() {
        let folder = TempFolder::with([("set.bin.part", &contents()[..150_000])]);
        let server = Server::start(contents(), &[Answer::Good]);
        let md5 = hex(&Md5::digest(contents()));
        let path = folder.path().join("set.bin");
        let mut steps = Vec::new();
        let mut note = |step: Progress| steps.push((step.done, step.total));
        download(&server.url("set.bin"), &Checksum::Md5(&md5), &path, &mut note).expect("it comes");
        assert!(steps.iter().all(|(done, total)| *done > 150_000 && *total == Some(200_000)));
        assert_eq!(steps.last().map(|(done, _)| *done), Some(200_000));
    }

    #[test]
    fn a_file_that_is_there_is_not_asked_for() {
        let folder = TempFolder::with([("set.bin", b"abc".as_slice())]);
        let checksum = Checksum::Md5("900150983cd24fb0d6963f7d28e17f72");
        let path = folder.path().join("set.bin");
        download("http://127.0.0.1:1/x", &checksum, &path, &mut |_| {}).expect("it is there");
    }
}
