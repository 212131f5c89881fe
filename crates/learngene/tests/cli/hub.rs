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

use assert_cmd::Command;
use learngene_tensors::Sha256;

use crate::workbench::{Workbench, check_message, golden};

const MODEL: &str = "owner/tiny";
const COMMIT: &str = "0000000000000000000000000000000000000001";
const EXPORT: &str = "export hf:owner/tiny --out out.safetensors";

/// Files of one model by name.
type Files = BTreeMap<&'static str, Vec<u8>>;

/// Serves the files of [`MODEL`] as a hub does.
struct Hub {
    endpoint: String,
    requests: Arc<AtomicUsize>,
}

impl Hub {
    /// `damage` is done to what it sends, not to the hashes.
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
        let path = line.split(' ').nth(1)?.strip_prefix(&format!("/{MODEL}/resolve/"))?;
        let (revision, file) = path.split_once('/')?;
        files.get(file).filter(|_| ["main", COMMIT].contains(&revision))
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
    let hash = Sha256::of(file);
    let size = file.len();
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nX-Repo-Commit: {COMMIT}\r\nETag: \"{hash}\"\r\n\
         Content-Range: bytes {start}-{}/{size}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        end - 1,
        end - start,
    )
    .and_then(|()| stream.write_all(&sent[start..end]))
    .expect("the program listens");
}

/// The program with a hub, its cache in the workbench.
fn command(workbench: &Workbench, endpoint: &str, args: &str) -> Command {
    let mut command = workbench.command(args);
    command.env("HF_HOME", workbench.path("hub")).env("HF_ENDPOINT", endpoint);
    command.env_remove("HF_TOKEN").env_remove("HF_HUB_OFFLINE");
    command
}

fn run(workbench: &Workbench, endpoint: &str, args: &str) -> Output {
    command(workbench, endpoint, args).output().expect("the program was built")
}

#[test]
fn a_model_is_downloaded_once_and_then_read_without_a_network() {
    let workbench = Workbench::new();
    let hub = Hub::with_the_golden_vit();
    let first = run(&workbench, &hub.endpoint, EXPORT);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let converted = workbench.read("out.safetensors");
    workbench.succeed("export tiny.safetensors --num-heads 3 --out same.safetensors");
    assert_eq!(converted, workbench.read("same.safetensors"));

    let asked = hub.requests.load(Ordering::Relaxed);
    fs::remove_file(workbench.path("out.safetensors")).expect("it was just read");
    for endpoint in [hub.endpoint.as_str(), "http://127.0.0.1:9"] {
        let again = run(&workbench, endpoint, EXPORT);
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
    check_message(args, &output, parts);
    assert!(!workbench.path("out.safetensors").exists());
}

/// As timm leaves it in the cache that all programs share: the weights alone, which say neither heads
/// nor how images are prepared.
#[test]
fn the_configuration_of_weights_that_another_program_fetched_is_fetched_too() {
    let workbench = Workbench::new();
    workbench.photos("photos", 2);
    let mut files = golden_vit();
    let config =
        br#"{"num_heads": 3, "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}}"#;
    files.insert("config.json", config.to_vec());
    let repo = "hub/hub/models--owner--tiny";
    workbench.write(&format!("{repo}/refs/main"), COMMIT);
    let weights = files.get("model.safetensors").expect("it has weights");
    workbench.write(&format!("{repo}/snapshots/{COMMIT}/model.safetensors"), weights);
    let probe = |endpoint: &str, flags: &str| {
        let args = "probe hf:owner/tiny --images photos --out d.json";
        let output = run(&workbench, endpoint, &format!("{args} {flags}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (workbench.json("d.json")["preprocessing"].clone(), said)
    };
    let assumed = "hf:owner/tiny: its files do not say how images are prepared; assumed ";
    let (usual, said) = probe("http://127.0.0.1:9", "--num-heads 3 --crop-pct 0.5");
    assert!(said.contains("hf:owner/tiny: cannot download config.json"), "{said}");
    let flags = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n";
    assert!(said.contains(&format!("{assumed}{flags}")), "{said}");

    let hub = Hub::start(files, 404, |_| {});
    let args = format!("{EXPORT} --num-heads 3");
    command(&workbench, &hub.endpoint, &args).env("HF_HUB_OFFLINE", "1").assert().success();
    assert_eq!(hub.requests.load(Ordering::Relaxed), 0);
    let (known, said) = probe(&hub.endpoint, "");
    assert_ne!(known["mean"], usual["mean"]);
    assert_eq!(known["mean"], serde_json::json!([0.5, 0.5, 0.5]));
    assert!(said.contains(&format!("{assumed}--crop-pct 0.9\n")), "{said}");
    // What is there, and what is not, is known from now on.
    let asked = hub.requests.load(Ordering::Relaxed);
    let (again, said) = probe(&hub.endpoint, "--crop-pct 0.9");
    assert_eq!((again, said.contains(assumed)), (known, false), "{said}");
    assert_eq!(hub.requests.load(Ordering::Relaxed), asked);
}

#[test]
fn a_model_that_the_hub_does_not_have() {
    let args = EXPORT.replace("tiny", "other");
    let parts = ["hf:owner/other: the hub has no model.safetensors of it", "learngene list models"];
    check(&Hub::with_the_golden_vit(), &args, &parts);
}

#[test]
fn a_model_that_is_not_for_everyone() {
    let hub = Hub::start(Files::new(), 401, |_| {});
    check(&hub, EXPORT, &["hf:owner/tiny: the hub requires permission", "HF_TOKEN"]);
}

#[test]
fn a_damaged_download_is_found_by_its_hash() {
    // A damaged config.json would be no JSON, so there is none.
    let files =
        Files::from_iter(golden_vit().into_iter().filter(|(name, _)| *name == "model.safetensors"));
    // One bit of the last value.
    let hub = Hub::start(files, 404, |bytes| *bytes.last_mut().expect("no file is empty") ^= 1);
    let args = format!("{EXPORT} --num-heads 3");
    check(&hub, &args, &["hf:owner/tiny: ", "has the SHA-256 ", ", expected ", "remove it"]);
}

#[test]
fn without_a_network_a_model_that_is_not_in_the_cache() {
    let hub = Hub { endpoint: "http://127.0.0.1:9".into(), requests: Arc::default() };
    check(&hub, EXPORT, &["hf:owner/tiny: cannot download model.safetensors", "the cache "]);
}

#[test]
fn a_name_without_an_owner_is_a_usage_error() {
    Workbench::new()
        .check("export hf:tiny --out out.safetensors", &["hf:tiny", "expected hf:OWNER/NAME"]);
}

#[test]
fn models_are_listed_with_their_sizes() {
    let workbench = Workbench::new();
    let models = workbench.succeed_json("list models --json");
    let deit = models
        .as_array()
        .expect("a list")
        .iter()
        .find(|model| model["weights"] == "hf:timm/deit_base_patch16_224.fb_in1k");
    let deit = deit.expect("the paper's ancestor is listed");
    assert_eq!(deit["parameters"], 86_567_656);
    // 197 tokens: 12 (4 x 768 x 768 + 2 x 197 x 768 + 2 x 768 x 3072) each, patches and classifier.
    assert_eq!(deit["macs"], 17_563_828_224_u64);
    let said = workbench.succeed("list models");
    for part in ["86,567,656", "is the checkpoint of vit_small_patch14_dinov2, read for smaller"] {
        assert!(said.contains(part), "{said}");
    }
}
