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
        "condense vits14.safetensors --images cifar10-sample --limit 4 --paper \
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
        "expand vits14.learngene --depth 6 --heads x1/2 --num-classes 10 \
         --out descendant.safetensors --json",
    );
    assert_eq!(made["shape"]["num_heads"], json!(vec![3; 6]));
    let input = Tensors::filled("input", &[1, 3, 224, 224], 0.5);
    bench.write("x.safetensors", input.to_bytes());
    bench.succeed("forward descendant.safetensors --input x.safetensors --out y.safetensors");
    let output = Tensors::of(&bench.read("y.safetensors"));
    let (shape, logits) = output.get("logits");
    assert_eq!(shape, [1, 10]);
    assert!(logits.iter().all(|logit| logit.is_finite()), "{logits:?}");
}

/// Descendants of a budget are closer to the ancestor the larger they are, and verify as its parts.
#[test]
#[ignore = "needs the real ViT-S: run by `cargo xtask test` where LEARNGENE_VITS14 names it"]
fn real_vits14_is_condensed_to_a_size() {
    let bench = Workbench::new();
    bench.lay("vits14.safetensors", &checkpoint());
    let made = bench.succeed_json(
        "condense vits14.safetensors --images cifar10-sample --limit 32 \
         --image-size 84 --max-size 30% --one-size --out vits14.learngene --json",
    );
    let bytes = made["bytes"].as_u64().expect("a number");
    assert!(bytes <= 21_535_104 * 2 * 3 / 10, "{bytes}");
    bench.succeed("inspect vits14.learngene --against vits14.safetensors");
    let said = bench.succeed("inspect vits14.learngene --svg heads.svg");
    assert!(said.contains("heads by what they write"), "{said}");
    let rows = bench.succeed_json("sizes vits14.learngene --json");
    let errors = rows.as_array().expect("a list").iter().map(|row| row["error"].as_f64());
    let errors: Vec<f64> = errors.map(|error| error.expect("a number")).collect();
    assert!(errors.len() > 4 && errors.is_sorted_by(|one, next| one > next), "{errors:?}");
    let made = bench.succeed_json(
        "expand vits14.learngene --max-params 5M --num-classes 10 --out d.safetensors --json",
    );
    let parameters = made["parameters"].as_u64().expect("a number");
    assert!((4_800_000..=5_000_000).contains(&parameters), "{parameters}");
    let layers = bench.succeed_json("inspect vits14.learngene --json")["layers"].clone();
    assert!(layers.as_array().expect("a list").len() < 12, "{layers}");
}
