//! The same command on the same data gives the same bytes, also when it was interrupted.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::workbench::{TINY, Workbench};

#[test]
fn two_learngenes_are_the_same_bytes() {
    let bench = Workbench::new();
    bench.photos("photos", 5);
    for out in ["a.learngene", "b.learngene"] {
        bench.succeed(&format!("condense {TINY} --images photos --eps 0.2 --out {out}"));
    }
    assert!(bench.read("a.learngene") == bench.read("b.learngene"));
}

#[test]
fn two_descendants_of_one_seed_are_the_same_bytes() {
    let bench = Workbench::with_learngene();
    for (out, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        let args = format!("expand tiny.learngene --num-classes 10 --seed {seed}");
        bench.succeed(&format!("{args} --out {out}.safetensors"));
    }
    assert!(bench.read("a.safetensors") == bench.read("b.safetensors"));
    assert!(bench.read("a.safetensors") != bench.read("c.safetensors"), "the seed has no effect");
}

#[test]
fn two_runs_of_one_seed_are_the_same_bytes() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 5);
    for (out, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        let args = format!("train {TINY} --data pets --epochs 2 --batch-size 4 --seed {seed}");
        bench.succeed(&format!("{args} --out {out}"));
    }
    for name in ["metrics.jsonl", "last.safetensors", "best.safetensors", "recipe.toml"] {
        let read = |run: &str| bench.read(&format!("{run}/{name}"));
        assert!(read("a") == read("b"), "{name}");
    }
    assert!(bench.read("a/last.safetensors") != bench.read("c/last.safetensors"));
}

/// Nothing that a run leaves tells where or when it was made.
#[test]
fn what_a_run_leaves_holds_no_path() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    bench.write("out/.keep", "");
    let folder = bench.path("pets");
    let folder = folder.to_str().expect("temporary folders have plain names");
    bench.succeed(&format!("probe {TINY} --images {folder}/train --out out/distances.json"));
    bench.succeed("expand tiny.learngene --num-classes 2 --out out/d.safetensors");
    bench.succeed(&format!(
        "train --checkpoint out/d.safetensors --data {folder} --epochs 1 --out out/run"
    ));
    let here = bench.path("");
    let here = here.to_str().expect("temporary folders have plain names").trim_end_matches('/');
    for (path, bytes) in bench.files() {
        let found = bytes.windows(here.len()).any(|window| window == here.as_bytes());
        assert!(!found, "{} names {here}", path.display());
    }
}

#[test]
fn an_interrupted_run_ends_as_an_uninterrupted_one() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 10);
    let args = format!("train {TINY} --data pets --epochs 24 --batch-size 4 --out");
    bench.succeed(&format!("{args} whole"));

    let mut child = Command::new(env!("CARGO_BIN_EXE_learngene"))
        .current_dir(bench.path(""))
        .args(format!("{args} parts").split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built");
    let epochs = || fs::read_to_string(bench.path("parts/metrics.jsonl")).unwrap_or_default();
    let started = Instant::now();
    while epochs().lines().count() < 2 && started.elapsed() < Duration::from_secs(120) {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    let done = epochs().lines().count();
    assert!((2..24).contains(&done), "the run was to be stopped in its middle, not after {done}");

    bench.succeed(&format!("{args} parts"));
    for name in ["metrics.jsonl", "last.safetensors", "best.safetensors"] {
        let read = |run: &str| bench.read(&format!("{run}/{name}"));
        assert!(read("whole") == read("parts"), "{name} differs after an interruption");
    }
}
