//! The whole path, step by step, on a tiny model.

use predicates::prelude::*;

use crate::{
    tensors::Tensors,
    workbench::{TINY, Workbench, golden},
};

/// Probe, cluster, condense, expand, train, eval: each step reads what the one before left.
#[test]
fn from_a_checkpoint_to_a_trained_descendant() {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    bench.labelled_photos("pets", 5);

    let said = bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    assert_eq!(said, "distances.json: 9 heads in 3 layers, measured on 6 images\n");
    let said = bench.succeed("cluster --distances distances.json --eps 0.2 --out clusters.json");
    assert!(
        predicate::str::is_match("^clusters.json: 9 heads in [3-9] clusters\n$")
            .expect("a regular expression")
            .eval(&said)
    );
    bench.succeed(&format!(
        "condense {TINY} --distances distances.json --eps 0.2 --out tiny.learngene"
    ));
    bench.succeed("expand tiny.learngene --depth 6 --num-classes 2 --out descendant.safetensors");
    let said = bench
        .succeed("train descendant.safetensors --data pets --epochs 1 --batch-size 8 --out run");
    assert!(said.starts_with("top-1 ") && said.ends_with("after 1 epoch\n"), "{said}");
    let said = bench.succeed("eval run/best.safetensors --data pets");
    assert!(said.starts_with("top-1 ") && said.ends_with("on 10 images\n"), "{said}");

    let left: Vec<_> = bench.files().into_keys().collect();
    for name in ["recipe.toml", "metrics.jsonl", "last.safetensors", "best.safetensors"] {
        assert!(left.contains(&bench.path("run").join(name)), "{name} is not in {left:?}");
    }
    assert!(!bench.path("run/checkpoints").exists(), "a whole run leaves nothing to resume");
}

#[test]
fn condensing_at_once_and_step_by_step_is_the_same() {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    for size in ["32", "64"] {
        let images = format!("--images photos --image-size {size}");
        let cluster = "--distances distances.json --eps 0.2";
        bench.succeed(&format!("probe {TINY} {images} --out distances.json"));
        bench.succeed(&format!("cluster {cluster} --out clusters.json"));
        bench.succeed(&format!("condense {TINY} {images} --eps 0.2 --out a.learngene"));
        bench.succeed(&format!("condense {TINY} {cluster} --out b.learngene"));
        bench.succeed(&format!(
            "condense {TINY} --distances distances.json --clusters clusters.json --out c.learngene"
        ));
        assert!(bench.read("a.learngene") == bench.read("b.learngene"), "{size}");
        assert!(bench.read("a.learngene") == bench.read("c.learngene"), "{size}");
    }
}

/// The default radius is in proportion to the images that were probed, not to the checkpoint's.
#[test]
fn condensing_from_distances_takes_the_radius_of_the_probed_images() {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    bench.succeed(&format!("probe {TINY} --images photos --image-size 64 --out distances.json"));
    bench.succeed(&format!("condense {TINY} --distances distances.json --out a.learngene"));
    let manifest = bench.succeed_json("inspect a.learngene --json");
    let eps = 10.0 * 64.0 / 224.0;
    assert_eq!(
        manifest["clusters"]["heads"]["algorithm"]["eps"],
        serde_json::json!([eps, eps, eps])
    );
}

#[test]
fn the_sample_inside_the_program_needs_no_files() {
    let bench = Workbench::new();
    let said = bench.succeed(&format!(
        "condense {TINY} --images cifar10-sample --limit 32 --out tiny.learngene"
    ));
    assert!(said.starts_with("tiny.learngene: "), "{said}");
}

#[test]
fn inspect_shows_every_layer_and_its_clusters() {
    let bench = Workbench::with_learngene();
    let said = bench.succeed("inspect tiny.learngene");
    for part in ["3 layers", "95,383 parameters", "eps 0.200 px", "6 images of 32 px", "layer 2"] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    let manifest = bench.succeed_json("inspect tiny.learngene --json");
    for (layer, heads) in said.lines().filter(|line| line.starts_with("layer ")).enumerate() {
        for head in 0..3 {
            let number = |field: &str| {
                manifest["distances"][field][layer][head].as_f64().expect("it was measured")
            };
            let (distance, std) = (number("mean_attention_distance"), number("std"));
            let part = format!("{distance:.1} ±{std:.1}");
            assert!(heads.contains(&part), "{heads}\nlacks {part}");
        }
    }
}

/// A cluster of several heads is shown with the distances that it spans.
#[test]
fn inspect_shows_how_wide_a_cluster_is() {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    bench.succeed(&format!("condense {TINY} --images photos --eps 40 --out one.learngene"));
    let manifest = bench.succeed_json("inspect one.learngene --json");
    let heads = manifest["distances"]["mean_attention_distance"][0].as_array().expect("a list");
    let heads = heads.iter().map(|head| head.as_f64().expect("a number"));
    let (low, high) = heads
        .fold((f64::MAX, 0.0), |(low, high): (f64, f64), head| (low.min(head), high.max(head)));
    let said = bench.succeed("inspect one.learngene");
    let part = format!("({low:.1}..{high:.1} px)");
    assert!(said.contains(&part), "{said}\nlacks {part}");
}

#[test]
fn a_descendant_can_be_deeper_or_shallower() {
    let bench = Workbench::with_learngene();
    for depth in ["1", "2", "3", "7"] {
        let made = bench.succeed_json(&format!(
            "expand tiny.learngene --depth {depth} --layers even --out d.safetensors --json"
        ));
        let num_heads = made["shape"]["num_heads"].as_array().expect("a list");
        assert_eq!(num_heads.len().to_string(), depth);
    }
}

#[test]
fn equal_heads_are_shown_once_and_layers_that_repeat_are_named() {
    let bench = Workbench::with_learngene();
    let said = bench.succeed("expand tiny.learngene --depth 5 --out d.safetensors");
    assert!(said.starts_with("d.safetensors: 5 layers of 3 heads, "), "{said}");
    assert!(said.contains(": layers 2, 3, 4 repeat the ancestor's 2\n"), "{said}");
    let said = bench.succeed("expand tiny.learngene --heads 4,1,3 --out d.safetensors");
    assert!(said.starts_with("d.safetensors: 3 layers of 4, 1, 3 heads, "), "{said}");
    assert!(!said.contains("repeat"), "{said}");
}

#[test]
fn heads_that_stay_equal_are_counted() {
    let bench = Workbench::new();
    bench.photos("photos", 4);
    let condense = format!("condense {TINY} --images photos --out x.learngene --eps");
    let said = |eps: &str| {
        bench.succeed(&format!("{condense} {eps}"));
        bench.succeed("expand x.learngene --out d.safetensors")
    };
    let copies = said("1000");
    assert!(copies.contains("in 3 layers several heads are copies of one"), "{copies}");
    let distinct = said("1e-6");
    assert!(!distinct.contains("copies"), "{distinct}");
}

#[test]
fn a_descendant_can_do_without_a_classifier() {
    let bench = Workbench::with_learngene();
    bench.succeed("expand tiny.learngene --num-classes 0 --out d.safetensors");
    let tensors = Tensors::of(&bench.read("d.safetensors"));
    assert!(!tensors.0.keys().any(|name| name.starts_with("head.")));
}

#[test]
fn a_descendant_can_have_other_heads() {
    let bench = Workbench::with_learngene();
    for (option, num_heads) in [
        ("--heads x1/3", [1, 1, 1]),
        ("--heads x8", [24, 24, 24]),
        ("--heads 2", [2, 2, 2]),
        ("--heads 4,1,3", [4, 1, 3]),
    ] {
        let made = bench
            .succeed_json(&format!("expand tiny.learngene {option} --out d.safetensors --json"));
        assert_eq!(made["shape"]["num_heads"], serde_json::json!(num_heads), "{option}");
    }
}

#[test]
fn a_descendant_in_hugging_face_names_has_its_config_beside_it() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    bench.succeed("expand tiny.learngene --num-classes 2 --format hf --out hf/model.safetensors");
    assert_eq!(bench.json("hf/config.json")["model_type"], "vit");
    bench.succeed("eval hf/model.safetensors --data pets");
}

#[test]
fn half_precision_is_half_the_size() {
    let bench = Workbench::with_learngene();
    let len = |dtype: &str| {
        bench.succeed(&format!("expand tiny.learngene --dtype {dtype} --out d.safetensors"));
        bench.read("d.safetensors").len()
    };
    let single = len("f32");
    for dtype in ["f16", "bf16"] {
        let half = len(dtype);
        assert!((half as f64) < 0.52 * single as f64, "{dtype}: {half} against {single}");
    }
}

#[test]
fn bf16_is_written_and_read_back() {
    let bench = Workbench::new();
    bench.succeed(&format!("export {TINY} --dtype bf16 --out narrow.safetensors"));
    let tensors = |file: &str| Tensors::of(&bench.read(file));
    let narrow = tensors("narrow.safetensors");
    assert!(narrow.0.values().all(|(dtype, ..)| *dtype == safetensors::Dtype::BF16));
    bench.succeed("export narrow.safetensors --out wide.safetensors");
    let (given, wide) = (tensors("tiny.safetensors"), tensors("wide.safetensors"));
    for name in given.0.keys() {
        let rounded = learngene_tensors::Dtype::BF16.round(given.get(name).1);
        assert_eq!(wide.get(name).1, rounded, "{name}");
    }
}

#[test]
fn a_checkpoint_of_timm_can_be_trained_without_a_learngene() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 2);
    bench.succeed(&format!("train {TINY} --data pets --epochs 1 --batch-size 4 --out run"));
}

#[test]
fn a_model_can_be_trained_from_its_shape_alone() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 2);
    bench.write(
        "shape.json",
        r#"{"family": "vit", "embed_dim": 16, "num_heads": [2, 1], "head_dim": 8,
            "hidden_dim": [16, 5], "ffn": "swiglu", "image_size": 32, "patch_size": 8,
            "in_channels": 3, "num_classes": 2, "layer_norm_eps": 1e-6}"#,
    );
    bench.succeed("train --config shape.json --data pets --epochs 1 --batch-size 4 --out run");
}

/// What a run is about to do is logged before its first step, and each evaluation with its rate.
#[test]
fn a_training_says_what_it_does() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 4);
    let args = format!(
        "train {TINY} --data pets --epochs 2 --warmup-epochs 1 --batch-size 3 --out run --json"
    );
    let output = bench.command(&args).assert().success().get_output().clone();
    let said = String::from_utf8_lossy(&output.stderr);
    for part in [
        "8 training and 8 test images of 32 px, 2 classes",
        "95,138 parameters",
        "3 steps an epoch, 2 epochs",
        "peak learning rate 2.930e-6 for the batch of 3",
        "epoch 2.00  learning rate 2.93e-6",
    ] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(run["recipe"]["warmup_epochs"], 1.0);
}

/// The width of the published models' heads is a guess, so the way to another is named.
#[test]
fn assumed_heads_come_with_the_flag_that_gives_others() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 1);
    bench.write(
        "shape.json",
        r#"{"family": "vit", "embed_dim": 192, "num_heads": [3], "head_dim": 64,
            "hidden_dim": [8], "ffn": "mlp", "image_size": 8, "patch_size": 8, "in_channels": 3,
            "num_classes": 2, "layer_norm_eps": 1e-6}"#,
    );
    bench.succeed("train --config shape.json --data pets --epochs 1 --out run");
    let bare = Tensors::of(&bench.read("run/last.safetensors")).to_bytes();
    bench.write("bare.safetensors", bare);
    let args = "export bare.safetensors --out d.safetensors";
    bench.command(args).assert().success().stderr(predicate::str::contains("--num-heads"));
}

#[test]
fn images_held_out_of_the_training_images_are_evaluated_on() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 4);
    let run = bench.succeed_json(&format!(
        "train {TINY} --data pets --hold-out 0.25 --epochs 1 --batch-size 4 --out run --json"
    ));
    assert_eq!((&run["train_images"], &run["test_images"]), (&6.into(), &2.into()));
    assert_eq!(run["hold_out"], 0.25);
    let args = format!("train {TINY} --data pets --hold-out 0.25 --epochs 1 --out other");
    let said = predicate::str::contains("6 training and 2 held-out training images")
        .and(predicate::str::contains("  held-out loss "));
    bench.command(&args).assert().success().stderr(said);
}

#[test]
fn a_fraction_of_the_training_images_is_learnt_from() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 4);
    let args = format!("train {TINY} --data pets --epochs 1 --batch-size 4 --seed 5 --json");
    let run = bench.succeed_json(&format!("{args} --fraction 0.5 --out half"));
    assert_eq!((&run["train_images"], &run["test_images"]), (&4.into(), &8.into()));
    let drawn = serde_json::json!({ "share": 0.5, "seed": 5 });
    assert_eq!(
        (&run["fraction"], &bench.json("half/identity.json")["train_fraction"]),
        (&drawn, &drawn)
    );
    let run = bench.succeed_json(&format!("{args} --out all"));
    assert_eq!((&run["train_images"], &run["fraction"]), (&8.into(), &serde_json::Value::Null));
    assert!(bench.json("all/identity.json").get("train_fraction").is_none());
    // As many images, drawn otherwise, are another run.
    let other = format!("{args} --fraction 0.51 --out half");
    bench.check(&other, &["half/identity.json", "another run", "\"share\": 0.5"]);
}

#[test]
fn checkpoints_convert_between_names_without_a_change() {
    let bench = Workbench::new();
    bench.succeed(&format!("export {TINY} --format hf --out hf.safetensors"));
    let theirs = Tensors::of(&bench.read("hf.safetensors"));
    let golden = std::fs::read(golden("vit_tiny_golden/hf.safetensors")).expect("it is there");
    let golden = Tensors::of(&golden);
    assert!(theirs.0 == golden.0);
}

#[test]
fn devices_and_datasets_are_listed() {
    let bench = Workbench::new();
    bench.command("list devices").assert().success().stdout(predicate::str::contains("flex"));
    bench
        .command("list datasets")
        .assert()
        .success()
        .stdout(predicate::str::contains("cifar10-sample").and(predicate::str::contains("2,000")));
}

#[test]
fn every_command_has_help_with_an_example() {
    let bench = Workbench::new();
    let help = bench.succeed("--help");
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    let names = commands.expect("the help lists commands").lines().filter_map(|line| {
        line.strip_prefix("  ")
            .and_then(|line| line.split(' ').next())
            .filter(|name| !name.is_empty())
    });
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let help = bench.succeed(&format!("{name} --help"));
        assert!(
            help.contains("Example") && help.contains(&format!(":\n  learngene {name} ")),
            "{name}\n{help}"
        );
    }
}

#[test]
fn options_stand_under_headings_and_recipes_are_explained() {
    let bench = Workbench::new();
    for (command, parts) in [
        (
            "condense",
            &["\nCheckpoint:", "\nProbe:", "\nPreprocessing:", "\nClustering:", "\nOutput:"][..],
        ),
        (
            "train",
            &["\nTraining:", "--warmup-epochs", "label_smoothing = 0.1", "# part of the target"],
        ),
        ("expand", &["\nShape:", "\nInheritance:", "three quarters in the middle"]),
        ("inspect", &["\nAttention:", "\nPreprocessing:"]),
    ] {
        let help = bench.succeed(&format!("{command} --help"));
        for part in parts {
            assert!(help.contains(part), "{help}\nlacks {part}");
        }
    }
}

/// `learngene inspect x | head` closes the pipe before everything is said.
#[test]
fn a_closed_pipe_is_no_error() {
    let bench = Workbench::with_learngene();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_learngene"))
        .args(["inspect", "tiny.learngene", "--json"])
        .current_dir(bench.path(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program was built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}
