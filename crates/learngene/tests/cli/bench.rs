//! `learngene bench`: the work of every kind, on sizes that take moments.

use serde_json::{Value, json};

use crate::workbench::Workbench;

fn lines(args: &str) -> Vec<Value> {
    let lines = Workbench::new().succeed(args);
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn a_benchmark_prints_a_line_for_each_workload() {
    let lines = lines("bench --shapes nano --workloads forward,probe --iterations 1 --json");
    let workloads: Vec<&Value> = lines.iter().map(|line| &line["workload"]).collect();
    assert_eq!(workloads, ["forward", "probe"]);
    for line in &lines {
        assert_eq!((&line["shape"], &line["batch"]), (&json!("nano"), &json!(64)));
        let [ms, rate] = ["ms", "images_per_second"].map(|field| line[field].as_f64());
        let product = ms.zip(rate).map(|(ms, rate)| ms * rate / 1e3);
        assert!(product.is_some_and(|images| (images - 64.0).abs() < 1e-6), "{line}");
        let number = |field: &str| line[field].as_f64().unwrap_or(0.0);
        assert!(
            number("flops_per_second") > 0.0 && number("peak_flops_per_second") > 0.0,
            "{line}"
        );
        assert!(number("first_ms") > 0.0, "{line}");
        #[cfg(target_os = "linux")]
        assert!(number("peak_memory_bytes") > 1e6, "{line}");
    }
}

#[test]
fn work_on_files_is_measured_in_bytes_a_second() {
    let workloads = "condense,expand,learngene_read,learngene_write";
    let args = format!("bench --shapes nano --workloads {workloads} --iterations 1 --json");
    let lines = lines(&args);
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert!(line["bytes_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{line}");
        assert_eq!(line["flops_per_second"], Value::Null);
    }
}

#[test]
fn a_text_names_the_workload_and_its_shape() {
    let args = "bench --shapes nano --workloads load_images,learngene_open --iterations 1";
    let text = Workbench::new().succeed(args);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    for (line, workload) in lines.iter().zip(["load_images", "learngene_open"]) {
        assert!(
            line.starts_with(workload) && line.contains("nano") && line.contains(" ms"),
            "{line}"
        );
    }
}

#[test]
fn fused_and_plain_operations_agree_with_pytorch_and_each_other() {
    let comparisons =
        Workbench::new().succeed_json("bench parity --devices flex,flex-plain --json");
    let comparisons = comparisons.as_array().expect("a list");
    let against = |device: &str, reference: &str| {
        let of = |c: &&Value| c["device"] == device && c["reference"] == reference;
        comparisons.iter().filter(of).count()
    };
    // Of each golden model logits, attention of its first and last layer, loss and a gradient.
    assert_eq!([against("flex", "pytorch"), against("flex-plain", "pytorch")], [10, 10]);
    // Everything, the gradients of all parameters among it.
    assert!(against("flex-plain", "flex") > 80);
    for comparison in comparisons {
        assert_eq!(comparison["agrees"], true, "{comparison}");
        let [found, allowed] = ["difference", "tolerance"].map(|field| comparison[field].as_f64());
        assert!(found.zip(allowed).is_some_and(|(found, allowed)| found <= allowed));
    }
}

#[test]
fn a_study_of_scaling_fits_a_polynomial() {
    let args = "bench scaling --studies train_step_over_tokens --iterations 1 --json";
    let study = &lines(args)[0];
    assert_eq!(study["study"], "train_step_over_tokens");
    assert_eq!(study["points"].as_array().map(Vec::len), Some(5));
    let coefficients = study["fit"]["coefficients"].as_array().expect("a list");
    // Attention compares every two tokens.
    assert_eq!(coefficients.len(), 3);
    assert!(coefficients.iter().all(|coefficient| coefficient.is_f64()), "{study}");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_backend_that_is_not_built_in_is_refused() {
    let parts = ["`cuda:0` is not in this program", "--features cuda"];
    Workbench::new().check("bench parity --devices flex,cuda:0", &parts);
}

#[test]
fn gradient_checkpointing_trains_the_same_model() {
    let bench = Workbench::new();
    bench.write(
        "shape.json",
        json!({
            "family": "vit", "embed_dim": 16, "num_heads": [2, 2], "head_dim": 8,
            "hidden_dim": [32, 32], "ffn": "mlp", "image_size": 32, "patch_size": 16, "in_channels": 3, "num_classes": 10,
            "layer_norm_eps": 1e-6
        })
        .to_string(),
    );
    let train = "train --config shape.json --data cifar10-sample --epochs 1 --batch-size 500";
    bench.succeed(&format!("{train} --out plain"));
    bench.succeed(&format!("{train} --gradient-checkpointing --out checkpointed"));
    let [plain, checkpointed] =
        ["plain", "checkpointed"].map(|run| bench.read(&format!("{run}/last.safetensors")));
    assert!(plain == checkpointed, "the same bytes");
}
