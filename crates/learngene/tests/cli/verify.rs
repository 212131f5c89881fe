//! `learngene verify`: where inherited heads came from, by their bytes.

use crate::{
    tensors::Tensors,
    workbench::{ANCESTOR, TINY, Workbench},
};

/// Heads that a JSON report of `verify` names for a layer, by priority.
fn heads_of(report: &serde_json::Value, layer: u64) -> Vec<u64> {
    let heads = report["ancestor"]["heads"].as_array().expect("a list");
    let heads = heads.iter().filter(|head| head["layer"] == layer);
    heads.map(|head| head["parts"][0]["source"]["head"].as_u64().expect("a head")).collect()
}

#[test]
fn every_head_is_found_in_its_ancestor() {
    let bench = Workbench::with_learngene();
    let report = bench.succeed_json(&format!("verify tiny.learngene {ANCESTOR} --json"));
    assert_eq!(report["verified"], true);
    assert_eq!(report["ancestor"]["is_named_file"], true);
    assert_eq!(report["ancestor"]["differing"], serde_json::json!([]));
    let manifest = bench.succeed_json("inspect tiny.learngene --json");
    for layer in 0..3 {
        let found = serde_json::json!(heads_of(&report, layer));
        assert_eq!(
            found, manifest["clusters"]["heads"]["layers"][layer as usize]["representatives"],
            "{layer}"
        );
    }
    let said = bench.succeed(&format!("verify tiny.learngene {ANCESTOR}"));
    assert!(said.contains("came whole from where the manifest says"), "{said}");
}

#[test]
fn without_the_ancestor_the_file_alone_is_checked() {
    let bench = Workbench::with_learngene();
    let report = bench.succeed_json("verify tiny.learngene --json");
    assert!(report["verified"] == true && report["ancestor"].is_null(), "{report}");
}

#[test]
fn averaged_heads_are_named_as_such() {
    let bench = Workbench::with_learngene();
    bench.succeed(&format!(
        "condense {TINY} --images photos --eps 40 --representative mean --out mean.learngene"
    ));
    let report = bench.succeed_json(&format!("verify mean.learngene {ANCESTOR} --json"));
    let source = &report["ancestor"]["heads"][0]["parts"][0]["source"];
    let want = serde_json::json!({"kind": "average", "layer": 0, "heads": [0, 1, 2]});
    assert_eq!(source, &want);
}

#[test]
fn another_ancestor_is_found_out() {
    let bench = Workbench::with_learngene();
    let mut other = Tensors::of(&bench.read("tiny.safetensors"));
    other.map("blocks.1.attn.qkv.weight", |_, value| 1.5 * value);
    bench.write("other.safetensors", other.to_bytes());
    let args = "verify tiny.learngene --checkpoint other.safetensors --num-heads 3";
    let output = bench.command(args).output().expect("the program was built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: tiny.learngene is not what its manifest says"), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("another file than the manifest names"), "{stdout}");
    assert!(stdout.contains("centroid 0 should be"), "{stdout}");
}

#[test]
fn bad_files_are_refused() {
    let bench = Workbench::with_learngene();
    bench.check("verify none.learngene", &["none.learngene", "No such file"]);
    bench.check("verify tiny.safetensors", &["tiny.safetensors", "expected"]);
    let args = "verify tiny.learngene --checkpoint none.safetensors --num-heads 3";
    bench.check(args, &["none.safetensors", "No such file"]);
    let mut bytes = bench.read("tiny.learngene");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    bench.write("bad.learngene", bytes);
    bench.check("verify bad.learngene", &["bad.learngene", "expected"]);
}
