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

#[test]
fn min_points_of_zero() {
    cluster("--eps 1 --min-points 0", &["min_points must be at least 1", "got 0"]);
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
fn k_of_zero() {
    cluster("--kmeans 0", &["k of at least 1", "got 0 at position 0"]);
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
    bench.check(args, 1, &["of the distances is", "but that of the checkpoint is"]);
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
