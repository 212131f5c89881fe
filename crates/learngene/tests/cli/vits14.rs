//! The real ViT-S. A machine without it reports these tests as skipped: they are marked to be
//! ignored, and `cargo xtask test` runs them where it finds the file.

use std::{
    env,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{tensors::Tensors, workbench::Workbench};

/// The checkpoint: where `LEARNGENE_VITS14` says, else beside the repository.
fn checkpoint() -> PathBuf {
    let default = "../../../shared/data/dinov2_vits14_224.f16.safetensors";
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join(default);
    let path = env::var_os("LEARNGENE_VITS14").map_or(default, PathBuf::from);
    assert!(path.is_file(), "the ViT-S is not at {}; name it in LEARNGENE_VITS14", path.display());
    path
}

#[test]
#[ignore = "needs the real ViT-S: run by `cargo xtask test` where LEARNGENE_VITS14 names it"]
fn real_vits14_condenses_and_expands() {
    let bench = Workbench::new();
    bench.lay("vits14.safetensors", &checkpoint());
    bench.succeed(
        "condense --checkpoint vits14.safetensors --images cifar10-sample --limit 4 \
         --image-size 224 --out vits14.learngene",
    );
    let manifest = bench.succeed_json("inspect vits14.learngene --json");
    assert_eq!(manifest["ancestor"]["shape"]["num_heads"], json!(vec![6; 12]));
    assert_eq!(manifest["ancestor"]["parameters"], 21_619_584);
    assert_eq!(manifest["distances"]["images"], 4);
    // A trained model has heads that look near and heads that look far; random weights have not.
    let layers = manifest["distances"]["mean_attention_distance"].as_array().expect("a list");
    let heads = layers.iter().flat_map(|layer| layer.as_array().expect("a list"));
    let distances: Vec<f64> = heads.map(|head| head.as_f64().expect("a number")).collect();
    let nearest = distances.iter().copied().fold(f64::MAX, f64::min);
    let farthest = distances.iter().copied().fold(0.0, f64::max);
    assert_eq!(distances.len(), 72);
    assert!(nearest < 40.0 && farthest > 100.0, "{nearest} to {farthest} px");

    let made = bench.succeed_json(
        "expand vits14.learngene --depth 6 --head-ratio 2 --num-classes 10 \
         --out descendant.safetensors --json",
    );
    assert_eq!(made["shape"]["num_heads"], json!(vec![3; 6]));
    let input = Tensors::filled("input", &[1, 3, 224, 224], 0.5);
    bench.write("x.safetensors", input.to_bytes());
    bench.succeed(
        "forward --checkpoint descendant.safetensors --input x.safetensors --out y.safetensors",
    );
    let output = Tensors::of(&bench.read("y.safetensors"));
    let (shape, logits) = output.get("logits");
    assert_eq!(shape, [1, 10]);
    assert!(logits.iter().all(|logit| logit.is_finite()), "{logits:?}");
}

/// No larger than with the method's eps, the tuned setting is less wrong.
#[test]
#[ignore = "needs the real ViT-S: run by `cargo xtask test` where LEARNGENE_VITS14 names it"]
fn real_vits14_is_tuned_better_than_by_the_default() {
    let bench = Workbench::new();
    bench.lay("vits14.safetensors", &checkpoint());
    let tune = "tune --checkpoint vits14.safetensors --images cifar10-sample --limit 4 \
                --image-size 224 --heads-only --bootstrap 0 --out curve.json --json";
    let all = bench.succeed_json(&format!("{tune} --max-error 1"));
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let default = &all["default"];
    assert_eq!(default["setting"]["eps"], json!([10.0]));
    let curve = bench.json("curve.json");
    let points = curve["per_layer"].as_array().expect("a list").iter();
    let fits = points.filter(|point| number(&point["bytes"]) <= number(&default["bytes"]));
    let least = fits.map(|point| number(&point["error"])).fold(f64::INFINITY, f64::min);
    assert!(least < number(&default["error"]), "{least}, {default}");
}
