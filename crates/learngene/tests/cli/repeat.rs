//! The same command on the same data gives the same bytes, also when it was interrupted.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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

/// Nothing that a run leaves says where or when it was made.
#[test]
fn what_a_run_leaves_holds_no_path() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    bench.write("out/.keep", "");
    let folder = bench.path("pets");
    let folder = folder.to_str().expect("temporary folders have plain names");
    bench.succeed(&format!("probe {TINY} --images {folder}/train --out out/distances.json"));
    bench.succeed("expand tiny.learngene --num-classes 2 --out out/d.safetensors");
    bench.succeed(&format!("train out/d.safetensors --data {folder} --epochs 1 --out out/run"));
    let here = bench.path("");
    let here = here.to_str().expect("temporary folders have plain names").trim_end_matches('/');
    for (path, bytes) in bench.files() {
        let found = bytes.windows(here.len()).any(|window| window == here.as_bytes());
        assert!(!found, "{} names {here}", path.display());
    }
}

/// Every part of a run that has a state: two micro-batches a step, an average, clipping, mixed images.
const RECIPE: &str = "
    epochs = 60
    batch_size = 8
    micro_batch_size = 4
    checkpoint_steps = 2
    ema_decay = 0.99
    clip_norm = 1.0
    layer_decay = 0.9
    drop_path = 0.1
    [augment]
    mixup = 0.8
    cutmix = 1.0
    rand_augment = \"rand-m9-mstd0.5-inc1\"
";

/// Kills of one run, at moments that no checkpoint knows of.
const KILLS: usize = 20;

#[test]
fn a_run_that_was_killed_twenty_times_ends_as_one_never_killed() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 10);
    bench.write("recipe.toml", RECIPE);
    let args = format!("train {TINY} --data pets --recipe recipe.toml --out");
    bench.succeed(&format!("{args} whole"));

    let mut moments = ChaCha8Rng::seed_from_u64(0);
    let (mut killed, mut runs) = (0, 0);
    while killed < KILLS {
        runs += 1;
        assert!(runs < 10 * KILLS, "of {runs} runs {killed} were there to be killed");
        let mut child = Command::new(env!("CARGO_BIN_EXE_learngene"))
            .current_dir(bench.path(""))
            .args(format!("{args} parts").split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built");
        thread::sleep(Duration::from_millis(moments.random_range(50..500)));
        if child.try_wait().expect("it is our child").is_some() {
            // It ended before: what it left is compared, and another run is killed.
            check_equal(&bench);
            fs::remove_dir_all(bench.path("parts")).expect("the run made it");
            continue;
        }
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        killed += 1;
    }
    bench.succeed(&format!("{args} parts"));
    check_equal(&bench);
}

/// Both runs left the same files with the same bytes.
fn check_equal(bench: &Workbench) {
    let left = |run: &str| {
        let folder = bench.path(run);
        let files = bench.files().into_iter();
        let files = files
            .filter_map(|(path, bytes)| Some((path.strip_prefix(&folder).ok()?.to_owned(), bytes)));
        files.collect::<BTreeMap<PathBuf, Vec<u8>>>()
    };
    let (whole, parts) = (left("whole"), left("parts"));
    assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
    for (name, bytes) in &whole {
        assert!(*bytes == parts[name], "{} differs after an interruption", name.display());
    }
    for name in ["last", "last_ema", "best", "best_ema"] {
        assert!(whole.contains_key(Path::new(&format!("{name}.safetensors"))), "{name}");
    }
}
