//! Recipes that cannot be carried out, and folders that belong to another run.

use crate::workbench::{TINY, Workbench, check_message, golden};

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.labelled_photos("pets", 2);
    bench
}

/// `train` refuses this recipe file.
fn recipe(text: &str, parts: &[&str]) {
    let bench = bench();
    bench.write("recipe.toml", text);
    let parts = [&["recipe.toml"], parts].concat();
    let args = format!("train {TINY} --data pets --recipe recipe.toml --out run");
    bench.check(&args, &parts);
}

/// `train` refuses these options.
fn options(options: &str, parts: &[&str]) {
    bench().check(&format!("train {TINY} --data pets --out run {options}"), parts);
}

#[test]
fn a_recipe_that_is_not_there() {
    options("--recipe none.toml", &["cannot read none.toml", "No such file"]);
}

#[test]
fn recipes_that_cannot_be_carried_out() {
    let line = "found unknown key `learning_rat`";
    recipe("epochs = 3\nlearning_rat = 1e-3\n", &["line 2", line, "did you mean learning_rate?"]);
    recipe("epochs = \"three\"\n", &["line 1: `epochs`: found \"three\", expected a whole number"]);
    recipe("epochs = 0\n", &["epochs", "found 0"]);
    options("--batch-size 0", &["batch_size", "found 0"]);
    options("--lr nan", &["learning_rate", "found NaN"]);
}

/// The remedy works, also where the file alone could not be carried out.
#[test]
fn a_warm_up_longer_than_the_run() {
    let bench = bench();
    bench.write("recipe.toml", "epochs = 4\nwarmup_epochs = 5.0\n");
    let args = format!("train {TINY} --data pets --recipe recipe.toml --epochs 1 --out run");
    bench.check(&args, &["warmup_epochs", "found 5"]);
    bench.succeed(&format!("{args} --warmup-epochs 0"));
}

#[test]
fn all_or_nothing_held_out() {
    for (share, got) in [("0", "got 0"), ("1", "got 1"), ("nan", "got NaN"), ("-0.1", "got -0.1")] {
        options(&format!("--hold-out {share}"), &["above 0 and below 1", got]);
    }
    options("--hold-out 0.01", &["0.01 of 4 images", "one part without images"]);
}

#[test]
fn a_fraction_of_nothing_or_more_than_all() {
    for (share, got) in [("0", "got 0"), ("1.5", "got 1.5"), ("nan", "got NaN"), ("-1", "got -1")] {
        options(&format!("--fraction {share}"), &["above 0 and at most 1", got]);
    }
}

#[test]
fn a_shape_that_is_not_there() {
    let args = "train --config none.json --data pets --out run";
    bench().check(args, &["cannot read none.json", "No such file"]);
}

#[test]
fn a_shape_that_no_model_can_have() {
    let bench = bench();
    let args = "train --config shape.json --data pets --out run";
    let check = |shape: &str, message: &str| {
        bench.write("shape.json", shape);
        bench.check(args, &["shape.json is not the shape of a model", message]);
    };
    let heads_0 = r#"{"family": "vit", "embed_dim": 16, "num_heads": [2, 0], "head_dim": 8,
        "hidden_dim": [16, 16], "ffn": "mlp", "image_size": 32, "patch_size": 8,
        "in_channels": 3, "num_classes": 2, "layer_norm_eps": 1e-6}"#;
    check(heads_0, "num_heads[1]: found 0, expected at least 1");
    check(r#"{"family": "vit", "embed_dim": 16}"#, "missing field `image_size`");
    check(r#"{"embed_dim": 16}"#, "family of the model: found none, expected vit or swin");
}

#[test]
fn a_loss_that_stops_being_a_number() {
    let bench = bench();
    bench.write("recipe.toml", "learning_rate = 1e30\nwarmup_epochs = 0.0\nbatch_size = 1\n");
    let args = format!("train {TINY} --data pets --recipe recipe.toml --out run");
    let output = bench.command(&args).output().expect("the program was built");
    let parts = ["loss", "learning rate"];
    check_message(&args, &output, &parts);
    assert!(!bench.path("run/last.safetensors").exists());
}

/// The loss stays a number, but is none that a model comes to by learning.
#[test]
fn a_loss_that_rises_above_guessing() {
    let bench = bench();
    let warnings = |out: &str, learning_rate: &str| {
        let args = format!(
            "train {TINY} --data pets --epochs 3 --batch-size 1 --warmup-epochs 0 --lr \
             {learning_rate} --out {out}"
        );
        let assert = bench.command(&args).assert().success();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        said.matches("ln(2) = 0.6931").count()
    };
    assert_eq!(warnings("high", "2"), 1);
    assert_eq!(warnings("low", "0.000001"), 0);
}

#[test]
fn a_folder_of_another_run() {
    let bench = bench();
    let args = format!("train {TINY} --data pets --batch-size 4 --out run --epochs");
    bench.succeed(&format!("{args} 1"));
    let parts =
        ["run/recipe.toml", "another run", "found epochs = 1, expected epochs = 2", "choose"];
    bench.check(&format!("{args} 2"), &parts);
    let further = ["--epochs is another", "a new run of run/last.safetensors"];
    bench.check(&format!("{args} 2"), &further);
    for (flags, named) in [
        ("--lr 0.1", "--lr"),
        ("--seed 3", "--seed"),
        ("--recipe recipe.toml", "weight_decay in --recipe"),
        ("--crop-pct 0.5", "--crop-pct"),
        ("--std 1,1,0.5", "--std"),
        ("--fraction 0.5", "--data, --fraction or --hold-out"),
    ] {
        bench.write("recipe.toml", "weight_decay = 0.5\n");
        let named = format!("The run there began with another {named}");
        bench.check(&format!("{args} 1 {flags}"), &[&named]);
    }
}

/// The recipe is the same, but the run began with another model. Resuming it would go on with that
/// one, or fail where the shapes differ.
#[test]
fn a_folder_with_files_of_others() {
    let bench = bench();
    let args = format!("train {TINY} --data pets --out mine");
    for name in ["best.safetensors", "last.safetensors", "recipe.toml", "summary.csv"] {
        bench.write(&format!("mine/{name}"), "of others");
        let named = format!("mine/{name}");
        bench.check(&args, &[&named, "choose another folder"]);
        assert_eq!(bench.read(&format!("mine/{name}")), b"of others");
        std::fs::remove_file(bench.path(&format!("mine/{name}"))).expect("just written");
    }
}

#[test]
fn a_folder_of_another_model() {
    let bench = bench();
    let args = "--data pets --batch-size 4 --epochs 1 --out run";
    bench.succeed(&format!("train {TINY} {args}"));
    bench.lay("other.safetensors", &golden("vit_narrow_mlp_golden/timm.safetensors"));
    let args = format!("train other.safetensors --num-heads 4 {args}");
    bench.check(
        &args,
        &["run/identity.json", "model_sha256", "choose", "another MODEL or --config"],
    );
}

#[test]
fn a_folder_of_other_images() {
    let bench = bench();
    bench.labelled_photos("more", 3);
    let args = format!("train {TINY} --batch-size 4 --epochs 1 --out run --data");
    bench.succeed(&format!("{args} pets"));
    let parts = ["run/identity.json", "found \"train_images\": 4, expected \"train_images\": 6"];
    bench.check(&format!("{args} more"), &parts);
    bench.labelled_photos("renamed", 2);
    let [from, to] = ["0", "5"].map(|name| bench.path(&format!("renamed/test/cat/{name}.png")));
    std::fs::rename(from, to).expect("the workbench is writable");
    let parts = ["run/identity.json", "names_sha256", "began with another --data"];
    bench.check(&format!("{args} renamed"), &parts);
}

/// Those that were there stay.
#[test]
fn a_start_that_fails_leaves_no_folder() {
    let bench = bench();
    bench.photos("unsorted", 1);
    std::fs::create_dir(bench.path("old")).expect("the workbench is writable");
    let checkpoint = format!("train {TINY}");
    for (start, part) in [
        (format!("{checkpoint} --data cifar100"), "cifar100"),
        (format!("{checkpoint} --data unsorted"), "unsorted"),
        (format!("{checkpoint} --data pets --hold-out 0"), "above 0"),
        ("train none.safetensors --data pets".into(), "none.safetensors"),
        ("train --config none.json --data pets".into(), "none.json"),
    ] {
        for out in ["run", "new/deep/run", "old"] {
            bench.check(&format!("{start} --out {out}"), &[part]);
        }
        assert!(!bench.path("new").exists() && bench.path("old").is_dir(), "{start}");
    }
}

#[test]
fn metrics_that_cannot_be_read() {
    let bench = bench();
    let args = format!("train {TINY} --data pets --epochs 1 --out run");
    bench.succeed(&args);
    bench.write("run/metrics.jsonl", "{\"epoch\": 1}\n");
    let output = bench.command(&args).output().expect("the program was built");
    check_message(&args, &output, &["run/metrics.jsonl", "missing field"]);
}

#[test]
fn a_run_that_learns_nothing() {
    let bench = bench();
    let args = format!("train {TINY} --data pets --batch-size 4 --epochs 1 --out run");
    let assert = bench.command(&args).assert().success();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("warm-up"), "{said}");
    bench.write("recipe.toml", "warmup_learning_rate = 0.0\n");
    let args = args.replace("run", "other --recipe recipe.toml");
    bench.check(&args, &["1 step", "learning"]);
}

/// A run that failed before its first evaluation left nothing that another one would destroy.
#[test]
fn a_first_start_that_failed_is_no_run() {
    let bench = bench();
    let start = |options: &str| {
        let args = format!("train {TINY} --data pets --batch-size 2 --out run {options}");
        (bench.command(&args).output().expect("the program was built"), args)
    };
    bench.write("pets/train/dog/text.png", "no image");
    for options in ["--epochs 1", "--epochs 2"] {
        let (output, args) = start(options);
        check_message(&args, &output, &["cannot decode the image pets/train/dog/text.png"]);
    }
    bench.photos("photos", 1);
    bench.lay("pets/train/dog/text.png", &bench.path("photos/0.png"));
    assert!(start("--epochs 2").0.status.success());
    let (output, args) = start("--epochs 1");
    check_message(&args, &output, &["run/recipe.toml", "another run"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_another_training_writes_to() {
    let bench = bench();
    std::fs::create_dir(bench.path("run")).expect("the workbench is writable");
    let lock = std::fs::File::open(bench.path("run")).expect("it was just made");
    lock.try_lock().expect("nobody else has it");
    let args = format!("train {TINY} --data pets --epochs 1 --out run");
    bench.check(&args, &["another training writes to run", "choose another --out"]);
    drop(lock);
    bench.succeed(&args);
}
