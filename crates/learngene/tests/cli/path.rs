//! The whole path, step by step, on a tiny model.

use predicates::prelude::*;

use crate::workbench::{TINY, Workbench, golden};

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
    let said = bench.succeed(
        "train --checkpoint descendant.safetensors --data pets --epochs 1 --batch-size 8 --out run",
    );
    assert!(said.starts_with("top-1 ") && said.ends_with("after 1 epochs\n"), "{said}");
    let said = bench.succeed("eval --checkpoint run/best.safetensors --data pets");
    assert!(said.starts_with("top-1 ") && said.ends_with("on 10 images\n"), "{said}");

    let left: Vec<_> = bench.files().into_keys().collect();
    for name in ["recipe.toml", "metrics.jsonl", "last.safetensors", "best.safetensors"] {
        assert!(left.contains(&bench.path("run").join(name)), "{name} is not in {left:?}");
    }
    assert!(!bench.path("run/checkpoints").exists(), "a whole run leaves nothing to resume");
}

#[test]
fn condensing_from_images_and_from_their_distances_is_the_same() {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    bench.succeed(&format!("probe {TINY} --images photos --out distances.json"));
    bench.succeed(&format!("condense {TINY} --distances distances.json --out a.learngene"));
    bench.succeed(&format!("condense {TINY} --images photos --out b.learngene"));
    assert!(bench.read("a.learngene") == bench.read("b.learngene"));
}

/// The default radius is in proportion to the images that were probed, not to the checkpoint's.
#[test]
fn condensing_from_distances_takes_the_radius_of_the_probed_images() {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    bench.succeed(&format!("probe {TINY} --images photos --image-size 64 --out distances.json"));
    bench.succeed(&format!("condense {TINY} --distances distances.json --out a.learngene"));
    let manifest = bench.succeed_json("inspect a.learngene --json");
    assert_eq!(manifest["clustering"]["algorithm"]["eps"], 10.0 * 64.0 / 224.0);
}

#[test]
fn the_sample_inside_the_program_needs_no_files() {
    let bench = Workbench::new();
    let said = bench.succeed(&format!(
        "condense {TINY} --images cifar10-sample --limit 4 --out tiny.learngene"
    ));
    assert!(said.starts_with("tiny.learngene: "), "{said}");
}

#[test]
fn inspect_shows_every_layer_and_its_clusters() {
    let bench = Workbench::with_learngene();
    let said = bench.succeed("inspect tiny.learngene");
    for part in ["3 layers", "95383 parameters", "eps 0.200 px", "6 images of 32 px", "layer 2"] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
}

#[test]
fn a_descendant_can_be_deeper_or_shallower() {
    let bench = Workbench::with_learngene();
    for depth in ["1", "2", "3", "7"] {
        let made = bench.succeed_json(&format!(
            "expand tiny.learngene --depth {depth} --layers even --out d.safetensors --json"
        ));
        let num_heads = made["config"]["num_heads"].as_array().expect("a list");
        assert_eq!(num_heads.len().to_string(), depth);
    }
}

#[test]
fn a_descendant_can_have_other_heads() {
    let bench = Workbench::with_learngene();
    for (option, num_heads) in [
        ("--head-ratio 3", [1, 1, 1]),
        ("--head-ratio 1/8", [24, 24, 24]),
        ("--heads 2", [2, 2, 2]),
        ("--heads 4,1,3", [4, 1, 3]),
    ] {
        let made = bench
            .succeed_json(&format!("expand tiny.learngene {option} --out d.safetensors --json"));
        assert_eq!(made["config"]["num_heads"], serde_json::json!(num_heads), "{option}");
    }
}

#[test]
fn every_method_gives_a_checkpoint_of_the_same_shape() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    for method in [
        "cluster-learngene",
        "from-scratch",
        "pretraining-finetuning --checkpoint tiny.safetensors --num-heads 3",
    ] {
        let made = bench.succeed_json(&format!(
            "expand tiny.learngene --depth 2 --num-classes 2 --method {method} \
             --out d.safetensors --json"
        ));
        assert_eq!(made["config"]["num_heads"], serde_json::json!([3, 3]), "{method}");
        bench.succeed("eval --checkpoint d.safetensors --data pets");
    }
}

#[test]
fn a_descendant_in_hugging_face_names_has_its_config_beside_it() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    bench.write("hf/.keep", "");
    bench.succeed("expand tiny.learngene --num-classes 2 --names hf --out hf/model.safetensors");
    assert_eq!(bench.json("hf/config.json")["model_type"], "vit");
    bench.succeed("eval --checkpoint hf/model.safetensors --data pets");
}

#[test]
fn half_precision_is_half_the_size() {
    let bench = Workbench::with_learngene();
    let len = |dtype: &str| {
        bench.succeed(&format!("expand tiny.learngene --dtype {dtype} --out d.safetensors"));
        bench.read("d.safetensors").len()
    };
    let (single, half) = (len("f32"), len("f16"));
    assert!((half as f64) < 0.52 * single as f64, "{half} against {single}");
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
        r#"{"embed_dim": 16, "num_heads": [2], "head_dim": 8, "mlp_hidden_dim": 16,
            "image_size": 32, "patch_size": 8, "in_channels": 3, "num_classes": 2,
            "layer_norm_eps": 1e-6}"#,
    );
    bench.succeed("train --config shape.json --data pets --epochs 1 --batch-size 4 --out run");
}

#[test]
fn images_held_out_of_the_training_images_are_evaluated_on() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 4);
    let run = bench.succeed_json(&format!(
        "train {TINY} --data pets --hold-out 0.25 --epochs 1 --batch-size 4 --out run --json"
    ));
    assert_eq!((&run["train_images"], &run["test_images"]), (&6.into(), &2.into()));
}

#[test]
fn checkpoints_convert_between_names_without_a_change() {
    let bench = Workbench::new();
    bench.succeed(&format!("convert {TINY} --names hf --out hf.safetensors"));
    let theirs = crate::tensors::Tensors::of(&bench.read("hf.safetensors"));
    let golden = std::fs::read(golden("vit_tiny_golden/hf.safetensors")).expect("it is there");
    let golden = crate::tensors::Tensors::of(&golden);
    assert!(theirs.0 == golden.0);
}

#[test]
fn devices_and_datasets_are_listed() {
    let bench = Workbench::new();
    bench.command("devices").assert().success().stdout(predicate::str::contains("flex"));
    bench
        .command("data list")
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
