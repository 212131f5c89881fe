//! `learngene inspect --against`: where inherited heads came from, by their bytes.

use crate::{
    tensors::Tensors,
    workbench::{AGAINST, TINY, Workbench},
};

/// Heads that a JSON report names for a layer, by priority.
fn heads_of(report: &serde_json::Value, layer: u64) -> Vec<u64> {
    let heads = report["heads"].as_array().expect("a list");
    let heads = heads.iter().filter(|head| head["layer"] == layer);
    heads.map(|head| head["parts"][0]["source"]["head"].as_u64().expect("a head")).collect()
}

#[test]
fn every_head_is_found_in_its_ancestor() {
    let bench = Workbench::with_learngene();
    let report = bench.succeed_json(&format!("inspect tiny.learngene {AGAINST} --json"));
    assert_eq!(report["is_named_file"], true);
    assert_eq!(report["differing"], serde_json::json!([]));
    let manifest = bench.succeed_json("inspect tiny.learngene --json");
    for layer in 0..3 {
        let found = serde_json::json!(heads_of(&report, layer));
        assert_eq!(
            found, manifest["clusters"]["heads"]["layers"][layer as usize]["representatives"],
            "{layer}"
        );
    }
    let said = bench.succeed(&format!("inspect tiny.learngene {AGAINST}"));
    assert!(said.contains("came whole from where the manifest says"), "{said}");
}

#[test]
fn averaged_heads_are_named_as_such() {
    let bench = Workbench::with_learngene();
    bench.succeed(&format!(
        "condense {TINY} --images photos --eps 40 --representative mean --out mean.learngene"
    ));
    let report = bench.succeed_json(&format!("inspect mean.learngene {AGAINST} --json"));
    let source = &report["heads"][0]["parts"][0]["source"];
    let want = serde_json::json!({"kind": "average", "layer": 0, "heads": [0, 1, 2]});
    assert_eq!(source, &want);
}

#[test]
fn another_ancestor_is_found_out() {
    let bench = Workbench::with_learngene();
    let mut other = Tensors::of(&bench.read("tiny.safetensors"));
    other.map("blocks.1.attn.qkv.weight", |_, value| 1.5 * value);
    bench.write("other.safetensors", other.to_bytes());
    let args = "inspect tiny.learngene --against other.safetensors --num-heads 3";
    let output = bench.command(args).output().expect("the program was built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: the learngene is not what its manifest says"), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("another file than the manifest names"), "{stdout}");
    assert!(stdout.contains("centroid 0 should be"), "{stdout}");
}

#[test]
fn bad_files_are_refused() {
    let bench = Workbench::with_learngene();
    bench.check("inspect none.learngene", &["none.learngene", "No such file"]);
    let args = "inspect tiny.learngene --against none.safetensors --num-heads 3";
    bench.check(args, &["none.safetensors", "No such file"]);
    bench.check(&format!("inspect {TINY} --against x.pth"), &["tiny.safetensors", "expected"]);
    let mut bytes = bench.read("tiny.learngene");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    bench.write("bad.learngene", bytes);
    bench.check("inspect bad.learngene", &["bad.learngene", "expected"]);
}

#[test]
fn a_checkpoint_is_described() {
    let bench = Workbench::new();
    let made = bench.succeed_json(&format!("inspect {TINY} --json"));
    assert_eq!((&made["parameters"], &made["shape"]["num_classes"]), (&95_383.into(), &7.into()));
    let said = bench.succeed(&format!("inspect {TINY}"));
    assert!(
        said.contains("\nparameters   95,383\n") && said.contains("\nclasses      7\n"),
        "{said}"
    );
}
