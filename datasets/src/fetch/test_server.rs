//! A server on this machine, and archives for it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How one request is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    /// As a server that knows ranges does.
    Good,
    /// As that, but the connection breaks off after so many bytes.
    CutAfter(usize),
    /// All of the file, whatever was asked for.
    WithoutRanges,
    /// The file with its first byte changed.
    Damaged,
    /// A range that begins one byte earlier.
    OtherRange,
    /// 404.
    Missing,
}

/// Serves one body, a request for each answer, then nothing.
pub struct Server {
    address: String,
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(body: Vec<u8>, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a local port is free");
        let address = listener.local_addr().expect("the listener is bound").to_string();
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (asked, answers) = (Arc::clone(&ranges), answers.to_vec());
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().expect("the test connects");
                serve(stream, &body, answer, &asked);
            }
        });
        Self { address, ranges }
    }

    pub fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.address)
    }

    /// The range of each request, empty where it had none.
    pub fn ranges(&self) -> Vec<String> {
        self.ranges.lock().expect("no thread panicked").clone()
    }
}

fn serve(mut stream: TcpStream, body: &[u8], answer: Answer, asked: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a request ends with an empty line");
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let range = request.lines().find_map(|line| line.strip_prefix("range: ")).unwrap_or_default();
    asked.lock().expect("no thread panicked").push(range.to_owned());
    let start = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0);
    let start = if answer == Answer::WithoutRanges { 0 } else { start };

    let (status, first) = match (answer, start) {
        (Answer::Missing, _) => ("404 Not Found", body.len()),
        (_, 0) => ("200 OK", 0),
        (_, start) if start >= body.len() => ("416 Range Not Satisfiable", body.len()),
        (Answer::OtherRange, start) => ("206 Partial Content", start - 1),
        (_, start) => ("206 Partial Content", start),
    };
    let mut rest = body[first..].to_vec();
    let length = rest.len();
    match answer {
        Answer::CutAfter(count) => rest.truncate(count),
        Answer::Damaged => rest[0] ^= 1,
        _ => {}
    }
    let last = body.len() - 1;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\ncontent-range: bytes {first}-{last}/{}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    // The client may hang up early: that is its business.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&rest));
}

/// A `.tar.gz` of these files, in a folder of its own.
pub fn archive_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
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
    encoder.finish().expect("memory can be written to")
}
