//! Which commands cells take, and that every cell of the repository has some.

use std::{collections::BTreeSet, path::Path};

use super::*;
use crate::reproduce::{ancestors, experiment};

#[test]
fn layers_are_told_in_three_ways() {
    assert_eq!(layers("6", 12.0), Some(6.0));
    assert_eq!(layers("1,1,3,1", 12.0), Some(6.0));
    assert_eq!(layers("x3/4", 12.0), Some(9.0));
    assert_eq!(layers("x2", 12.0), Some(24.0));
    assert_eq!(layers("same", 12.0), None);
}

#[test]
fn the_number_behind_a_flag_is_read() {
    assert_eq!(value_of("--fraction 0.25 --workers 1", "--fraction"), Some(0.25));
    assert_eq!(value_of("--workers 1", "--fraction"), None);
}

/// What `learngene list datasets --json` prints where every set that the experiments name is here.
fn datasets() -> serde_json::Value {
    let names = ["cifar10", "cifar10-sample", "cifar100", "fashion_mnist", "mnist", "imagenet"];
    let others = ["food101", "flowers102", "stanford_cars", "cub200", "inat2019"];
    let set = |name: &&str| serde_json::json!({"name": name, "train": 100, "test": 10, "is_in_cache": true});
    names.iter().chain(&others).map(set).collect()
}

/// Why cells of this repository cannot be planned at a scale where all data is here, each once.
fn reasons(scale: Scale) -> Vec<String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let inputs = Inputs::new(root, datasets());
    let ancestors = ancestors::read(root).expect("the file is in the repository");
    let rates = LearningRates::read(root).expect("the file is in the repository");
    let pipeline = Pipeline { inputs: &inputs, ancestors: &ancestors, rates: &rates, scale };
    let experiments = experiment::read_all(root).expect("the files are in the repository");
    let cells = experiments.iter().flat_map(|experiment| &experiment.cells);
    let told = cells.filter(|cell| {
        let setting = cell.setting(scale);
        setting.not_run.is_none() && (setting.ancestor.is_some() || setting.count.is_some())
    });
    let reasons = told.filter_map(|cell| pipeline.plan(cell, 0).err());
    let reasons: BTreeSet<String> = reasons.map(|reason| format!("{reason:#}")).collect();
    reasons.into_iter().collect()
}

#[test]
fn every_cell_of_the_desk_can_be_run_but_for_a_checkpoint_that_is_elsewhere() {
    let is_elsewhere = |reason: &str| reason.starts_with("DINOv2 ViT-S/14 at 84 px: there is no");
    for reason in reasons(Scale::Desk) {
        assert!(is_elsewhere(&reason), "{reason}");
    }
}

#[test]
fn every_cell_of_the_paper_can_be_run_with_its_checkpoint() {
    for reason in reasons(Scale::Paper) {
        assert!(reason.contains(": there is no checkpoints/"), "{reason}");
    }
}

/// The commands of a run of the desk ViT.
fn commands(setting: &str) -> Vec<String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let inputs = Inputs::new(root, datasets());
    let ancestors = ancestors::read(root).expect("the file is in the repository");
    let rates = LearningRates::read(root).expect("the file is in the repository");
    let scale = Scale::Desk;
    let pipeline = Pipeline { inputs: &inputs, ancestors: &ancestors, rates: &rates, scale };
    let setting: Setting = toml::from_str(setting).expect("a setting");
    let ancestor = &ancestors[0];
    let step = pipeline.descendant(ancestor, &setting, 3).expect("it can be made");
    let all = step.history("", Path::new("made"));
    // Without the keys in names of files.
    let plain = |word: &str| {
        let name = word.strip_prefix("made/").and_then(|name| name.split_once('.'));
        name.map_or_else(|| word.to_owned(), |(_, extension)| format!("*.{extension}"))
    };
    let plain = |line: &String| line.split(' ').map(plain).collect::<Vec<_>>().join(" ");
    all.iter().map(plain).collect()
}

const PROBE: &str = "learngene probe \
    datasets/desk_ancestor/desk_ancestor.safetensors --images cifar10-sample --limit 256 \
    --batch-size 64";
const CONDENSE: &str = "learngene condense \
    datasets/desk_ancestor/desk_ancestor.safetensors --eps";

#[test]
fn a_learngene_is_condensed_from_distances_and_expanded_by_the_seed() {
    let expected = [
        format!("{PROBE} --out *.json"),
        format!("{CONDENSE} 0.1 --distances *.json --random-heads 3 --out *.learngene"),
        "learngene expand *.learngene --depth 6 --seed 3 --out *.safetensors".to_owned(),
    ];
    let setting = "eps = 0.1\ncondense = '--random-heads {seed}'\nexpand = '--depth 6'";
    assert_eq!(commands(setting), expected);
}

#[test]
fn fitting_sees_the_images_again() {
    let [condense, _] = &commands("condense = '--refit'")[..] else { panic!("two") };
    let images = "--images cifar10-sample --limit 256 --batch-size 64";
    let expected = format!("{CONDENSE} 0.3 {images} --refit --out *.learngene");
    assert_eq!(condense, &expected);
}

/// A size says by itself how much of each layer is kept.
#[test]
fn sizes_are_measured_on_the_images_without_clusters() {
    let [condense, _] = &commands("condense = '--max-size 50%'")[..] else { panic!("two") };
    let expected = "learngene condense \
        datasets/desk_ancestor/desk_ancestor.safetensors --images cifar10-sample --limit 256 \
        --batch-size 64 --max-size 50% --out *.learngene";
    assert_eq!(condense, expected);
}

#[test]
fn baselines_take_the_checkpoint_and_the_images_of_the_probe() {
    let setting = "method = 'baseline random'\nexpand = '--max-params 1M --seed {seed}'";
    let expected = "learngene baseline random \
        datasets/desk_ancestor/desk_ancestor.safetensors --images cifar10-sample --limit 256 \
        --batch-size 64 --max-params 1M --seed 3 --out *.safetensors";
    assert_eq!(commands(setting), [expected]);
}

#[test]
fn other_methods_take_the_checkpoint() {
    let expected = "learngene expand --method auto-learngene --checkpoint \
        datasets/desk_ancestor/desk_ancestor.safetensors --seed 3 --out *.safetensors";
    assert_eq!(commands("method = 'auto-learngene'"), [expected]);
}

#[test]
fn a_model_from_scratch_does_not_depend_on_how_a_learngene_is_condensed() {
    let plain = commands("method = 'from-scratch'");
    assert_eq!(commands("method = 'from-scratch'\ncondense = '--refit'\neps = 1.0"), plain);
}
