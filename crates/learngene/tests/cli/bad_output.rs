//! Outputs that cannot be written. Nothing is left where they were to be.

use std::process::Command;

use crate::{
    tensors::Tensors,
    workbench::{TINY, Workbench, check_message},
};

/// A workbench with all that the commands below read.
fn bench() -> Workbench {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    bench.write("x.safetensors", Tensors::filled("input", &[1, 3, 32, 32], 0.5).to_bytes());
    bench.write("report.json", include_str!("../../src/report/fixture.json"));
    bench
}

/// Every command that writes one file, `--out` left open.
fn writers() -> [String; 7] {
    [
        format!("probe {TINY} --images photos"),
        "cluster --distances distances.json".into(),
        format!("condense {TINY} --distances distances.json"),
        "expand tiny.learngene".into(),
        format!("convert {TINY}"),
        format!("forward {TINY} --input x.safetensors --attention"),
        "report report.json".into(),
    ]
}

fn train() -> String {
    format!("train {TINY} --data pets --epochs 1 --batch-size 2")
}

#[test]
fn a_folder_that_is_not_there() {
    let bench = bench();
    for writer in writers() {
        let parts = ["no/folder/out", "No such file or directory"];
        bench.check(&format!("{writer} --out no/folder/out"), 1, &parts);
    }
}

#[test]
fn a_folder_in_the_place_of_the_file() {
    let bench = bench();
    for writer in writers() {
        bench.check(&format!("{writer} --out photos"), 1, &["photos", "Is a directory"]);
    }
}

#[test]
fn a_file_in_the_place_of_the_folder() {
    let bench = bench();
    for writer in writers().into_iter().chain([train()]) {
        let args = format!("{writer} --out tiny.learngene/out");
        bench.check(&args, 1, &["tiny.learngene/out", "Not a directory"]);
    }
    bench.check(&format!("{} --out tiny.learngene", train()), 1, &["tiny.learngene"]);
}

#[test]
fn a_disk_that_is_read_only() {
    let bench = bench();
    for writer in writers().into_iter().chain([train()]) {
        check_disk(&bench, "ro", &format!("{writer} --out disk/out"), "Read-only file system", &[]);
    }
}

#[test]
fn a_disk_that_is_full() {
    let bench = bench();
    for writer in writers().into_iter().chain([train()]) {
        let args = format!("{writer} --out disk/out");
        check_disk(&bench, "size=64k", &args, "No space left on device", &["disk/filler"]);
    }
}

/// There is room for the recipe and for metrics, but not for a model.
#[test]
fn a_disk_that_is_full_while_training() {
    let bench = bench();
    let args = format!("{} --out disk/run", train());
    let left =
        ["metrics.jsonl", "recipe.toml", "start.json"].map(|name| format!("disk/run/{name}"));
    let left = left.each_ref().map(String::as_str);
    check_disk(&bench, "size=300k", &args, "No space left on device", &left);
}

#[test]
fn standard_output_that_is_full() {
    let bench = Workbench::with_learngene();
    let program = env!("CARGO_BIN_EXE_learngene");
    let output = Command::new("sh")
        .current_dir(bench.path(""))
        .args(["-c", r#""$0" inspect tiny.learngene > /dev/full"#, program])
        .output()
        .expect("every Linux has a shell");
    let parts = ["standard output", "No space left on device"];
    check_message("inspect tiny.learngene", &output, 1, &parts);
}

/// Runs the program where the folder `disk` is a small disk of its own, and checks that it fails
/// with this reason and that just these files are left on it.
///
/// The disk exists in a mount namespace that ends with the program. Where the system forbids such
/// namespaces the check cannot be made, and says so.
fn check_disk(bench: &Workbench, kind: &str, args: &str, reason: &str, left: &[&str]) {
    // A disk of 64 KiB is filled; larger ones are for what happens on the way.
    let script = r#"
        mount -t tmpfs -o "$1" tmpfs disk || exit 99
        if [ "$1" = size=64k ]; then cat /dev/zero > disk/filler 2> filling; fi
        shift
        "$@"
        code=$?
        find disk -type f | sort > left
        exit $code
    "#;
    std::fs::create_dir_all(bench.path("disk")).expect("the workbench is writable");
    let output = Command::new("unshare")
        .current_dir(bench.path(""))
        .args(namespace())
        .args(["sh", "-c", script, "sh", kind, env!("CARGO_BIN_EXE_learngene")])
        .args(args.split_whitespace())
        .output();
    let output = match output {
        Ok(output) if output.status.code() != Some(99) && bench.path("left").exists() => output,
        other => {
            eprintln!("skipped: this system lets no test mount a disk of its own ({other:?})");
            return;
        }
    };
    check_message(args, &output, 1, &["disk/", reason]);
    let found = String::from_utf8(bench.read("left")).expect("names are text");
    assert_eq!(found.lines().collect::<Vec<_>>(), left, "learngene {args}");
    std::fs::remove_file(bench.path("left")).expect("the workbench is writable");
}

/// Options of `unshare`: root needs no user namespace, and others may not mount without one.
fn namespace() -> &'static [&'static str] {
    let root = std::fs::metadata("/proc/self").is_ok_and(|this| {
        use std::os::unix::fs::MetadataExt;
        this.uid() == 0
    });
    if root { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] }
}
