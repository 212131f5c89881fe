//! Descendants that cannot exist.

use crate::workbench::{ANCESTOR, TINY, Workbench};

/// Every method refuses it, by its place.
#[test]
fn shapes_that_no_model_can_have() {
    let bench = Workbench::with_learngene();
    for (options, message) in [
        ("--depth 0", "depth: found 0, expected at least 1"),
        ("--depth 1000000", "depth: found 1000000, expected at most 1024"),
        ("--heads 3,0,3", "layer 1: number of heads: found 0, expected at least 1"),
        ("--heads 3,3", "heads: found 2 "),
        ("--heads x1/2", "layer 0: number of heads: found 3/2 "),
        ("--depth 2 --layers 0,1,2", "layers: found 3 "),
        ("--depth 2 --layers 0,7", "expected a layer of the ancestor, 0 to 2"),
        ("--image-size 30", "image_size: found 30, expected a multiple of the patch size, 8"),
        ("--num-classes 99999999999", "num_classes: found 99999999999, expected at most 1048576"),
    ] {
        for method in [
            "cluster-learngene",
            "from-scratch",
            "pretraining-finetuning --num-heads 3 --checkpoint tiny.safetensors",
        ] {
            let args =
                format!("expand tiny.learngene {options} --method {method} --out d.safetensors");
            bench.check(&args, &[message]);
        }
    }
}

#[test]
fn different_heads_in_hugging_face_names() {
    let bench = Workbench::with_learngene();
    let args = "expand tiny.learngene --heads 3,1,3 --format hf --out d.safetensors";
    let way = "python/learngene_timm.py";
    bench.check(args, &["found 3 heads in layer 0 and 1 in layer 1", way]);
}

#[test]
fn a_config_of_another_model_is_not_replaced() {
    let bench = Workbench::with_learngene();
    let expand = "expand tiny.learngene --format hf --out hf/model.safetensors --depth";
    bench.succeed(&format!("{expand} 2"));
    bench.succeed(&format!("{expand} 1"));
    assert_eq!(bench.json("hf/config.json")["num_hidden_layers"], 1, "replaced with its model");
    let parts = ["hf/config.json: found the configuration of another", "choose an empty folder"];
    let args = format!("export {TINY} --format hf --out hf/other.safetensors");
    bench.check(&args, &parts);
    // Another checkpoint lies there now, and the configuration may be its.
    bench.lay("hf/other.safetensors", &bench.path("tiny.safetensors"));
    bench.check(&format!("{expand} 3"), &parts);
    bench.succeed(&format!("{expand} 1"));
}

/// A shape that only the header and the description have leaves the folder's other checkpoints as
/// readable as they were.
#[test]
fn an_unusual_descendant_leaves_its_neighbours_alone() {
    let bench = Workbench::with_learngene();
    bench.succeed("expand tiny.learngene --heads 2 --out d.safetensors");
    assert!(!bench.path("config.json").exists());
    bench.succeed(&format!("export {TINY} --out c.safetensors"));
    bench.succeed("expand tiny.learngene --heads 2 --out new/d.safetensors");
    assert_eq!(bench.json("new/config.json")["num_heads"], serde_json::json!([2, 2, 2]));
    bench.succeed("expand tiny.learngene --heads 4 --out new/other.safetensors");
    assert_eq!(bench.json("new/config.json")["num_heads"], serde_json::json!([2, 2, 2]));
    // What Hugging Face's folder says is not about a checkpoint of ours there.
    bench.succeed("expand tiny.learngene --format hf --out hf/model.safetensors");
    bench.succeed("expand tiny.learngene --depth 2 --out hf/d.safetensors");
    bench.succeed("export hf/d.safetensors --out e.safetensors");
}

/// A config.json goes with the model that it tells of, be it of our kind or Hugging Face's; one of
/// timm's or of another checkpoint stays.
#[test]
fn a_config_of_the_replaced_model_goes() {
    let bench = Workbench::with_learngene();
    let timm = br#"{"architecture": "vit_tiny_patch16_224"}"#;
    for unusual in ["--heads 2", "--format hf"] {
        bench.succeed(&format!("expand tiny.learngene {unusual} --out new/model.safetensors"));
        assert!(bench.path("new/config.json").exists(), "{unusual}");
        bench.succeed("expand tiny.learngene --depth 2 --out new/model.safetensors");
        assert!(!bench.path("new/config.json").exists(), "{unusual}");
    }
    bench.write("new/config.json", timm);
    bench.succeed("expand tiny.learngene --depth 1 --out new/model.safetensors");
    assert_eq!(bench.read("new/config.json"), timm);
    bench.succeed("expand tiny.learngene --heads 2 --out two/model.safetensors");
    bench.lay("two/other.safetensors", &bench.path("tiny.safetensors"));
    bench.succeed("expand tiny.learngene --out two/model.safetensors");
    assert_eq!(bench.json("two/config.json")["num_heads"], serde_json::json!([2, 2, 2]));
}

#[test]
fn who_reads_an_unusual_shape_is_said() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    let check = |args: &str, parts: &[&str]| {
        let assert = bench.command(args).assert().success();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert_eq!(said.contains("fits neither"), !parts.is_empty(), "{args}\n{said}");
        for part in parts {
            assert!(said.contains(part), "{args}\n{said}\nlacks `{part}`");
        }
    };
    let reason = "(3 heads in layer 0 and 1 in layer 1): `learngene` and python/learngene_timm.py";
    let alone = "new/d.safetensors fits neither timm nor transformers";
    check("expand tiny.learngene --heads 3,1,3 --out new/d.safetensors", &[alone, reason]);
    let header = "only its header says the shape";
    check("expand tiny.learngene --heads 3,1,3 --out d.safetensors", &[reason, header]);
    check("export d.safetensors --out e.safetensors", &[reason, header]);
    let train = "--data pets --epochs 1 --batch-size 2 --out";
    let run = "run/last.safetensors fits neither";
    check(&format!("train d.safetensors {train} run"), &[run, reason]);
    check("expand tiny.learngene --out usual.safetensors", &[]);
    check(&format!("train usual.safetensors {train} usual"), &[]);
}

#[test]
fn flags_that_a_method_does_not_look_at() {
    let bench = Workbench::with_learngene();
    let refused = |method: &str, flags: &str, flag: &str| {
        let args = format!("expand tiny.learngene --method {method} {flags} --out d.safetensors");
        bench.check(&args, &[&format!("--method {method} does not look at {flag}")]);
    };
    refused("cluster-learngene", ANCESTOR, "--checkpoint");
    refused("pretraining-finetuning", &format!("{ANCESTOR} --order origin"), "--order");
    refused("from-scratch", "--projection origin", "--projection");
    refused("from-scratch", "--classifier inherit", "--classifier");
    refused("from-scratch", "--new-layers identity", "--new-layers");
    refused("from-scratch", ANCESTOR, "--checkpoint");
    refused("from-scratch", ANCESTOR, "--checkpoint: the learngene says the shape already");
    refused("from-scratch", "--order origin", "--order");
    refused("from-scratch", "--inherited-layers 2", "--inherited-layers");
    let with_ancestor = [
        ("pretraining-finetuning", "--inherited-layers 2"),
        ("pretraining-finetuning", "--shared-layers 2"),
        ("heuristic-learngene", "--layers even"),
        ("heuristic-learngene", "--new-layers identity"),
        ("weight-transformation", "--projection centroid"),
        ("weight-transformation", "--new-layers identity"),
        ("weight-selection", "--order origin"),
        ("weight-selection", "--new-layers identity"),
        ("weight-selection", "--shared-layers 2"),
    ];
    for (method, flags) in with_ancestor {
        let flag = flags.split(' ').next().expect("it begins with its name");
        refused(method, &format!("{ANCESTOR} {flags}"), flag);
    }
}

/// Whether a flag has an effect that depends on shapes is warned of, not refused.
#[test]
fn flags_without_effect_are_warned_of() {
    let bench = Workbench::with_learngene();
    let check = |flags: &str, warning: Option<&str>| {
        let args = format!("expand tiny.learngene {flags} --out d.safetensors");
        let assert = bench.command(&args).assert().success();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert_eq!(said.contains("has no effect"), warning.is_some(), "{args}\n{said}");
        assert!(said.contains(warning.unwrap_or_default()), "{args}\n{said}");
    };
    check("--method from-scratch --layers even", Some("--layers has no effect: no layer is inh"));
    check("--method from-scratch --layers 0,2", None);
    check("--new-layers identity", Some("--new-layers has no effect: no layer repeats another"));
    check("--new-layers identity --depth 4", None);
}

/// Heads at random are averaged like any others.
#[test]
fn a_mean_of_random_heads_is_another_learngene() {
    let bench = Workbench::new();
    bench.photos("photos", 3);
    let condense = format!("condense {TINY} --images photos --kmeans 2 --random-heads 1");
    bench.succeed(&format!("{condense} --out nearest.learngene"));
    bench.succeed(&format!("{condense} --representative mean --out mean.learngene"));
    for name in ["nearest", "mean"] {
        bench.succeed(&format!("expand {name}.learngene --seed 1 --out {name}.safetensors"));
    }
    assert!(bench.read("nearest.safetensors") != bench.read("mean.safetensors"));
}

#[test]
fn a_cluster_learngene_without_its_learngene() {
    let args = format!("expand {ANCESTOR} --out d.safetensors");
    let parts = ["--method cluster-learngene", "needs a learngene", "`learngene condense`"];
    Workbench::new().check(&args, &parts);
}

#[test]
fn layers_that_a_method_cannot_have() {
    let bench = Workbench::new();
    let check = |flags: &str, parts: &[&str]| {
        bench.check(&format!("expand {ANCESTOR} {flags} --out d.safetensors"), parts);
    };
    let heuristic = "--method heuristic-learngene --inherited-layers 4";
    check(heuristic, &["inherited layers: found 4, expected 1 to 3"]);
    let shared = "--method weight-transformation --shared-layers 1";
    check(shared, &["layers in a row that share weights: found 1, expected at least 2"]);
    let parts = ["layer 0: token width: found 96, expected at most 48"];
    check("--method weight-selection --embed-dim 96", &parts);
}

#[test]
fn the_whole_of_another_ancestor() {
    let bench = Workbench::with_learngene();
    bench.succeed("expand tiny.learngene --depth 2 --out other.safetensors");
    let args = "expand tiny.learngene --method pretraining-finetuning --checkpoint \
                other.safetensors --out d.safetensors";
    let parts = ["other.safetensors is of another shape than the ancestor of tiny.learngene"];
    bench.check(args, &parts);
}

/// The descendant would take the place of the learngene, its description that of the descendant.
#[test]
fn outputs_that_are_inputs_or_each_other() {
    let bench = Workbench::with_learngene();
    bench.lay("own", &bench.path("tiny.learngene"));
    for out in ["own", "./photos/../own"] {
        let args = format!("expand own --out {out}");
        bench.check(&args, &["own is read", "choose another --out"]);
    }
    let args = "expand tiny.learngene --format hf --out config.safetensors";
    bench.check(args, &["config.json", "which has another use", "choose another --out"]);
    let args = format!("export {TINY} --dtype f16 --out tiny.safetensors");
    bench.check(&args, &["tiny.safetensors", "is read", "choose another --out"]);
}
