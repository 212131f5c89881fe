//! The whole path on a tiny Swin: 2 stages of 2 layers, 2 and 4 heads, windows of 4 tokens, 32 px.

use crate::workbench::{Workbench, golden};

const SWIN: &str = "swin.safetensors --image-size 32";

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.lay("swin.safetensors", &golden("swin_tiny_golden/timm.safetensors"));
    bench.photos("photos", 6);
    bench
}

#[test]
fn from_a_checkpoint_to_a_trained_descendant() {
    let bench = bench();
    bench.labelled_photos("pets", 4);
    bench.succeed(&format!("probe {SWIN} --images photos --out distances.json"));
    let distances = bench.json("distances.json");
    // Windows of 4 tokens of 2 px, then of 4 px.
    assert_eq!(distances["attended_side"], serde_json::json!([8, 8, 16, 16]));
    let said =
        bench.succeed("condense swin.safetensors --distances distances.json --out s.learngene");
    assert!(said.contains("of 12 heads"), "{said}");
    let said = bench
        .succeed(&format!("inspect s.learngene --against {SWIN}").replace(" --image-size 32", ""));
    assert!(said.contains("4 of 4 came whole"), "{said}");

    bench.succeed(
        "expand s.learngene --depth 1,3 --heads 3 --num-classes 2 --out descendant.safetensors",
    );
    let expansion = bench.json("descendant.json");
    assert_eq!(expansion["shape"]["num_heads"], serde_json::json!([3, 3, 3, 3]));
    let run = "--epochs 1 --batch-size 8 --out run";
    bench.succeed(&format!("train descendant.safetensors --data pets {run}"));
    let said = bench.succeed("eval run/best.safetensors --data pets");
    assert!(said.starts_with("top-1 "), "{said}");
}

#[test]
fn depths_and_windows_that_do_not_fit_are_refused() {
    let bench = bench();
    bench.succeed(&format!("condense {SWIN} --images photos --paper --out s.learngene"));
    let expand = |flags: &str| format!("expand s.learngene {flags} --out d.safetensors");
    let parts = ["numbers in the depth", "found 1", "2"];
    bench.check(&expand("--depth 3"), &parts);
    let parts = ["depth of stage 0", "found 3/2", "multiples of 1/2 give one"];
    bench.check(&expand("--depth x3/4"), &parts);
    bench.check(&expand("--heads x1/4"), &["layer 0: number of heads: found 1/2 "]);
    bench.check(&expand("--image-size 8"), &["expected"]);
}

#[test]
fn every_spelling_is_read_and_written() {
    let bench = bench();
    let export = |from: &str, names: &str, out: &str| {
        format!("export {from} --image-size 32 --format {names} --out {out}")
    };
    bench.succeed(&export("swin.safetensors", "official", "o.safetensors"));
    bench.succeed(&export("swin.safetensors", "hf", "hf/model.safetensors"));
    bench.succeed(&export("swin.safetensors", "timm", "t.safetensors"));
    bench.succeed(&export("o.safetensors", "timm", "from_official.safetensors"));
    bench.succeed(&export("hf/model.safetensors", "timm", "from_hf.safetensors"));
    assert!(bench.read("t.safetensors") == bench.read("from_official.safetensors"));
    assert!(bench.read("t.safetensors") == bench.read("from_hf.safetensors"));
}
