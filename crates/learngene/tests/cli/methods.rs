//! The initialisations that a learngene is compared with.

use crate::workbench::{AGAINST, ANCESTOR, TINY, Workbench};

#[test]
fn every_method_gives_a_checkpoint_of_the_same_shape() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 1);
    for method in [
        "cluster-learngene".to_owned(),
        "from-scratch".to_owned(),
        format!("pretraining-finetuning {ANCESTOR}"),
        format!("heuristic-learngene --inherited-layers 1 {ANCESTOR}"),
        format!("auto-learngene --inherited-layers 1 {ANCESTOR}"),
        format!("weight-transformation {ANCESTOR}"),
        format!("weight-selection {ANCESTOR}"),
    ] {
        let made = bench.succeed_json(&format!(
            "expand tiny.learngene --depth 2 --num-classes 2 --method {method} \
             --out made/d.safetensors --json"
        ));
        assert_eq!(made["shape"]["num_heads"], serde_json::json!([3, 3]), "{method}");
        bench.succeed("eval made/d.safetensors --data pets");
        bench.succeed("inspect made/d.json --svg made/d.svg");
    }
}

/// The whole ancestor is enough for what a learngene is compared with.
#[test]
fn methods_of_the_whole_ancestor_do_without_a_learngene() {
    let bench = Workbench::new();
    let expand =
        |args: &str| bench.succeed(&format!("expand {args} {ANCESTOR} --out d.safetensors"));
    let said = expand("--method heuristic-learngene --inherited-layers 1");
    assert!(said.contains("\nlayers 0, 1 are drawn, 2 are the ancestor's 2"), "{said}");
    let made = bench.json("d.json");
    assert_eq!(made["layers"], serde_json::json!([null, null, 2]));
    assert_eq!(made["inherited_layers"], 1);
    assert_eq!(made["learngene_sha256"], serde_json::Value::Null);
    assert!(made["ancestor_sha256"].is_string());
    let said = expand("--method weight-transformation");
    assert!(said.contains("\nsharing weights: layers 0, 1 repeat the ancestor's 0, but"), "{said}");
    expand("--method weight-selection --depth 2 --heads 1 --embed-dim 16");
    expand("--method pretraining-finetuning --depth 2");
    expand("--method from-scratch --depth 2");
    assert_eq!(bench.json("d.json")["inherited_parameters"], 0);
}

/// Half of the ancestor's layers, as in the paper's Table 2.
#[test]
fn heuristic_learngene_takes_the_last_layers_and_auto_learngene_the_first() {
    let bench = Workbench::new();
    let said = |method: &str| {
        let method = format!("{method}-learngene --inherited-layers 2");
        bench.succeed(&format!("expand --method {method} {ANCESTOR} --out d.safetensors"))
    };
    let text = said("heuristic");
    assert!(text.contains("\nlayers 0 are drawn, 1, 2 are the ancestor's 1, 2"), "{text}");
    let text = said("auto");
    assert!(text.contains("\nlayers 2 are drawn, 0, 1 are the ancestor's 0, 1"), "{text}");
    bench.succeed(&format!("expand --method auto-learngene {ANCESTOR} --out d.safetensors"));
    let inherited = bench.json("d.json")["layers"].clone();
    let count = inherited.as_array().expect("a list").iter().filter(|it| !it.is_null()).count();
    assert_eq!(count, 2, "{inherited}: half of three layers, rounded up");
}

#[test]
fn a_seed_by_which_nothing_is_drawn_is_warned_of() {
    let bench = Workbench::with_learngene();
    for (flags, is_warned) in [("--num-classes 0", true), ("--num-classes 2", false)] {
        let args = format!("expand tiny.learngene {flags} --seed 5 --out d.safetensors");
        let output = bench.command(&args).assert().success().get_output().clone();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains("--seed has no effect"), is_warned, "{said}");
    }
}

/// As many heads of each layer, others by another seed, and every one still the ancestor's.
#[test]
fn heads_can_be_kept_at_random() {
    let bench = Workbench::with_learngene();
    let kept = |seed: u32| {
        bench.succeed(&format!(
            "condense {TINY} --images photos --eps 0.2 --random-heads {seed} --out random.learngene"
        ));
        bench.succeed(&format!("inspect random.learngene {AGAINST}"));
        bench.succeed("expand random.learngene --out d.safetensors");
        bench.succeed_json("inspect random.learngene --json")
    };
    let wanted = bench.succeed_json("inspect tiny.learngene --json");
    let layers = |manifest: &serde_json::Value, field: &str| -> Vec<serde_json::Value> {
        let layers = manifest["clusters"]["heads"]["layers"].as_array().expect("layers");
        layers.iter().map(|layer| layer[field].clone()).collect()
    };
    let random: Vec<_> = (0..6).map(kept).collect();
    for (seed, manifest) in random.iter().enumerate() {
        assert_eq!(layers(manifest, "sizes"), layers(&wanted, "sizes"));
        assert_eq!(manifest["clusters"]["heads"]["random_heads"], seed);
    }
    let heads = |manifest| layers(manifest, "representatives");
    assert!(random.iter().any(|manifest| heads(manifest) != heads(&random[0])));
    let said = bench.succeed("inspect random.learngene");
    assert!(said.contains("heads drawn at random, seed 5"), "{said}");
}
