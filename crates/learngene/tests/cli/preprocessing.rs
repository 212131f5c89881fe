//! How images become a model's input: read from the checkpoint, and passed on.

use crate::workbench::{TINY, Workbench};

#[test]
fn images_are_normalised_as_the_checkpoint_s_config_says() {
    let bench = Workbench::new();
    bench.photos("photos", 2);
    bench.write(
        "config.json",
        r#"{"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}"#,
    );
    let probe = format!("probe {TINY} --images photos --out d.json");
    bench.succeed(&probe);
    assert_eq!(bench.json("d.json")["preprocessing"]["mean"], serde_json::json!([0.5, 0.5, 0.5]));
    bench.succeed(&format!("{probe} --mean 0.25,0.5,0.75"));
    let preprocess = bench.json("d.json")["preprocessing"].clone();
    assert_eq!(preprocess["mean"], serde_json::json!([0.25, 0.5, 0.75]), "a flag wins");
    assert_eq!(preprocess["std"], serde_json::json!([0.5, 0.5, 0.5]));
}

/// What a run used is what its checkpoints are measured with, and what is made of them has it too.
#[test]
fn preprocessing_goes_with_the_checkpoint() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 5);
    let used = "--image-size 24 --mean 0.1,0.2,0.9 --std 0.05,0.3,0.6 --crop-pct 0.5";
    let run = bench.succeed_json(&format!(
        "train {TINY} --data pets --epochs 1 --batch-size 8 {used} --out run --json"
    ));
    let measured = |checkpoint: &str, flags: &str| {
        bench.succeed_json(&format!("eval {checkpoint} --data pets --batch-size 8 --json {flags}"))
    };
    let last = measured("run/last.safetensors", "");
    assert_eq!(last["loss"], run["metrics"][0]["loss"]);
    assert_eq!(last["top1"], run["metrics"][0]["top1"]);
    let flags = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --crop-pct 0.9";
    assert_ne!(measured("run/last.safetensors", flags)["loss"], last["loss"], "flags win");

    let export = "export run/last.safetensors --out";
    bench.succeed(&format!("{export} timm.safetensors"));
    bench.succeed(&format!("{export} hf/model.safetensors --format hf"));
    assert_eq!(measured("timm.safetensors", "")["loss"], last["loss"]);
    assert_eq!(measured("hf/model.safetensors", "")["loss"], last["loss"]);
    let processor = bench.json("hf/preprocessor_config.json");
    assert_eq!(processor["image_mean"], serde_json::json!([0.1, 0.2, 0.9]));
    assert_eq!(processor["size"], serde_json::json!({ "shortest_edge": 48 }));
    assert_eq!(processor["crop_size"], serde_json::json!({ "height": 24, "width": 24 }));
    // Of another model it would be the wrong one.
    let parts = ["hf/preprocessor_config.json: found", "choose an empty folder"];
    let other = "train run/last.safetensors --data pets --epochs 1 --batch-size 8";
    bench.succeed(&format!("{other} --mean 0,0,0 --out other"));
    let other = "export other/last.safetensors --format hf --out hf/b.safetensors";
    bench.check(other, &parts);

    // From an ancestor's probe to its descendants.
    let of_run = "run/last.safetensors";
    bench.succeed(&format!("condense {of_run} --images pets/train --paper --out x.learngene"));
    bench.succeed("expand x.learngene --out d.safetensors");
    bench.succeed("probe d.safetensors --images pets --out d2.json");
    let probed = bench.json("d2.json")["preprocessing"].clone();
    assert_eq!((&probed["std"][0], &probed["crop_pct"]), (&0.05.into(), &0.5.into()));
}

#[test]
fn preprocessing_that_makes_no_sense() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 1);
    bench.succeed(&format!("train {TINY} --data pets --epochs 1 --batch-size 4 --out run"));
    let written = bench.read("run/best.safetensors");
    let forge = |from: &str, to: &str, parts: &[&str]| {
        let mut forged = written.clone();
        let at = forged.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.expect("the header holds the text");
        forged[at..at + from.len()].copy_from_slice(to.as_bytes());
        bench.write("bad.safetensors", &forged);
        let parts = [&["bad.safetensors"], parts].concat();
        bench.check("eval bad.safetensors --data pets", &parts);
    };
    let mean = "[0.485,0.456,0.406]";
    forge(mean, "[123.4,0.456,0.406]", &["mean", "123.4", "expected"]);
    forge("0.229", "0.000", &["std", "expected"]);
    forge("crop_pct\\\":0.9", "crop_pct\\\":1.9", &["crop_pct", "1.9", "expected"]);
}
