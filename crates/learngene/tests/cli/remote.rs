//! Devices that another program offers: this program, started on loopback.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::workbench::{TINY, Workbench, check_message};

/// `learngene serve`, ended when dropped.
struct Server {
    child: Child,
    /// As `--device` names it.
    device: String,
}

impl Server {
    fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    fn start_at(address: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_learngene"))
            .args(["serve", "--device", "flex", "--address", address])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built and can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let line = BufReader::new(stdout).lines().next().expect("it says where").expect("text");
        let (_, device) = line.split_once("flex is offered as ").expect("it says where");
        let device = device.trim_end_matches(", until interrupted").to_owned();
        Self { child, device }
    }

    /// Ends it as a crash does.
    fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("remote:ws://{}", listener.local_addr().expect("it is bound"))
}

fn pets() -> Workbench {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 3);
    bench
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// Two servers, one after the other, and the CPU itself.
#[test]
fn a_remote_device_computes_what_the_cpu_does() {
    let bench = pets();
    bench.succeed(&format!("train {TINY} --data pets --epochs 1 --out run"));
    let eval = "eval run/best.safetensors --num-heads 3 --data pets --json --device";
    let here = bench.succeed_json(&format!("{eval} flex-plain"));
    for _ in 0..2 {
        let server = Server::start();
        let there = bench.succeed_json(&format!("{eval} {}", server.device));
        assert_eq!(there["top1"], here["top1"]);
        let apart = number(&there, "loss") - number(&here, "loss");
        assert!(apart.abs() < 1e-5, "{there} and {here}");
    }
}

#[test]
fn a_model_trains_on_a_remote_device() {
    let bench = pets();
    let server = Server::start();
    let mut losses = ["flex-plain", &server.device].into_iter().enumerate().map(|(run, device)| {
        let train = format!("train {TINY} --data pets --epochs 2 --batch-size 3 --json");
        let summary = bench.succeed_json(&format!("{train} --device {device} --out run{run}"));
        let lines = summary["metrics"].as_array().expect("a list").clone();
        lines.iter().map(|line| number(line, "train_loss")).collect::<Vec<_>>()
    });
    let (here, there) = (losses.next().expect("two"), losses.next().expect("two"));
    assert_eq!((here.len(), there.len()), (2, 2));
    for (here, there) in here.iter().zip(there) {
        assert!((here - there).abs() < 1e-4, "{here} and {there}");
    }
}

/// Fifty steps, each evaluated, so that every loss is told.
#[test]
fn two_remote_devices_share_every_batch() {
    let bench = pets();
    let (first, second) = (Server::start(), Server::start());
    let both = format!("{},{}", first.device, second.device);
    bench.write("recipe.toml", "epochs = 25\nbatch_size = 3\nevaluations_per_epoch = 2\n");
    let losses = ["flex-plain", &both].map(|devices| {
        let train = format!("train {TINY} --data pets --recipe recipe.toml --json");
        let out = devices.len();
        let summary = bench.succeed_json(&format!("{train} --devices {devices} --out run{out}"));
        let lines = summary["metrics"].as_array().expect("a list").clone();
        lines.iter().map(|line| number(line, "train_loss")).collect::<Vec<_>>()
    });
    let [here, there] = losses;
    assert_eq!((here.len(), there.len()), (50, 50));
    for (step, (here, there)) in here.iter().zip(there).enumerate() {
        assert!((here - there).abs() < 1e-4, "step {}: {here} and {there}", step + 1);
    }
}

/// A run loses one of its servers, and goes on when another listens at the same address.
#[test]
fn a_lost_device_is_told_and_the_run_goes_on() {
    let bench = pets();
    let (mut first, mut server) = (Server::start(), Server::start());
    let device = server.device.clone();
    let devices = format!("{},{device}", first.device);
    let args = format!(
        "train {TINY} --data pets --epochs 40 --batch-size 3 --devices {devices} --out run --json"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_learngene"));
    command.current_dir(bench.path("")).args(args.split_whitespace());
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it was built");
    let (metrics, begun) = (bench.path("run/metrics.jsonl"), Instant::now());
    let evaluated = || fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    while evaluated() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(120), "no epoch ends");
        thread::sleep(Duration::from_millis(20));
    }
    server.kill();
    let output = run.wait_with_output().expect("it ends");
    // Refused, or reset where it was just being made.
    let lost = format!("error: lost the device {device}: connection re");
    let resumes = "the same command goes on from the last checkpoint";
    check_message(&args, &output, &[&lost, resumes]);

    let before = fs::read_to_string(&metrics).expect("it was just read");
    // The one that was left keeps its connection to the one that is gone, so both begin anew.
    first.kill();
    let restart = |device: &str| Server::start_at(device.trim_start_matches("remote:ws://"));
    let _servers = (restart(&first.device), restart(&device));
    let summary = bench.succeed_json(&args);
    assert_eq!(summary["metrics"].as_array().map(Vec::len), Some(40));
    let after = fs::read_to_string(&metrics).expect("it was just read");
    let (first, again) = (before.lines().next(), after.lines().next());
    assert_eq!(first, again, "what was computed is kept");
}

#[test]
fn a_server_that_is_not_there_is_told_at_once() {
    let device = nowhere();
    let begun = Instant::now();
    let args = format!("eval {TINY} --data cifar10-sample --device {device}");
    let refused = format!("no answer from {device}: connection refused");
    Workbench::new().check(&args, &[&refused, "`learngene serve`"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "burn's own patience is 16 seconds");
}

#[test]
fn what_is_no_address_is_a_usage_error() {
    let check = |args: &str, parts: &[&str]| Workbench::new().check(args, parts);
    for device in ["remote", "remote:3000", "remote:http://gpu:3000", "remote:ws://gpu"] {
        let wanted = "expected an address, as in `remote:ws://host:3000`";
        check(&format!("eval {TINY} --data cifar10-sample --device {device}"), &[device, wanted]);
    }
    for address in ["3000", "gpu", "gpu:x", ":3000"] {
        let wanted = "wanted a host and a port such as 127.0.0.1:3000, got";
        check(&format!("serve --address {address}"), &[address, wanted]);
    }
}

#[test]
fn what_cannot_be_offered() {
    let bench = Workbench::new();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("it is bound").to_string();
    let refused = format!("cannot listen on {taken}: ");
    bench.check(&format!("serve --address {taken}"), &[&refused]);
    let offered = "remote:ws://gpu:3000 is offered already";
    bench.check("serve --device remote:ws://gpu:3000", &[offered]);
}

#[test]
fn devices_tell_of_remote_ones() {
    let said = Workbench::new().succeed("list devices");
    assert!(said.contains("remote      by address; needs `learngene serve`"), "{said}");
}
