//! Learning from another model.

use predicates::prelude::*;

use crate::workbench::Workbench;

#[test]
fn a_descendant_learns_from_a_teacher() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 6);
    bench.succeed("expand tiny.learngene --depth 2 --num-classes 2 --out d.safetensors");
    let train = "train d.safetensors --data pets --batch-size 4 --epochs 2";
    bench.succeed(&format!("{train} --out alone"));
    let taught = format!("{train} --teacher tiny.learngene");
    let args = format!("{taught} --label-free 1 --out run");
    let phases = predicate::str::contains("\nteacher alone: epoch 1.00  learning rate ")
        .and(predicate::str::contains("\nfine-tuning: epoch 1.00  learning rate "));
    bench.command(&args).assert().success().stderr(phases);
    let last = bench.read("run/last.safetensors");
    assert!(last != bench.read("alone/last.safetensors"), "the teacher taught nothing");
    // A run that ended is not repeated, and the folder of one can teach.
    bench.succeed(&args);
    assert!(bench.read("run/last.safetensors") == last, "other bytes");
    bench.succeed(&format!("{train} --teacher run --teacher-weight 1 --out pupil"));

    bench.check(&format!("{taught} --out alone"), &["another run", "--teacher"]);
    bench.check(
        &format!("{taught} --label-free 2 --out other"),
        &["--label-free must leave an epoch of the 2 for labels, got 2"],
    );
    bench.check(&format!("{train} --label-free 1 --out other"), &["--teacher <MODEL>"]);
    bench
        .check(&format!("{taught} --teacher-weight -1 --out other"), &["teacher_weight: found -1"]);
    bench.succeed("expand tiny.learngene --embed-dim 96 --num-classes 2 --out wide.safetensors");
    let wide = "train wide.safetensors --data pets --batch-size 4 --epochs 1";
    bench.succeed(&format!("{wide} --teacher tiny.learngene --out wide"));
}

#[test]
fn a_learning_rate_is_found() {
    let bench = Workbench::with_learngene();
    bench.labelled_photos("pets", 6);
    bench.succeed("expand tiny.learngene --num-classes 2 --out d.safetensors");
    let train = "train d.safetensors --data pets --batch-size 4 --epochs 2 --out run --lr";
    let said = predicate::str::contains("learning rates tried, the best first: ");
    let assert = bench.command(&format!("{train} auto")).assert().success().stderr(said);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    let best = said.split("the best first: ").nth(1).and_then(|said| said.split(':').next());
    // The same as with that rate, and as before.
    bench.succeed(&format!("{train} {}", best.expect("a rate")));
    bench.succeed(&format!("{train} auto"));
    bench.check(&format!("{train} fast"), &["--lr", "wanted a number, got `fast`; or auto"]);
}
