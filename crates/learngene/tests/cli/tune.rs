//! How much to keep: what is chosen, what is written, and what is refused.

use serde_json::Value;

use crate::workbench::{TINY, Workbench};

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.photos("photos", 6);
    bench
}

fn tune(options: &str) -> String {
    format!("tune {TINY} --images photos --out curve.json {options}")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The command makes the learngene that was promised: no larger, and as wrong as was said.
#[test]
fn the_command_is_one_of_condense() {
    let bench = bench();
    for options in [
        "--max-size 85%",
        "--max-error 0.02 --limit 4 --image-size 48 --crop-pct 1 --mean 0.4,0.5,0.5 --ridge 0.1",
        "--max-size 50% --min-points 2 --batch-size 4",
    ] {
        let tuned = bench.succeed_json(&tune(&format!("{options} --svg curve.svg --json")));
        let command = tuned["command"].as_str().expect("a command");
        let (name, args) = command.split_once(' ').expect("several words");
        assert_eq!(name, "learngene");
        // No word of it holds a space, and no shell takes the quotes off.
        let made = bench.succeed_json(&format!("{} --json", args.replace('\'', "")));
        let (file, chosen) = ("curve.learngene", &tuned["chosen"]);
        assert_eq!(made["parameters"], chosen["parameters"]);
        assert!(number(&made["bytes"]) <= number(&tuned["chosen_file_bytes"]));

        let manifest = bench.succeed_json(&format!("inspect {file} --json"));
        let fits = manifest["refit"]["attention"].as_array().expect("a list");
        for (layer, fits) in fits.iter().enumerate() {
            let (got, want) = (&chosen["attention_error"][layer], &fits[0]["fit"]["after"]);
            let difference = number(got) - number(&want["relative"]);
            assert!(difference.abs() < 1e-4, "layer {layer}: {got}, {want}");
        }
    }
    assert_eq!(bench.json("curve.json")["images"], 6);
    let svg = String::from_utf8(bench.read("curve.svg")).expect("text");
    for part in ["<svg role=\"img\"", "chosen", "default, eps", "an eps for each layer"] {
        assert!(svg.contains(part), "{svg}\nlacks {part}");
    }
}

#[test]
fn words_tell_what_was_chosen_and_how_firm_it_is() {
    let bench = bench();
    let said = bench.succeed(&tune("--max-error 0.05 --min-points 1 --bootstrap 20 --seed 3"));
    for part in [
        "curve.json: chosen ",
        " of 9 heads and ",
        "for comparison the default eps, 1.429: ",
        "to make it: learngene condense --checkpoint tiny.safetensors --num-heads 3 --images photos \
         --eps ",
        "layer 2: ",
        "; clusters ",
        "the share of 20 draws of 6 images",
    ] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    let curve = bench.json("curve.json");
    assert_eq!(curve["stability"]["resamples"], 20);
    let clusters = curve["stability"]["layers"][0].as_array().expect("a list");
    let heads = clusters.iter().map(|cluster| cluster["heads"].as_array().expect("a list").len());
    assert_eq!(heads.sum::<usize>(), 3);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bench = bench();
    let run = |options: &str| {
        bench.succeed(&tune(&format!("--max-size 90% --svg curve.svg {options}")));
        [bench.read("curve.json"), bench.read("curve.svg")]
    };
    let first = run("--seed 1");
    assert!(first == run("--seed 1"));
    assert!(first[0] != run("--seed 2")[0]);
}

#[test]
fn one_eps_for_all_layers_and_heads_alone() {
    let bench = bench();
    let options = "--max-error 0.05 --one-eps --heads-only --min-points 1 --bootstrap 0 --json";
    let tuned = bench.succeed_json(&tune(options));
    let setting = &tuned["chosen"]["setting"];
    assert_eq!(setting["eps"].as_array().map(Vec::len), Some(1));
    assert_eq!((&setting["min_points"], &setting["ffn_eps"]), (&1.into(), &Value::Null));
    assert!(tuned["stability"].is_null() && bench.json("curve.json")["stability"].is_null());
}

/// A list of eps goes as far as the file.
#[test]
fn condense_takes_an_eps_for_each_layer() {
    let bench = bench();
    let condense = format!("condense {TINY} --images photos --out x.learngene");
    bench.succeed(&format!("{condense} --eps 0.2,40,1e-9"));
    let manifest = bench.succeed_json("inspect x.learngene --json");
    assert_eq!(
        manifest["clusters"]["heads"]["algorithm"]["eps"],
        serde_json::json!([0.2, 40.0, 1e-9])
    );
    assert_eq!(manifest["clusters"]["heads"]["layers"][1]["sizes"], serde_json::json!([3]));
    assert_eq!(manifest["clusters"]["heads"]["layers"][2]["sizes"], serde_json::json!([1, 1, 1]));
    bench.succeed("inspect x.learngene");
}

fn check(options: &str, exit_code: i32, parts: &[&str]) {
    bench().check(&tune(options), exit_code, parts);
}

#[test]
fn a_budget_is_wanted_and_one_only() {
    check("", 2, &["--max-size", "--max-error"]);
    check("--max-size 50% --max-error 0.1", 2, &["cannot be used with"]);
}

#[test]
fn sizes_that_are_none() {
    for size in ["much", "-5", "12MB", "1.5"] {
        let parts = ["--max-size", "wanted a number of bytes, or a share such as 60%"];
        check(&format!("--max-size {size}"), 2, &parts);
    }
}

#[test]
fn budgets_that_are_none() {
    check("--max-size 0", 1, &["found 0", "expected"]);
    check("--max-size 101%", 1, &["found 101", "expected"]);
    check("--max-error -0.1", 1, &["found -0.1", "expected"]);
    check("--max-size 50% --ridge -1", 1, &["ridge: found -1"]);
}

#[test]
fn sizes_that_no_setting_has() {
    check("--max-size 1000", 1, &["smallest learngene", "expected at most 1,000 bytes"]);
}

#[test]
fn numbers_of_heads_that_are_none() {
    for (points, got) in [("0", "`0`"), ("1,-2", "`-2`"), ("-1,2", "`-1`"), ("two", "`two`")] {
        let parts = ["--min-points", "wanted a number of at least 1", got];
        check(&format!("--max-size 50% --min-points {points}"), 2, &parts);
    }
}

#[test]
fn draws_and_seeds_below_zero() {
    for flag in ["--bootstrap", "--seed"] {
        let parts = [flag, "wanted a whole number of 0 or more, got `-1`"];
        check(&format!("--max-size 50% {flag} -1"), 2, &parts);
    }
}

#[test]
fn one_image_to_draw_from() {
    let parts = ["needs at least 2 of them, got 1", "--bootstrap 0"];
    check("--max-size 50% --limit 1", 1, &parts);
}

#[test]
fn a_picture_in_place_of_the_curve() {
    check("--max-size 50% --svg curve.json", 2, &["--svg", "ends in .svg", "got `curve.json`"]);
    let tune = format!("tune {TINY} --images photos --max-size 50% --out curve --svg curve");
    bench().check(&tune, 1, &["--out and --svg are both curve"]);
}
