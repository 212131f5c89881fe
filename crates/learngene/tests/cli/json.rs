//! Fields that scripts rely on.

use serde_json::{Value, json};

use crate::workbench::{TINY, Workbench};

/// Lengths of the lists in a list.
fn lengths(lists: &Value) -> Vec<usize> {
    let lists = lists.as_array().expect("a list");
    lists.iter().map(|list| list.as_array().expect("a list").len()).collect()
}

fn is_hash(value: &Value) -> bool {
    let text = value.as_str().expect("a text");
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Each command that writes one file names it with its size and with what it counted.
#[test]
fn files_that_are_written() {
    let bench = Workbench::new();
    bench.photos("photos", 5);
    for (args, file, counts) in [
        (
            format!("probe {TINY} --images photos"),
            "distances.json",
            &[("layers", 3), ("heads", 9), ("images", 5), ("skipped_rows", 0)][..],
        ),
        (
            "cluster --distances distances.json --eps 40".into(),
            "clusters.json",
            &[("heads", 9), ("clusters", 3)],
        ),
        (
            format!("condense {TINY} --distances distances.json --clusters clusters.json"),
            "x.learngene",
            &[("heads", 9), ("kept_heads", 3), ("ancestor_parameters", 95_383)],
        ),
        (
            format!("export {TINY} --dtype f16"),
            "half.safetensors",
            &[("parameters", 95_383), ("image_size", 32)],
        ),
    ] {
        let said = bench.succeed_json(&format!("{args} --out {file} --json"));
        assert_eq!((&said["file"], &said["bytes"]), (&file.into(), &bench.read(file).len().into()));
        for (field, want) in counts {
            assert_eq!(said[*field], *want, "{args}, {field}");
        }
    }
}

#[test]
fn distances() {
    let bench = Workbench::new();
    bench.photos("photos", 5);
    for convention in ["renormalized", "published"] {
        bench.succeed(&format!(
            "probe {TINY} --images photos --convention {convention} --out distances.json"
        ));
        let distances = bench.json("distances.json");
        assert_eq!(lengths(&distances["mean_attention_distance"]), [3, 3, 3]);
        assert_eq!(lengths(&distances["std"]), [3, 3, 3]);
        // No two patches of a 32 x 32 image are farther apart than its diagonal.
        let distance = distances["mean_attention_distance"][1][2].as_f64().expect("a number");
        assert!((1.0..45.3).contains(&distance), "{distance}");
        assert!(distances["std"][1][2].as_f64().expect("a number") > 0.0);
        assert_eq!(distances["images"], 5);
        assert_eq!(distances["convention"], convention);
        assert_eq!(distances["preprocessing"]["image_size"], 32);
        assert!(is_hash(&distances["ancestor_sha256"]) && is_hash(&distances["images_sha256"]));
    }
}

#[test]
fn one_image_has_no_spread() {
    let bench = Workbench::new();
    bench.photos("photos", 1);
    bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    let distances = bench.json("distances.json");
    assert_eq!(distances["images"], 1);
    assert!(distances["std"][0][0].is_null());
}

#[test]
fn clusters() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    let mut distances = bench.json("distances.json");
    distances["mean_attention_distance"] = json!([[9, 1, 2], [5, 5, 5.5], [1, 2, 30]]);
    bench.write("distances.json", distances.to_string());
    bench.succeed("cluster --distances distances.json --eps 1.5 --out clusters.json");
    let clusters = bench.json("clusters.json");
    for (layer, field, want) in [
        (0, "labels", json!([0, 1, 1])),
        (0, "sizes", json!([2, 1])),
        // In order of priority: the largest cluster first.
        (0, "representatives", json!([1, 0])),
        (1, "labels", json!([0, 0, 0])),
        (2, "sizes", json!([2, 1])),
        (2, "representatives", json!([0, 2])),
    ] {
        assert_eq!(clusters["heads"]["layers"][layer][field], want, "layer {layer}, {field}");
    }
    let groups = clusters["ffn"]["groups"].as_array().expect("a list");
    assert_eq!(groups.len(), 3);
}

#[test]
fn inspect() {
    let bench = Workbench::with_learngene();
    let manifest = bench.succeed_json("inspect tiny.learngene --json");
    assert_eq!(manifest["version"], 5);
    assert_eq!(manifest["ancestor"]["shape"]["family"], "vit");
    assert_eq!(manifest["ancestor"]["shape"]["num_heads"], serde_json::json!([3, 3, 3]));
    assert_eq!(manifest["ancestor"]["parameters"], 95_383);
    assert!(is_hash(&manifest["ancestor"]["sha256"]));
    assert_eq!(manifest["distances"]["images"], 6);
    assert_eq!(manifest["distances"]["convention"], "renormalized");
    assert_eq!(lengths(&manifest["distances"]["mean_attention_distance"]), [3, 3, 3]);
    let eps = serde_json::json!([0.2, 0.2, 0.2]);
    assert_eq!(manifest["clusters"]["heads"]["algorithm"]["eps"], eps);
    let layers = manifest["clusters"]["heads"]["layers"].as_array().expect("a list");
    assert_eq!(layers.len(), 3);
    for layer in layers {
        let count = |field: &str| layer[field].as_array().expect("a list").len();
        assert_eq!(count("labels"), 3);
        assert_eq!(count("sizes"), count("representatives"));
    }
    assert!(manifest["parameters"]["stored"].as_u64().expect("a number") <= 95_383);
}

#[test]
fn expand_prints_what_it_keeps_beside_the_checkpoint() {
    let bench = Workbench::with_learngene();
    let made = bench.succeed_json(
        "expand tiny.learngene --depth 4 --heads x2 --num-classes 10 --out d.safetensors \
         --json",
    );
    assert_eq!(made, bench.json("d.json"));
    assert_eq!(made["method"], "cluster-learngene");
    assert_eq!(made["shape"]["num_heads"], serde_json::json!([6, 6, 6, 6]));
    assert_eq!(made["shape"]["num_classes"], 10);
    assert_eq!(made["layers"], serde_json::json!([0, 1, 2, 2]));
    assert_eq!(lengths(&made["slots"]), [6, 6, 6, 6]);
    let number = |field: &str| made[field].as_u64().expect("a whole number");
    assert!(number("inherited_parameters") < number("parameters"));
    assert!(number("macs") > 0);
    assert!(is_hash(&made["learngene_sha256"]));
}

#[test]
fn train_and_its_metrics() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 3);
    let run = bench.succeed_json(&format!(
        "train {TINY} --data pets --epochs 2 --batch-size 3 --out run --json"
    ));
    assert_eq!(run["recipe"]["epochs"], 2);
    for (field, want) in [("train_images", 6), ("test_images", 6), ("classes", 2)] {
        assert_eq!(run[field], want, "{field}");
    }
    let text = String::from_utf8(bench.read("run/metrics.jsonl")).expect("metrics are text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
    assert_eq!(run["metrics"], Value::from(lines.clone()));
    assert_eq!(lines.len(), 2);
    for (line, (epoch, step)) in lines.iter().zip([(1.0, 2), (2.0, 4)]) {
        assert_eq!((&line["epoch"], &line["step"]), (&epoch.into(), &step.into()));
        for field in ["learning_rate", "train_loss", "top1", "top5", "loss"] {
            assert!(line[field].as_f64().is_some_and(|number| number >= 0.0), "{field}: {line}");
        }
    }
}

#[test]
fn eval() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 3);
    bench.succeed(&format!("train {TINY} --data pets --epochs 1 --batch-size 3 --out run"));
    let evaluation = bench.succeed_json("eval run/last.safetensors --data pets --json");
    assert_eq!(evaluation["images"], 6);
    // Two classes, so each is among the five most likely.
    assert_eq!(evaluation["top5"], 100.0);
    // What the last evaluation of the run measured, by the same model on the same images.
    let metrics = String::from_utf8(bench.read("run/metrics.jsonl")).expect("metrics are text");
    let line = metrics.lines().last().expect("there is one evaluation");
    let last: Value = serde_json::from_str(line).expect("every line is JSON");
    for field in ["top1", "top5", "loss", "images"] {
        assert_eq!(evaluation[field], last[field], "{field}");
    }
}

#[test]
fn devices() {
    let listing = Workbench::new().succeed_json("list devices --json");
    let flex = &listing["devices"][0];
    assert_eq!(flex["device"], "flex");
    assert!(flex["description"].is_string());
    assert!(flex["memory"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{flex}");
    assert!(flex["dtypes"].as_array().is_some_and(|dtypes| dtypes.contains(&json!("f32"))));
    // Nobody has them all.
    let missing = listing["missing"].as_array().expect("a list");
    assert!(missing.iter().all(|missing| missing["needs"].is_string()) && !missing.is_empty());
}

#[test]
fn datasets() {
    let datasets = Workbench::new().succeed_json("list datasets --json");
    let names: Vec<&Value> =
        datasets.as_array().expect("a list").iter().map(|dataset| &dataset["name"]).collect();
    assert_eq!(names.len(), 12);
    assert!(
        ["cifar10", "imagenet", "inat2019", "mnist"].iter().all(|set| names.contains(&&json!(set)))
    );
    let cifar10 = &datasets[0];
    assert_eq!(
        [&cifar10["classes"], &cifar10["train"], &cifar10["test"], &cifar10["is_in_cache"]],
        [&json!(10), &json!(50_000), &json!(10_000), &json!(false)]
    );
    assert!(["title", "source", "licence", "layout"].iter().all(|key| cifar10[key].is_string()));
    let archive =
        json!({ "file": "cifar-10-binary.tar.gz", "md5": "c32a1d4ab5d03f1284b67883e8d87530" });
    assert_eq!(cifar10["checksums"][0], archive);
}
