//! Parameters of clustering that are out of range, and files of distances that hold none.

use crate::workbench::{ANCESTOR, TINY, Workbench};

/// A workbench with `distances.json` of the golden ViT.
fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    bench
}

#[test]
fn numbers_that_cannot_cluster() {
    let bench = bench();
    for (option, message) in [
        ("--eps -1.5", "eps: found -1.5, expected a positive, finite distance in pixels"),
        ("--eps nan", "eps: found NaN, expected a positive"),
        ("--eps 1 --noise drop", "--noise has no effect with --min-points 1"),
        ("--eps 0.01 --min-points 3 --noise drop", "layer 0"),
        ("--kmeans 1,2,1,1", "k: found 4 entries, expected 1, or one for each of 3 layers"),
        ("--kmeans 4", "k of layer 0: found 4, expected at most its 3 heads"),
        ("--ffn paper --ffn-representative mean", "leave --ffn-representative out"),
    ] {
        let args = format!("cluster --distances distances.json {option} --out clusters.json");
        bench.check(&args, &[message]);
    }
}

/// Probing takes long, so what cannot be clustered is refused before: here no image can be read.
#[test]
fn what_condense_cannot_cluster_is_refused_before_the_probe() {
    let bench = Workbench::new();
    bench.write("photos/0.png", "no picture");
    let check = |flags: &str, part: &str| {
        let args = format!("condense {TINY} --images photos {flags} --out x.learngene");
        bench.check(&args, &[part]);
    };
    check("", "photos");
    check("--eps inf", "eps: found inf");
    check("--eps 1,2", "eps: found 2 entries, expected 1, or one for each of 3 layers");
    check("--noise drop", "--noise has no effect");
    check("--kmeans 2,4,1", "k of layer 1: found 4, expected at most its 3 heads");
    check("--ffn nan", "eps of FFNs: found NaN, expected a finite distance");
    check("--ffn -1", "eps of FFNs: found -1");
    check("--kmeans 2 --ffn auto", "--ffn auto is half of eps, which k-means does not have");
    check("--ffn 1-900", "group of FFNs: found layers [1, 2, 3, ");
    check("--ffn 0-1,1-2", "found layer 1 more than once");
    check("--ffn-norm own", "have no effect where no FFNs are joined");
    check("--refit --ridge nan", "ridge: found NaN");
}

/// Each names the flag, what was found and what was wanted, and is not taken for another flag.
#[test]
fn numbers_below_zero_or_none() {
    let bench = Workbench::new();
    bench.write("photos/0.png", "no picture");
    let condense = format!("condense {TINY} --images photos --refit --out x.learngene");
    let check = |flag: &str, value: &str, wanted: &str| {
        let got = value.split(',').next().expect("it has a first part");
        let parts = [flag, &format!("wanted {wanted}, got `{got}`")];
        bench.check(&format!("{condense} {flag} {value}"), &parts);
    };
    for value in ["-1", "much"] {
        for flag in ["--limit", "--batch-size", "--min-points"] {
            check(flag, value, "a number of at least 1");
        }
        for flag in ["--seed", "--random-heads"] {
            check(flag, value, "a whole number of 0 or more");
        }
        check("--image-size", value, "a number of pixels from 1 to 8192");
    }
    for value in ["-1", "-1,2", "much,2"] {
        check("--kmeans", value, "a number of at least 1");
    }
    let refused = |flags: &str, parts: &[&str]| {
        bench.check(&format!("{condense} {flags}"), parts);
    };
    for flag in ["--eps", "--ridge", "--crop-pct"] {
        refused(&format!("{flag} much"), &[flag, "wanted a number, got `much`"]);
    }
    refused("--ridge -1", &["ridge: found -1"]);
    refused("--crop-pct -1", &["crop_pct", "-1"]);
    refused("--std -1,1,1", &["std", "-1"]);
    refused("--mean -1,x,1", &["--mean", "wanted three numbers", "got `-1,x,1`"]);
    let heads = "probe tiny.safetensors --images photos --out d.json --num-heads -1,3";
    bench.check(heads, &["--num-heads", "wanted a whole number of 0 or more, got `-1`"]);
    refused("--ffn half", &["--ffn", "half", "expected off, paper"]);
    for flag in ["--min-points", "--kmeans"] {
        let parts = [flag, "wanted a number of at least 1, got `0`"];
        bench.check(&format!("cluster --distances d.json {flag} 0 --out c.json"), &parts);
    }
}

#[test]
fn distances_of_another_checkpoint() {
    let bench = bench();
    bench.succeed(&format!("export {TINY} --dtype f16 --out other.safetensors"));
    let args = "condense other.safetensors --distances distances.json --out x";
    let parts = [
        "distances.json was measured on another checkpoint than other.safetensors (both have 3 \
         layers of 3 heads, images of 32 px, but other weights)",
        "its ancestor has the hash",
    ];
    bench.check(args, &parts);
    let expand = "expand --method pretraining-finetuning --depth 2 --out other.safetensors";
    bench.succeed(&format!("{expand} {ANCESTOR}"));
    let parts = ["(that one had 3 layers of 3 heads, images of 32 px, this one has 2 layers of 3"];
    bench.check(args, &parts);
    // Whatever is wrong with the file, it is another one.
    bench.write("other.safetensors", "not even a checkpoint");
    bench.check(args, &["its ancestor has the hash"]);
}

#[test]
fn other_files_in_place_of_distances_and_clusters() {
    let bench = bench();
    bench.succeed("cluster --distances distances.json --out clusters.json");
    bench.write("old.json", r#"{"mean_attention_distance": [[9, 1, 2]]}"#);
    let condense = format!("condense {TINY} --out x.learngene --distances");
    let expected = "expected distances from `learngene probe`";
    for file in ["clusters.json", "old.json", "tiny.safetensors"] {
        let args = format!("cluster --distances {file} --out x.json");
        bench.check(&args, &[file, expected]);
        bench.check(&format!("{condense} {file}"), &[file, expected]);
    }
    let args = "cluster --distances none.json --out x.json";
    bench.check(args, &["cannot read none.json", "No such file"]);
    let args = format!("{condense} distances.json --clusters distances.json");
    bench.check(&args, &["distances.json", "expected clusters from `learngene cluster`"]);
}
