use serde_json::{Value, json};

use crate::fixture::check_refused;

/// A part of the fixture by its pointer, such as `/experiments/1/cells/0`.
fn at<'a>(report: &'a mut Value, pointer: &str) -> &'a mut Value {
    report.pointer_mut(pointer).unwrap_or_else(|| panic!("the fixture has no {pointer}"))
}

/// Puts a value at a place, which must be refused by words that name the place.
#[track_caller]
fn check(pointer: &str, value: Value, words: &[&str]) {
    check_refused(|report| *at(report, pointer) = value, words);
}

// Places of the fixture: Table 1's first cell has two runs and a value of the paper, its second was
// not run; Fig. 3 wants models, Fig. 5 curves, the last experiment sizes; Table 6 counts.
const CELL: &str = "/experiments/1/cells/0";
const RUN: &str = "/experiments/1/cells/0/outcome/run";
const FIRST: &str = "/experiments/1/cells/0/outcome/run/runs/0";
const AT_RUN: &str = "experiments[1].cells[0].outcome.run";

fn in_run(field: &str) -> String {
    format!("{RUN}/{field}")
}

fn in_first(field: &str) -> String {
    format!("{FIRST}/{field}")
}

#[test]
fn words_that_are_missing_are_refused() {
    for (pointer, place) in [
        ("/producer", "producer is empty"),
        ("/command", "command is empty"),
        ("/ancestors/0/name", "ancestors[0].name is empty"),
        ("/experiments/1/title", "experiments[1].title is empty"),
        ("/experiments/1/data/name", "experiments[1].data.name is empty"),
        ("/experiments/1/recipe/file", "experiments[1].recipe.file is empty"),
        ("/experiments/1/cells/0/row", "experiments[1].cells[0].row is empty"),
        ("/experiments/1/cells/0/column", "experiments[1].cells[0].column is empty"),
        ("/experiments/1/cells/0/paper/source", "cells[0].paper.source is empty"),
    ] {
        check(pointer, json!(" "), &[place, "wanted words"]);
    }
}

#[test]
fn a_cell_that_was_not_run_says_why() {
    let pointer = "/experiments/1/cells/1/outcome/not-run/reason";
    check(pointer, json!(""), &["experiments[1].cells[1].outcome.not-run.reason is empty"]);
}

#[test]
fn numbers_that_must_be_positive_are() {
    for (pointer, place) in [
        ("/ancestors/0/embed_dim", "ancestors[0].embed_dim is 0"),
        ("/ancestors/0/params", "ancestors[0].params is 0"),
        ("/ancestors/0/macs", "ancestors[0].macs is 0"),
        ("/ancestors/0/bytes", "ancestors[0].bytes is 0"),
        ("/ancestors/0/num_heads/1", "ancestors[0].num_heads[1] is 0"),
        ("/ancestors/0/learngene/bytes", "ancestors[0].learngene.bytes is 0"),
        ("/ancestors/0/learngene/stored_params", "learngene.stored_params is 0"),
        ("/ancestors/0/learngene/min_points", "learngene.min_points is 0"),
        ("/ancestors/0/learngene/images", "learngene.images is 0"),
        ("/ancestors/0/attention/0/tokens", "ancestors[0].attention[0].tokens is 0"),
        ("/experiments/1/data/train_images", "experiments[1].data.train_images is 0"),
        ("/experiments/1/data/test_images", "experiments[1].data.test_images is 0"),
        ("/experiments/1/data/classes", "experiments[1].data.classes is 0"),
        ("/experiments/1/recipe/epochs", "experiments[1].recipe.epochs is 0"),
        ("/experiments/1/recipe/batch_size", "experiments[1].recipe.batch_size is 0"),
        ("/experiments/1/recipe/steps", "experiments[1].recipe.steps is 0"),
        (&in_run("model/depth"), "outcome.run.model.depth is 0"),
        (&in_run("model/heads/0"), "outcome.run.model.heads[0] is 0"),
        (&in_run("model/params"), "outcome.run.model.params is 0"),
        (&in_run("model/macs"), "outcome.run.model.macs is 0"),
        (&in_run("model/stored_params"), "outcome.run.model.stored_params is 0"),
    ] {
        check(pointer, json!(0), &[place, "a positive number"]);
    }
}

#[test]
fn percentages_out_of_range_are_refused() {
    for (pointer, place) in [
        ("/ancestors/0/top1".to_owned(), "ancestors[0].top1"),
        (format!("{CELL}/paper/value"), "experiments[1].cells[0].paper.value"),
        (in_first("value"), "run.runs[0].value"),
        (in_first("evaluations/1/top1"), "run.runs[0].evaluations[1].top1"),
        (in_first("linear_probe"), "run.runs[0].linear_probe"),
        (in_first("knn"), "run.runs[0].knn"),
    ] {
        for wrong in [-0.1, 100.1] {
            check(&pointer, json!(wrong), &[place, "a percentage from 0 to 100"]);
        }
    }
}

#[test]
fn distances_are_not_negative() {
    for field in ["eps/0", "mean_attention_distance/1/2", "std/0/1", "uniform/1"] {
        let place = field.replacen('/', "[", 1).replace('/', "][") + "] is -1";
        let pointer = format!("/ancestors/0/learngene/{field}");
        check(&pointer, json!(-1.0), &[&place, "a finite number of at least 0"]);
    }
}

#[test]
fn counts_are_whole() {
    let run = "/experiments/7/cells/0/outcome/run/runs/0/value";
    check(run, json!(0.5), &["runs[0].value is 0.5", "a whole number"]);
}

#[test]
fn checksums_and_keys_are_64_hexadecimal_digits() {
    for pointer in [
        "/ancestors/0/sha256",
        "/ancestors/0/learngene/sha256",
        &in_first("key"),
        &in_first("code"),
    ] {
        for wrong in ["", "abc", &"G".repeat(64), &"A".repeat(64)] {
            check(pointer, json!(wrong), &["64 hexadecimal digits"]);
        }
    }
}

#[test]
fn names_that_make_no_anchor_are_refused() {
    check("/ancestors/0/id", json!("desk ViT"), &["ancestors[0].id is `desk ViT`"]);
    check("/experiments/0/id", json!("a\"b"), &["experiments[0].id", "small letters"]);
}

#[test]
fn names_stand_for_one_thing() {
    let twice = |r: &mut Value| r["ancestors"][1] = r["ancestors"][0].clone();
    check_refused(twice, &["ancestors[1].id is desk-vit", "no other ancestor"]);
    let twice = |r: &mut Value| r["experiments"][1]["id"] = r["experiments"][0]["id"].clone();
    check_refused(twice, &["experiments[1].id is fig1c_densities", "no other experiment"]);
    let twice = |r: &mut Value| {
        let cell = at(r, CELL).clone();
        *at(r, "/experiments/1/cells/1") = cell;
    };
    check_refused(twice, &["experiments[1].cells[1] is `From-Scratch`, `desk ViT` once more"]);
}

#[test]
fn an_empty_report_is_refused() {
    check("/experiments", json!([]), &["experiments is empty"]);
    check("/experiments/1/cells", json!([]), &["experiments[1].cells is empty"]);
}

#[test]
fn lists_of_another_length_are_refused() {
    check("/ancestors/0/num_heads", json!([]), &["ancestors[0].num_heads is empty"]);
    for (field, wrong) in [
        ("eps", json!([1.0])),
        ("mean_attention_distance", json!([[1.0, 1.0, 1.0]])),
        ("std", json!([])),
        ("uniform", json!([1.0])),
        ("layers", json!([])),
    ] {
        let place = format!("ancestors[0].learngene.{field} is a list of");
        check(&format!("/ancestors/0/learngene/{field}"), wrong, &[&place, "wanted 2"]);
    }
    let std = "/ancestors/0/learngene/std/1";
    check(std, json!([0.1]), &["learngene.std[1] is a list of 1", "3, one for each of the heads"]);
    check(&in_run("model/heads"), json!([3]), &["model.heads is a list of 1", "2, one"]);
}

#[test]
fn an_unknown_convention_is_refused() {
    check("/ancestors/0/learngene/convention", json!("mine"), &["convention is `mine`"]);
}

#[test]
fn clusters_that_contradict_themselves_are_refused() {
    let layer = |labels: Value, sizes: Value, representatives: Value| json!({ "labels": labels, "sizes": sizes, "representatives": representatives });
    let cases = [
        (layer(json!([0, 1]), json!([1, 1]), json!([0, 1])), "labels"),
        (layer(json!([0, 1, 1]), json!([2, 1]), json!([1, 2])), "representatives[1]"),
        (layer(json!([0, 1, 1]), json!([2, 1]), json!([1, 9])), "representatives[1]"),
        (layer(json!([0, 1, 1]), json!([1, 2]), json!([1, 0])), "sizes[0]"),
        (layer(json!([0, 1, 1]), json!([2]), json!([1, 0])), "sizes"),
        (layer(json!([0, 1, 1]), json!([2, 1]), json!([1])), "representatives"),
    ];
    for (clusters, field) in cases {
        let field = format!("ancestors[0].learngene.layers[1].{field} ");
        check("/ancestors/0/learngene/layers/1", clusters, &[&field]);
    }
}

#[test]
fn attention_maps_are_of_their_ancestor_and_whole() {
    let map = |field: &str| format!("/ancestors/0/attention/0/{field}");
    check(&map("model"), json!(""), &["attention[0].model is empty"]);
    check(&map("layer"), json!(2), &["attention[0].layer is 2", "below 2"]);
    check(&map("head"), json!(3), &["attention[0].head is 3", "below 3"]);
    check(&map("values"), json!("AAAA"), &["attention[0].values is 3 bytes", "25 bytes"]);
    check(&map("values"), json!("*"), &["attention[0].values is Invalid", "25 bytes"]);
    check(&map("tokens"), json!(6), &["attention[0].values is 25 bytes", "36 bytes"]);
    let huge = json!(u64::MAX);
    check(&map("tokens"), huge, &["attention[0].values is 25 bytes"]);
}

#[test]
fn a_value_has_at_least_one_run() {
    check(&in_run("runs"), json!([]), &[AT_RUN, "runs is empty", "at least one run"]);
}

#[test]
fn a_run_has_at_least_one_command() {
    check(&in_first("commands"), json!([]), &["runs[0].commands is empty"]);
    check(&in_first("commands"), json!([""]), &["runs[0].commands[0] is empty"]);
}

#[test]
fn a_mean_is_that_of_its_runs() {
    check(&in_run("mean"), json!(42.3), &[AT_RUN, "mean is 42.3", "42.2, the mean of its runs"]);
}

#[test]
fn a_spread_is_that_of_its_runs() {
    check(&in_run("std"), json!(1.0), &[AT_RUN, "std is 1", "the sample standard deviation"]);
    check(&in_run("std"), Value::Null, &[AT_RUN, "std is null", "the sample standard deviation"]);
    let one_run = "/experiments/7/cells/0/outcome/run/std";
    check(one_run, json!(0.0), &["std is 0", "null for one run"]);
}

#[test]
fn a_difference_is_from_the_papers_value() {
    check(&in_run("difference"), json!(1.0), &["difference is 1", "mean minus the paper's"]);
    check(&in_run("difference"), Value::Null, &["difference is null", "mean minus the paper's"]);
    let without = "/experiments/1/cells/2/outcome/run/difference";
    check(without, json!(1.0), &["difference is 1", "null without a value of the paper"]);
}

#[test]
fn seeds_rise() {
    check(&in_run("runs/1/seed"), json!(0), &["runs[1].seed is 0", "a seed above 0"]);
}

#[test]
fn runs_of_one_cell_are_evaluated_at_the_same_steps() {
    let step = in_run("runs/1/evaluations/3/step");
    check(&step, json!(65), &["runs[1].evaluations is after steps [16, 32, 48, 65]", "runs[0]"]);
    let all = in_run("runs/1/evaluations");
    check(&all, json!([]), &["runs[1].evaluations is after steps []"]);
}

#[test]
fn evaluations_follow_each_other() {
    let step = in_first("evaluations/1/step");
    check(&step, json!(16), &["evaluations[1].step is 16", "more than 16"]);
    let epoch = in_first("evaluations/1/epoch");
    check(&epoch, json!(1.0), &["evaluations[1].epoch is 1", "more than 1"]);
    let negative = in_first("evaluations/0/epoch");
    check(&negative, json!(-1.0), &["evaluations[0].epoch is -1"]);
}

#[test]
fn a_learning_rate_is_positive() {
    check(&in_first("learning_rate"), json!(0.0), &["runs[0].learning_rate is 0"]);
}

#[test]
fn ancestors_that_are_not_there_are_refused() {
    let model = in_run("model/ancestor");
    check(&model, json!("deit"), &["model.ancestor is `deit`", "desk-vit, desk-swin"]);
    let convergence = "/experiments/3/convergence/0/ancestor";
    check(convergence, json!("deit"), &["convergence[0].ancestor is `deit`", "desk-vit"]);
}

#[test]
fn a_model_has_a_method() {
    check(&in_run("model/method"), json!(""), &["model.method is empty"]);
}

#[test]
fn training_says_on_what_and_how() {
    check("/experiments/1/data", Value::Null, &["experiments[1].data is null"]);
    check("/experiments/1/recipe", Value::Null, &["experiments[1].recipe is null"]);
}

#[test]
fn figures_leave_no_cell_out() {
    let in_cell = |experiment: &str, field: &str| {
        format!("/experiments/{experiment}/cells/0/outcome/run/{field}")
    };
    check(&in_cell("2", "model"), Value::Null, &["experiments[2].cells[0]", "model is null"]);
    let sizes = in_cell("10", "model/stored_params");
    check(&sizes, Value::Null, &["experiments[10].cells[0]", "without stored_params"]);
    check(&in_cell("10", "model"), Value::Null, &["experiments[10].cells[0]", "model is null"]);
    let no_curve = |r: &mut Value| {
        for run in ["runs/0", "runs/1"] {
            *at(r, &in_cell("3", &format!("{run}/evaluations"))) = json!([]);
        }
    };
    check_refused(no_curve, &["experiments[3].cells[0].outcome.run.runs[0].evaluations is empty"]);
}

#[test]
fn convergence_is_that_of_its_curves() {
    for (field, wrong, words) in [
        ("target", json!(57.9), "target is 57.9"),
        ("learngene_steps", json!(63), "learngene_steps is 63, wanted 64"),
        ("scratch_steps", json!(64), "scratch_steps is 64"),
        ("reached", json!(false), "reached is false, wanted true"),
        ("ratio", json!(9.0), "ratio is 9"),
        ("column", json!("DeiT-B"), "column is `DeiT-B`, wanted a column with curves of"),
        (
            "ancestor",
            json!("desk-swin"),
            "curves of cluster-learngene and from-scratch for desk-swin",
        ),
    ] {
        let pointer = format!("/experiments/3/convergence/0/{field}");
        check(&pointer, wrong, &["experiments[3].convergence[0].", words]);
    }
}
