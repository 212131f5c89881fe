//! `--compat`: faults of the published code, replayed to measure what they cost.

use serde_json::{Value, json};

use crate::{
    tensors::Tensors,
    workbench::{TINY, Workbench},
};

/// A radius that joins no heads.
const APART: &str = "--images photos --eps 0.0001";

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    bench
}

/// All heads, in their places.
const WHOLE: &str = "--order origin --projection centroid --classifier inherit";

#[test]
fn mixed_heads_cancel_where_all_are_kept_and_not_where_some_are() {
    let bench = bench();
    let condense = |flags: &str| {
        bench.succeed(&format!("condense {TINY} --keep-classifier {flags}"));
    };
    condense(&format!("{APART} --out sound.learngene"));
    condense(&format!("{APART} --compat mixed-heads --out mixed.learngene"));
    let manifest = bench.succeed_json("inspect mixed.learngene --json");
    assert_eq!(manifest["compat"], json!(["mixed-heads"]));
    let said = bench.succeed("inspect mixed.learngene");
    assert!(said.contains("mixed-heads, replayed"), "{said}");
    assert!(!bench.succeed("inspect sound.learngene").contains("replayed"));
    assert!(bench.read("sound.learngene") != bench.read("mixed.learngene"));

    let expand = |learngene: &str, flags: &str| {
        bench.succeed(&format!("expand {learngene}.learngene {WHOLE} {flags} --out d.safetensors"));
        Tensors::of(&bench.read("d.safetensors")).0
    };
    let all = expand("mixed", "--compat mixed-heads");
    assert_eq!(bench.json("d.json")["compat"], json!(["mixed-heads"]));
    assert!(all == Tensors::of(&bench.read("tiny.safetensors")).0, "the ancestor comes back");
    let one = expand("mixed", "--compat mixed-heads --heads 1");
    let sound = expand("sound", "--heads 1");
    assert_eq!(bench.json("d.json").get("compat"), None);
    let differing: Vec<&String> = one.keys().filter(|name| one[*name] != sound[*name]).collect();
    assert_eq!(differing.len(), 6, "weights and biases of three layers: {differing:?}");
    assert!(differing.iter().all(|name| name.contains("attn.qkv.")), "{differing:?}");
}

#[test]
fn faults_of_descendants_change_what_they_say() {
    let bench = Workbench::with_learngene();
    let expand = |flags: &str| {
        bench.succeed(&format!("expand tiny.learngene {flags} --out d.safetensors"));
        Tensors::of(&bench.read("d.safetensors")).0
    };
    let sound = expand("");
    for (fault, part, count) in
        [("lost-bias", "attn.qkv.bias", 3), ("destructive-ffn", "mlp.fc", 6)]
    {
        let faulty = expand(&format!("--compat {fault}"));
        assert_eq!(bench.json("d.json")["compat"], json!([fault]));
        let differing = faulty.keys().filter(|name| faulty[*name] != sound[*name]);
        let differing: Vec<&String> = differing.collect();
        assert_eq!(differing.len(), count, "{fault}: {differing:?}");
        assert!(differing.iter().all(|name| name.contains(part)), "{fault}: {differing:?}");
    }
    expand("--compat destructive-ffn,lost-bias,lost-bias");
    assert_eq!(bench.json("d.json")["compat"], json!(["lost-bias", "destructive-ffn"]));
}

#[test]
fn a_blank_probe_is_measured_and_noted() {
    let bench = bench();
    let probe = |flags: &str, out: &str| {
        bench.succeed(&format!("probe {TINY} --images photos {flags} --out {out}"));
        bench.json(out)
    };
    let (sound, blank) = (probe("", "sound.json"), probe("--compat blank-probe", "blank.json"));
    assert_eq!((sound.get("compat"), &blank["compat"]), (None, &json!(["blank-probe"])));
    assert_ne!(sound["mean_attention_distance"], blank["mean_attention_distance"]);
    // Nearly the same image, again and again.
    let spread = |distances: &Value| {
        let layers = distances["std"].as_array().expect("a list").iter();
        let heads = layers.flat_map(|layer| layer.as_array().expect("a list"));
        heads.map(|std| std.as_f64().expect("a number")).fold(0.0, f64::max)
    };
    assert!(spread(&blank) < spread(&sound) / 10.0, "{} {}", spread(&blank), spread(&sound));

    let compat = "--compat blank-probe";
    bench.succeed(&format!("condense {TINY} {APART} {compat} --out a.learngene"));
    bench
        .succeed(&format!("condense {TINY} --distances blank.json --eps 0.0001 --out b.learngene"));
    assert!(bench.read("a.learngene") == bench.read("b.learngene"));
    bench.succeed(&format!("expand b.learngene {compat} --out d.safetensors"));
    assert_eq!(bench.json("d.json")["compat"], json!(["blank-probe"]));
}

#[test]
fn half_epochs_are_a_run_of_their_own() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 8);
    let train = |flags: &str, out: &str| {
        format!("train {TINY} --data pets --epochs 2 --batch-size 4 {flags} --out {out}")
    };
    bench.succeed(&train("", "whole"));
    bench.succeed(&train("--compat half-epochs", "half"));
    let steps = |run: &str| {
        let lines = String::from_utf8(bench.read(&format!("{run}/metrics.jsonl"))).expect("text");
        let line = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["step"].clone();
        lines.lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        (steps("whole"), steps("half")),
        (vec![json!(4), json!(8)], vec![json!(2), json!(4)])
    );
    assert_eq!(bench.json("half/start.json")["half_epochs"], true);
    assert_eq!(bench.json("whole/start.json").get("half_epochs"), None);
    bench.check(&train("", "half"), 1, &["start.json"]);
}

#[test]
fn learngenes_and_flags_must_agree() {
    let bench = bench();
    bench.succeed(&format!("condense {TINY} {APART} --out sound.learngene"));
    for fault in ["mixed-heads", "blank-probe"] {
        let compat = format!("--compat {fault}");
        bench.succeed(&format!("condense {TINY} {APART} {compat} --out faulty.learngene"));
        let refused = ["was made with a fault of the published code", fault];
        bench.check("expand faulty.learngene --out d.safetensors", 1, &refused);
        let refused = [&*compat, "condensed without it"];
        bench.check(&format!("expand sound.learngene {compat} --out d.safetensors"), 1, &refused);
    }
}

#[test]
fn faults_that_a_command_does_not_have() {
    let bench = bench();
    let check = |args: &str, parts: &[&str]| bench.check(args, 2, parts);
    check(
        &format!("condense {TINY} {APART} --compat lost-bias --out x.learngene"),
        &["lost-bias", "mixed-heads, blank-probe"],
    );
    check(
        &format!("condense {TINY} {APART} --compat mixed-heads --refit own --out x.learngene"),
        &["--compat", "cannot be used with", "--refit"],
    );
    check(
        &format!("probe {TINY} --images photos --compat blank-probe --layer-changes --out d.json"),
        &["--compat", "cannot be used with", "--layer-changes"],
    );
    check(
        &format!("train {TINY} --data photos --compat mixed-heads --out run"),
        &["mixed-heads", "half-epochs"],
    );
    bench.write("d.json", r#"{"mean_attention_distance": [[1, 2, 3], [1, 2, 3], [1, 2, 3]]}"#);
    bench.check(
        &format!("condense {TINY} --distances d.json --compat blank-probe --out x.learngene"),
        1,
        &["--compat blank-probe replays a probe", "learngene probe"],
    );
    bench.check(
        &format!(
            "expand --method pretraining-finetuning {TINY} --compat lost-bias --out x.safetensors"
        ),
        1,
        &["--method pretraining-finetuning does not look at --compat"],
    );
}
