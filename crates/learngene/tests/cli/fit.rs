//! From a checkpoint and a folder of images to a fine-tuned model of a given size.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::workbench::{TINY, Workbench};

fn pets() -> Workbench {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 20);
    bench
}

#[test]
fn a_checkpoint_becomes_a_model_of_a_size_that_is_fine_tuned_and_used() {
    let bench = pets();
    let whole = bench.succeed_json(&format!("fit {TINY} --data pets --dry-run --json"));
    let sizes: Vec<u64> = whole
        .as_array()
        .expect("a list of sizes")
        .iter()
        .map(|size| size["parameters"].as_u64().expect("a count"))
        .collect();
    assert!(sizes.is_sorted() && sizes.len() > 2, "{sizes:?}");
    let limit = (sizes[0] + sizes[sizes.len() - 1]) / 2;
    let fit = format!("fit {TINY} --data pets --max-params {limit} --epochs 2 --out run");
    let made = bench.succeed_json(&format!("{fit} --json"));
    let parameters = made["parameters"].as_u64().expect("a count");
    assert!(parameters <= limit && parameters > limit / 2, "{parameters} of {limit}");
    assert_eq!(made["images"], 40);
    let page = String::from_utf8(bench.read("run/index.html")).expect("HTML");
    for part in ["<h1>", "top-1", "<svg", "taken for", ">dog<", "chosen"] {
        assert!(page.contains(part), "{page}\nlacks {part}");
    }
    let said = bench.succeed("predict run --num-heads 3 pets/test/cat/0.png --top 1");
    assert!(said.starts_with("pets/test/cat/0.png: "), "{said}");

    // Nothing is done twice, and nothing depends on when it was interrupted.
    let last = bench.read("run/last.safetensors");
    assert_eq!(bench.succeed_json(&format!("{fit} --json")), made);
    let (rate, learngene) = (made["learning_rate"].clone(), bench.read("run/model.learngene"));
    for name in ["run/last.safetensors", "run/metrics.jsonl"] {
        std::fs::remove_file(bench.path(name)).expect("it was written");
    }
    std::fs::remove_dir_all(bench.path("run/rates")).expect("it was written");
    std::fs::remove_file(bench.path("run/best.safetensors")).expect("it was written");
    let again = bench.succeed_json(&format!("{fit} --json"));
    assert_eq!((&again["learning_rate"], &again["top1"]), (&rate, &made["top1"]));
    assert!(bench.read("run/last.safetensors") == last, "other bytes");
    assert!(bench.read("run/model.learngene") == learngene, "it was made again");
    bench.check(&fit.replace(&limit.to_string(), "30K"), &["another model, size or images"]);
}

/// Files of a folder that a run leaves, without those that say how it came about.
fn results(bench: &Workbench, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = bench.path(folder);
    let files = bench.files().into_iter();
    let inside = files
        .filter_map(|(path, bytes)| Some((path.strip_prefix(&folder).ok()?.to_owned(), bytes)));
    inside.collect()
}

#[test]
fn a_fit_that_is_killed_ends_as_one_that_is_not() {
    let bench = pets();
    let fit = |out: &str| format!("fit {TINY} --data pets --max-params 60K --epochs 2 --out {out}");
    let start = Instant::now();
    bench.succeed(&fit("whole"));
    let whole = start.elapsed();
    let mut draw = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..10 {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_learngene"))
            .args(fit("killed").split_whitespace())
            .current_dir(bench.path(""))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program was built");
        std::thread::sleep(whole.mul_f64(draw.random_range(0.05..0.6)));
        // One that ended already is not killed.
        let _ended = child.kill();
        child.wait().expect("it ends");
    }
    bench.succeed(&fit("killed"));
    let (killed, whole) = (results(&bench, "killed"), results(&bench, "whole"));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&killed), names(&whole));
    for (name, bytes) in whole {
        assert!(killed[&name] == bytes, "{} differs", name.display());
    }
}

#[test]
fn what_cannot_be_fitted() {
    let bench = pets();
    let fit = format!("fit {TINY} --data pets --out run");
    let output = bench.command(&fit).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--max-params, --max-macs or --max-latency"), "{said}");
    assert!(!output.stdout.is_empty(), "the sizes to choose from");
    bench.check(
        &format!("{fit} --max-params 1K"),
        &["--max-params cannot be met: the smallest model needs "],
    );
    bench.check(&format!("{fit} --max-params 50K --lr -1"), &["learning_rate: found -"]);
    bench.labelled_photos("few", 5);
    let few = format!("fit {TINY} --data few --max-params 50K --out run");
    bench.check(&few, &["number of images: found 10", "at least 32"]);
}
