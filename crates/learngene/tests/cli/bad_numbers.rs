//! Parameters of clustering that are out of range, and files of distances that hold none.

use crate::workbench::{TINY, Workbench};

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.write("distances.json", r#"{"mean_attention_distance": [[9, 1, 2], [5, 5, 8]]}"#);
    bench
}

fn cluster(option: &str, parts: &[&str]) {
    let args = format!("cluster --distances distances.json {option} --out clusters.json");
    bench().check(&args, 1, parts);
}

/// `cluster` refuses this file of distances.
fn distances(text: &str, parts: &[&str]) {
    let bench = Workbench::new();
    bench.write("distances.json", text);
    let parts = [&["distances.json is refused"], parts].concat();
    let args = "cluster --distances distances.json --eps 1 --out clusters.json";
    bench.check(args, 1, &parts);
}

const WANTED_EPS: &str = "eps must be a positive, finite distance in pixels";

#[test]
fn eps_below_zero() {
    cluster("--eps -1.5", &[WANTED_EPS, "got -1.5"]);
}

#[test]
fn eps_of_zero() {
    cluster("--eps 0", &[WANTED_EPS, "got 0"]);
}

#[test]
fn eps_that_is_not_a_number() {
    cluster("--eps nan", &[WANTED_EPS, "got NaN"]);
}

#[test]
fn eps_without_end() {
    cluster("--eps inf", &[WANTED_EPS, "got inf"]);
}

#[test]
fn eps_of_condense() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    let args = format!("condense {TINY} --images photos --eps -1 --out x.learngene");
    bench.check(&args, 1, &[WANTED_EPS, "got -1"]);
}

#[test]
fn no_eps_where_the_image_size_is_unknown() {
    cluster("", &["do not say their image size", "--eps"]);
}

/// What cannot be clustered is told before images are probed, which takes long: here none is there.
#[test]
fn what_condense_cannot_cluster_is_told_before_the_probe() {
    let bench = Workbench::new();
    bench.write("photos/0.png", "no picture");
    let check = |flags: &str, parts: &[&str]| {
        let args = format!("condense {TINY} --images photos {flags} --out x.learngene");
        bench.check(&args, 1, parts);
    };
    check("", &["photos"]);
    check("--eps inf", &[WANTED_EPS, "got inf"]);
    check("--eps -1,2", &[WANTED_EPS, "got -1"]);
    check("--eps 1,2", &["have 3 layers, but the list of eps has 2 entries"]);
    check("--noise drop", &["--noise has no effect"]);
    check("--kmeans 1,2", &["have 3 layers, but the list of k has 2 entries"]);
    check("--kmeans 2,4,1", &["layer 1 has 3 heads, too few for k = 4"]);
    check("--ffn-eps nan", &["ffn_eps must be a finite distance of 0 or more", "got NaN"]);
    check("--kmeans 2 --ffn-eps auto", &["k-means has no eps"]);
    check("--ffn-groups 1-900", &["layers [1, 2, 3, ..., 900] cannot", "the model has 3 layers"]);
    check("--ffn-groups 0-1,1-2", &["layer 1 is in more than one group"]);
    check("--ffn-norm own", &["have no effect where no networks are joined"]);
    check("--refit own --ridge nan", &["ridge must be a finite number of 0 or more, got NaN"]);
    check("--refit own --target-heads 0", &["target_heads must be", "got 0"]);
}

/// Each names the flag, what was found and what was wanted, and is not taken for another flag.
#[test]
fn numbers_below_zero_or_none() {
    let bench = Workbench::new();
    bench.write("photos/0.png", "no picture");
    let condense = format!("condense {TINY} --images photos --refit own --out x.learngene");
    let check = |flag: &str, value: &str, wanted: &str| {
        let got = value.split(',').next().expect("it has a first part");
        let parts = [flag, &format!("wanted {wanted}, got `{got}`")];
        bench.check(&format!("{condense} {flag} {value}"), 2, &parts);
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
        check("--target-heads", value, "a whole number of 0 or more");
    }
    let refused = |flags: &str, code: i32, parts: &[&str]| {
        bench.check(&format!("{condense} {flags}"), code, parts);
    };
    for flag in ["--eps", "--ridge", "--crop-pct"] {
        refused(&format!("{flag} much"), 2, &[flag, "wanted a number, got `much`"]);
    }
    refused("--ridge -1", 1, &["ridge must be a finite number of 0 or more, got -1"]);
    refused("--crop-pct -1", 1, &["crop_pct", "-1"]);
    refused("--std -1,1,1", 1, &["std", "-1"]);
    refused("--mean -1,x,1", 2, &["--mean", "wanted three numbers", "got `-1,x,1`"]);
    let heads = "probe --checkpoint tiny.safetensors --images photos --out d.json --num-heads -1,3";
    bench.check(heads, 2, &["--num-heads", "wanted a whole number of 0 or more, got `-1`"]);
    refused("--ffn-groups -1", 2, &["--ffn-groups", "-1", "wanted runs of layers"]);
    for flag in ["--min-points", "--kmeans"] {
        let parts = [flag, "wanted a number of at least 1, got `0`"];
        bench.check(&format!("cluster --distances d.json {flag} 0 --out c.json"), 2, &parts);
    }
}

#[test]
fn a_policy_for_noise_that_cannot_be() {
    cluster("--eps 1 --noise drop", &["--noise has no effect", "--min-points 1"]);
    cluster("--eps 1 --min-points 1 --noise nearest", &["--noise has no effect"]);
}

#[test]
fn only_noise_and_all_of_it_dropped() {
    let option = "--eps 0.5 --min-points 3 --noise drop";
    cluster(option, &["all 3 heads of layer 0 are noise", "eps 0.5", "singleton"]);
}

#[test]
fn k_for_another_number_of_layers() {
    cluster("--kmeans 1,2,1", &["the distances have 2 layers", "3 entries"]);
}

#[test]
fn k_above_the_number_of_distances() {
    cluster("--kmeans 3", &["layer 1 has 3 heads of 2 different distances", "k = 3"]);
}

#[test]
fn distances_that_are_not_there() {
    let args = "cluster --distances none.json --eps 1 --out clusters.json";
    bench().check(args, 1, &["cannot read none.json", "No such file"]);
}

#[test]
fn distances_that_are_no_json() {
    distances("", &["not a valid distances file", "EOF"]);
    distances("{\"mean_attention_distance\": [[1,", &["not a valid distances file", "line 1"]);
}

#[test]
fn distances_with_an_unknown_field() {
    distances(r#"{"mean_attention_distance": [[1]], "unit": "m"}"#, &["unknown field `unit`"]);
}

#[test]
fn distances_below_zero() {
    distances(r#"{"mean_attention_distance": [[1], [2, -3]]}"#, &["layer 1, head 1", "got -3"]);
}

#[test]
fn distances_of_no_head() {
    distances(r#"{"mean_attention_distance": []}"#, &["at least one layer, got none"]);
    distances(r#"{"mean_attention_distance": [[1], []]}"#, &["layer 1", "at least one head"]);
}

#[test]
fn distances_that_do_not_say_how_they_were_measured() {
    let bench = Workbench::new();
    bench.write("distances.json", r#"{"mean_attention_distance": [[1,2,3],[1,2,3],[1,2,3]]}"#);
    let args = format!("condense {TINY} --distances distances.json --eps 1 --out x.learngene");
    bench.check(&args, 1, &["the distances do not say their", "made by the probe"]);
}

#[test]
fn distances_of_another_checkpoint() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    bench.succeed(&format!("convert {TINY} --dtype f16 --out other.safetensors"));
    let args = "condense --checkpoint other.safetensors --distances distances.json --out x";
    let parts = [
        "distances.json was measured on another checkpoint than other.safetensors",
        "of the distances is",
        "but that of the checkpoint is",
    ];
    bench.check(args, 1, &parts);
    bench.succeed(&format!(
        "expand --method pretraining-finetuning {TINY} --depth 2 --out other.safetensors"
    ));
    let parts = ["(that one had 3 layers of 3 heads, patches of 8 px, this one has 2 layers of 3"];
    bench.check(args, 1, &parts);
}

#[test]
fn distances_and_clusters_in_place_of_each_other() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    bench.succeed(&format!("probe {TINY} --images photos --out d.json"));
    bench.succeed("cluster --distances d.json --out c.json");
    let parts = ["c.json holds clusters that `cluster` found, where the distances are wanted"];
    bench.check("cluster --distances c.json --out x.json", 1, &parts);
    let condense = format!("condense {TINY} --out x.learngene --distances");
    bench.check(&format!("{condense} c.json"), 1, &parts);
    let auto = format!("expand --method auto-learngene {TINY} --out x.safetensors");
    bench.check(&format!("{auto} --distances c.json"), 1, &parts);
    let parts = ["d.json holds distances that `probe` measured, where the clusters are wanted"];
    bench.check(&format!("{condense} d.json --clusters d.json"), 1, &parts);
}

/// Their image size, which the positions would be interpolated to, is not to blame.
#[test]
fn distances_of_a_checkpoint_with_other_patches() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    bench.succeed(&format!("probe {TINY} --images photos --image-size 48 --out distances.json"));
    bench.write("other.safetensors", "not even a checkpoint");
    let args = "condense --checkpoint other.safetensors --distances distances.json --out x";
    bench.check(args, 1, &["ancestor hash of the distances is", "but that of the checkpoint is"]);
}

#[test]
fn distances_of_another_shape() {
    let args = format!("condense {TINY} --distances distances.json --eps 1 --out x.learngene");
    let parts = ["heads per layer of the distances is [3, 3]", "checkpoint is [3, 3, 3]"];
    bench().check(&args, 1, &parts);
}
