//! Outputs that cannot be written. Nothing is left where they were to be.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

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
    bench.write("report.json", include_str!("../../../learngene-report/tests/fixture.json"));
    bench
}

/// Every command that writes one file, `--out` left open.
fn writers() -> [String; 7] {
    [
        format!("probe {TINY} --images photos"),
        "cluster --distances distances.json".into(),
        format!("condense {TINY} --distances distances.json"),
        "expand tiny.learngene".into(),
        format!("export {TINY}"),
        format!("forward {TINY} --input x.safetensors --attention"),
        "report report.json".into(),
    ]
}

fn train() -> String {
    format!("train {TINY} --data pets --epochs 2 --batch-size 2")
}

#[test]
fn a_folder_that_is_not_there_is_made() {
    let bench = bench();
    for (index, writer) in writers().into_iter().enumerate() {
        bench.succeed(&format!("{writer} --out new/{index}/out"));
        assert!(bench.path(&format!("new/{index}/out")).is_file(), "{writer}");
    }
}

/// Not one image can be decoded, but that is found out only when the work begins.
#[test]
fn outputs_are_checked_before_the_work() {
    let bench = bench();
    bench.write("bad/train/cat/0.png", "no image");
    bench.write("bad/test/cat/0.png", "no image");
    for work in ["probe --images bad", "condense --images bad", "train --data bad"] {
        let parts = ["cannot make files in tiny.learngene", "Not a directory"];
        bench.check(&format!("{work} {TINY} --out tiny.learngene/out"), &parts);
    }
}

/// Whatever lies in the place of a result is kept where it is no such result: files without an ending,
/// so that their names tell nothing.
#[test]
fn a_file_takes_the_place_of_its_own_kind_alone() {
    let bench = bench();
    bench.lay("picture", &bench.path("photos/0.png"));
    bench.write("text", "of somebody");
    let drawing = "inspect tiny.learngene";
    for writer in writers() {
        bench.succeed(&format!("{writer} --out own"));
        bench.succeed(&format!("{writer} --out own"));
        let lost = "and would be lost: choose another name, or remove it";
        let parts = ["picture is a PNG picture, not a", lost];
        bench.check(&format!("{writer} --out picture"), &parts);
        bench.check(&format!("{writer} --out text"), &["text is something else, not a", lost]);
        bench.check(&format!("{drawing} --svg own"), &["own is a", "not an SVG drawing"]);
        for name in ["own", "own.json"].map(|name| bench.path(name)) {
            if name.exists() {
                fs::remove_file(name).expect("just written");
            }
        }
    }
    bench.succeed(&format!("{drawing} --svg own"));
    bench.succeed(&format!("{drawing} --svg own"));
    let expand = "expand tiny.learngene --out distances.safetensors";
    let parts = ["distances.json is a file of distances, not the description of a descendant"];
    bench.check(expand, &parts);
    bench.lay("trained", &bench.path("tiny.safetensors"));
    let parts = ["trained is a checkpoint, not a learngene"];
    bench.check(&format!("condense {TINY} --images photos --out trained"), &parts);
    bench.lay("kept", &bench.path("tiny.learngene"));
    let parts = ["kept is a learngene, not a checkpoint"];
    bench.check(&format!("export {TINY} --out kept"), &parts);
}

#[test]
fn a_folder_in_the_place_of_the_file() {
    let bench = bench();
    for writer in writers() {
        bench.check(&format!("{writer} --out photos"), &["cannot write photos: it is a folder"]);
    }
}

#[test]
fn a_file_in_the_place_of_the_folder() {
    let bench = bench();
    for writer in writers().into_iter().chain([train()]) {
        let args = format!("{writer} --out tiny.learngene/out");
        bench.check(&args, &["tiny.learngene/out", "Not a directory"]);
    }
    bench.check(&format!("{} --out tiny.learngene", train()), &["tiny.learngene"]);
}

#[test]
fn a_disk_that_is_read_only() {
    let bench = bench();
    for writer in writers().into_iter().chain([train()]) {
        let args = format!("{writer} --out disk/out");
        let left = fail_on_disk(&bench, "ro", &args, "Read-only file system");
        assert!(left.is_none_or(|left| left.is_empty()), "{args}");
    }
}

#[test]
fn a_disk_that_is_full() {
    let bench = bench();
    for writer in writers().into_iter().chain([train()]) {
        let args = format!("{writer} --out disk/out");
        let left = fail_on_disk(&bench, FULL, &args, FULL_REASON);
        assert!(left.is_none_or(|left| left == ["disk/filler"]), "{args}");
    }
}

/// There is room for the recipe and for metrics, but not for a model.
#[test]
fn a_disk_that_is_full_after_the_first_evaluation() {
    let bench = bench();
    let left = fail_on_disk(&bench, "size=300k", &format!("{} --out disk", train()), FULL_REASON);
    let wanted = [
        "disk/environment.json",
        "disk/events.out.tfevents.0.learngene",
        "disk/identity.json",
        "disk/metrics.jsonl",
        "disk/recipe.toml",
        "disk/summary.csv",
    ];
    assert!(left.is_none_or(|left| left == wanted));
}

/// There is room for the model or two, but not for all that a run needs to be resumed: 386 kB each
/// for the best and the last model, 1.2 MB a checkpoint for resuming.
#[test]
fn a_disk_that_is_full_while_training() {
    let bench = bench();
    for kind in ["size=500k", "size=1000k", "size=2400k"] {
        fail_on_disk(&bench, kind, &format!("{} --out disk", train()), FULL_REASON);
    }
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
    check_message("inspect tiny.learngene", &output, &parts);
}

/// A disk without a free byte; larger ones are for what happens on the way.
const FULL: &str = "size=64k";
const FULL_REASON: &str = "No space left on device";

/// Runs the program where the folder `disk` is a small disk of its own, checks that it fails with
/// this reason, and returns the names of the files that are then on the disk.
///
/// The disk exists in a mount namespace that ends with the program. Where the system forbids such
/// namespaces the check cannot be made, and says so.
fn fail_on_disk(bench: &Workbench, kind: &str, args: &str, reason: &str) -> Option<Vec<String>> {
    let script = r#"
        mount -t tmpfs -o "$1" tmpfs disk || exit 99
        if [ "$1" = "$2" ]; then cat /dev/zero > disk/filler 2> filling; fi
        shift 2
        "$@"
        code=$?
        find disk -type f | sort > left
        exit $code
    "#;
    fs::create_dir_all(bench.path("disk")).expect("the workbench is writable");
    let output = Command::new("unshare")
        .current_dir(bench.path(""))
        .args(namespace())
        .args(["sh", "-c", script, "sh", kind, FULL, env!("CARGO_BIN_EXE_learngene")])
        .args(args.split_whitespace())
        .output();
    let output = match output {
        Ok(output) if bench.path("left").exists() => output,
        other => {
            eprintln!("skipped: this system lets no test mount a disk of its own ({other:?})");
            return None;
        }
    };
    check_message(args, &output, &["disk", reason]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains(".partial"), "{args}\n{said}\nnames a temporary file");
    let left = String::from_utf8(bench.read("left")).expect("names are text");
    fs::remove_file(bench.path("left")).expect("the workbench is writable");
    Some(left.lines().map(ToOwned::to_owned).collect())
}

/// Options of `unshare`: root needs no user namespace, and others may not mount without one.
fn namespace() -> &'static [&'static str] {
    let is_root = fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0);
    if is_root { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] }
}
