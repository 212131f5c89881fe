//! What learngenes are compared with at the same number of parameters.

use crate::workbench::{ANCESTOR, TINY, Workbench};

#[test]
fn baselines_are_smaller_checkpoints() {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 3);
    let whole = bench.succeed_json(&format!(
        "expand --method pretraining-finetuning {ANCESTOR} --out whole.safetensors --json"
    ));
    let whole = whole["parameters"].as_u64().expect("a number");
    let most = whole * 7 / 10;
    for method in ["first", "magnitude --refit", "random --seed 1", "variance", "taylor"] {
        let made = bench.succeed_json(&format!(
            "baseline {method} {TINY} --images pets --max-params {most} --out b.safetensors --json"
        ));
        let parameters = made["parameters"].as_u64().expect("a number");
        assert!((most * 9 / 10..=most).contains(&parameters), "{method}: {parameters} of {most}");
        bench.succeed("eval b.safetensors --data pets --frozen linear --pool both");
    }
    bench.succeed("train b.safetensors --data pets --epochs 1 --out run");
    let args = format!(
        "baseline taylor {TINY} --no-classifier --images pets --max-params {most} --out n.safetensors"
    );
    let said = bench.succeed(&args);
    assert!(said.starts_with("n.safetensors: 3 layers of "), "{said}");
    bench.check("eval n.safetensors --data pets", &["has no classifier"]);
}

#[test]
fn what_a_baseline_cannot_be_made_from_is_refused() {
    let bench = Workbench::new();
    bench.photos("photos", 3);
    let baseline =
        |method: &str| format!("baseline {method} {TINY} --images photos --out b.safetensors");
    for (method, part) in [
        ("magnitude --max-params 9", "largest number of parameters: found 9, expected at least "),
        ("magnitude --max-params 9K --seed 1", "nothing but `random` draws anything"),
        ("taylor --max-params 9K", "classes: found 0 for 3 images, expected one for each image"),
    ] {
        bench.check(&baseline(method), &[part]);
    }
}
