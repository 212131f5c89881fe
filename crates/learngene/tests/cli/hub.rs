//! Checkpoints by their names on a hub: a server of this test stands for it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sha2::{Digest, Sha256};

use crate::workbench::{Workbench, check_message, golden};

const MODEL: &str = "owner/tiny";
const CONVERT: &str = "convert --checkpoint hf:owner/tiny --out out.safetensors";

/// Files of one model by name.
type Files = BTreeMap<&'static str, Vec<u8>>;

/// Serves the files of [`MODEL`] as a hub does.
struct Hub {
    endpoint: String,
    requests: Arc<AtomicUsize>,
}

impl Hub {
    /// `damage` is done to what it sends, not to the hashes that it tells.
    fn start(files: Files, missing: u16, damage: fn(&mut [u8])) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let requests = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                asked.fetch_add(1, Ordering::Relaxed);
                answer(stream.expect("the program connects"), &files, missing, damage);
            }
        });
        Self { endpoint, requests }
    }

    fn with_the_golden_vit() -> Self {
        Self::start(golden_vit(), 404, |_| {})
    }
}

fn golden_vit() -> Files {
    let weights = fs::read(golden("vit_tiny_golden/timm.safetensors")).expect("the fixture");
    Files::from([
        ("config.json", br#"{"architecture": "none of ours", "num_heads": 3}"#.to_vec()),
        ("model.safetensors", weights),
    ])
}

/// One range of one file, in a connection of its own.
fn answer(mut stream: TcpStream, files: &Files, missing: u16, damage: fn(&mut [u8])) {
    let lines = BufReader::new(&stream).lines().map(|line| line.expect("a request is text"));
    let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let file = request.first().and_then(|line| {
        let path = line.split(' ').nth(1)?;
        files.get(path.strip_prefix(&format!("/{MODEL}/resolve/main/"))?)
    });
    let Some(file) = file else {
        write!(stream, "HTTP/1.1 {missing} None\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .expect("the program listens");
        return;
    };
    let range = request.iter().find_map(|line| {
        let (name, range) = line.split_once(": bytes=")?;
        name.eq_ignore_ascii_case("range").then_some(range)
    });
    let (start, end) = range.and_then(|range| range.split_once('-')).expect("a range is asked for");
    let start: usize = start.parse().expect("a number");
    let end = end.parse().map_or(file.len(), |last: usize| last + 1);
    let mut sent = file.clone();
    damage(&mut sent);
    let hash: String = Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect();
    let size = file.len();
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nX-Repo-Commit: {:040}\r\nETag: \"{hash}\"\r\n\
         Content-Range: bytes {start}-{}/{size}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        1,
        end - 1,
        end - start,
    )
    .and_then(|()| stream.write_all(&sent[start..end]))
    .expect("the program listens");
}

/// Runs the program with a hub, its cache in the workbench.
fn run(workbench: &Workbench, endpoint: &str, args: &str) -> Output {
    let mut command = workbench.command(args);
    command.env("HF_HOME", workbench.path("hub")).env("HF_ENDPOINT", endpoint);
    command.env_remove("HF_TOKEN").output().expect("the program was built")
}

#[test]
fn a_model_is_downloaded_once_and_then_read_without_a_network() {
    let workbench = Workbench::new();
    let hub = Hub::with_the_golden_vit();
    let first = run(&workbench, &hub.endpoint, CONVERT);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let converted = workbench.read("out.safetensors");
    workbench.succeed("convert --checkpoint tiny.safetensors --num-heads 3 --out same.safetensors");
    assert_eq!(converted, workbench.read("same.safetensors"));

    let asked = hub.requests.load(Ordering::Relaxed);
    fs::remove_file(workbench.path("out.safetensors")).expect("it was just read");
    for endpoint in [hub.endpoint.as_str(), "http://127.0.0.1:9"] {
        let again = run(&workbench, endpoint, CONVERT);
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(workbench.read("out.safetensors"), converted);
    }
    assert_eq!(hub.requests.load(Ordering::Relaxed), asked);
}

/// Checks the message for a hub with a model of that name.
#[track_caller]
fn check(hub: &Hub, args: &str, parts: &[&str]) {
    let workbench = Workbench::new();
    let output = run(&workbench, &hub.endpoint, args);
    check_message(args, &output, 1, parts);
    assert!(!workbench.path("out.safetensors").exists());
}

#[test]
fn a_model_that_the_hub_does_not_have_is_told() {
    let args = CONVERT.replace("tiny", "other");
    let parts = ["hf:owner/other: the hub has no model.safetensors of it", "learngene models"];
    check(&Hub::with_the_golden_vit(), &args, &parts);
}

#[test]
fn a_model_that_is_not_for_everyone_is_told() {
    let hub = Hub::start(Files::new(), 401, |_| {});
    check(&hub, CONVERT, &["hf:owner/tiny: the hub asks for leave to read it", "HF_TOKEN"]);
}

#[test]
fn a_damaged_download_is_told_by_its_hash() {
    // A damaged config.json would be no JSON, so there is none.
    let files =
        Files::from_iter(golden_vit().into_iter().filter(|(name, _)| *name == "model.safetensors"));
    // One bit of the last value.
    let hub = Hub::start(files, 404, |bytes| *bytes.last_mut().expect("no file is empty") ^= 1);
    let args = format!("{CONVERT} --num-heads 3");
    check(&hub, &args, &["hf:owner/tiny: ", "has the SHA-256 ", ", the hub told ", "remove it"]);
}

#[test]
fn without_a_network_a_model_that_is_not_in_the_cache_is_told() {
    let hub = Hub { endpoint: "http://127.0.0.1:9".into(), requests: Arc::default() };
    check(&hub, CONVERT, &["hf:owner/tiny: cannot download config.json", "the cache "]);
}

#[test]
fn a_name_without_an_owner_is_a_usage_error() {
    Workbench::new().check(
        "convert --checkpoint hf:tiny --out out.safetensors",
        2,
        &["hf:tiny", "wanted hf:OWNER/NAME"],
    );
}

#[test]
fn models_are_listed_with_their_sizes() {
    let workbench = Workbench::new();
    let models = workbench.succeed_json("models --json");
    let deit = models
        .as_array()
        .expect("a list")
        .iter()
        .find(|model| model["weights"] == "hf:timm/deit_base_patch16_224.fb_in1k");
    let deit = deit.expect("the paper's ancestor is listed");
    assert_eq!(deit["parameters"], 86_567_656);
    // 197 tokens: 12 (4 x 768 x 768 + 2 x 197 x 768 + 2 x 768 x 3072) each, patches and classifier.
    assert_eq!(deit["macs"], 17_563_828_224_u64);
    let said = workbench.succeed("models");
    for part in ["86,567,656", "is the checkpoint of vit_small_patch14_dinov2, read for smaller"] {
        assert!(said.contains(part), "{said}");
    }
}
