//! Cells: what their runs came to.

use anyhow::{Context, Result};
use learngene_report::{
    Spread,
    data::{Evaluation, Measure, Measured, Model, Outcome, Run},
};
use serde_json::Value;

use super::{
    describe::field,
    experiment::Cell,
    ledger::Ledger,
    pipeline::{Descendant, Pipeline, Plan},
    step::Step,
};

/// Seeds of a cell: as many as are asked for or the cell wants. Where nothing is drawn, one tells all.
pub(crate) fn seeds(cell: &Cell, pipeline: &Pipeline<'_>, asked: u64) -> u64 {
    let least = cell.setting(pipeline.scale).least_seeds.unwrap_or(1);
    match cell.measure {
        Measure::Top1 => asked.max(least),
        Measure::LinearProbe | Measure::Heads | Measure::Count | Measure::FeatureError => least,
    }
}

/// The runs of a cell.
///
/// # Errors
/// The reason why it cannot be run.
pub(crate) fn plans(cell: &Cell, pipeline: &Pipeline<'_>, asked: u64) -> Result<Vec<Plan>> {
    (0..seeds(cell, pipeline, asked)).map(|seed| pipeline.plan(cell, seed)).collect()
}

/// The steps of a run whose results its cell shows.
pub(crate) fn steps(plan: &Plan) -> impl Iterator<Item = &Step> {
    let descendant = plan.descendant.iter();
    let about = descendant.flat_map(|d| [Some(&d.expand), d.manifest.as_ref()]).flatten();
    about.chain([&plan.value]).chain(&plan.features).map(AsRef::as_ref)
}

/// What the runs of a cell came to; those that are missing are run where the ledger may.
///
/// # Errors
/// When a run fails, is missing and may not be run, or prints something else than it should.
pub(crate) fn measure(cell: &Cell, plans: &[Plan], ledger: &Ledger<'_>) -> Result<Measured> {
    let runs = plans.iter().map(|plan| run(cell, plan, ledger)).collect::<Result<Vec<_>>>()?;
    let Spread { mean, std, .. } =
        Spread::of(runs.iter().map(|run| run.value)).context("a cell has at least one run")?;
    let difference = cell.cited.as_ref().map(|cited| mean - cited.value);
    let descendant = plans.first().and_then(|plan| plan.descendant.as_ref());
    let model = descendant.map(|descendant| model(descendant, ledger)).transpose()?;
    Ok(Measured { mean, std, difference, model, runs })
}

/// A cell that was not run.
pub(crate) fn not_run(error: &anyhow::Error) -> Outcome {
    let reason = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
    Outcome::NotRun { reason }
}

fn run(cell: &Cell, plan: &Plan, ledger: &Ledger<'_>) -> Result<Run> {
    let printed = ledger.result(&plan.value)?;
    let features = plan.features.as_ref().map(|step| ledger.result(step)).transpose()?;
    let mut commands = ledger.commands(&plan.value);
    for command in plan.features.iter().flat_map(|step| ledger.commands(step)) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    let frozen = match cell.measure {
        Measure::LinearProbe => Some(&printed),
        _ => features.as_ref(),
    };
    let evaluations = match cell.measure {
        Measure::Top1 => evaluations(&printed)?,
        _ => Vec::new(),
    };
    let value = match cell.measure {
        // The last, whatever those before it were: no epoch is chosen on test images.
        Measure::Top1 => evaluations.last().map(|evaluation| evaluation.top1),
        Measure::LinearProbe => frozen_top1(&printed, "linear"),
        Measure::Heads => heads(&printed),
        Measure::FeatureError => feature_error(&printed),
        Measure::Count => count(plan, &printed),
    };
    Ok(Run {
        seed: plan.seed,
        value: value.with_context(|| format!("`{}` printed no value", commands.join(" && ")))?,
        key: ledger.key(&plan.value),
        code: ledger.code().to_owned(),
        commands,
        evaluations,
        linear_probe: frozen.and_then(|printed| frozen_top1(printed, "linear")),
        knn: frozen.and_then(|printed| frozen_top1(printed, "knn")),
        learning_rate: printed["recipe"]["learning_rate"].as_f64(),
    })
}

/// What `train` printed of its evaluations.
fn evaluations(printed: &Value) -> Result<Vec<Evaluation>> {
    let lines = printed["metrics"].as_array().into_iter().flatten();
    let evaluation = |line: &Value| {
        let (step, epoch) = (line["step"].as_u64()?, line["epoch"].as_f64()?);
        Some(Evaluation { step, epoch, top1: line["top1"].as_f64()? })
    };
    lines.map(evaluation).collect::<Option<_>>().context("`train` printed no evaluations")
}

/// What `eval --frozen` printed of one way.
fn frozen_top1(printed: &Value, way: &str) -> Option<f64> {
    let mut results = printed.as_array().into_iter().flatten();
    results.find(|result| result["frozen"] == way)?["top1"].as_f64()
}

/// Heads that a manifest has kept, or whose maps were drawn.
fn heads(manifest: &Value) -> Option<f64> {
    if let Value::Array(maps) = manifest {
        return Some(maps.len() as f64);
    }
    let layers = manifest["clusters"]["heads"]["layers"].as_array()?.iter();
    let kept = layers.map(|layer| layer["representatives"].as_array().map(Vec::len));
    kept.sum::<Option<usize>>().map(|heads| heads as f64)
}

/// The error of a fitted attention's output, mean over layers, that a manifest tells.
fn feature_error(manifest: &Value) -> Option<f64> {
    let layers = manifest["refit"]["layers"].as_array().filter(|layers| !layers.is_empty())?;
    let errors = layers.iter().map(|layer| layer["attention"]["after"]["relative"].as_f64());
    errors.sum::<Option<f64>>().map(|sum| sum / layers.len() as f64)
}

/// What `data list` printed of a cell's dataset.
fn count(plan: &Plan, printed: &Value) -> Option<f64> {
    let (dataset, field) = plan.counted.as_ref()?;
    let mut sets = printed.as_array().into_iter().flatten();
    sets.find(|set| set["name"] == dataset.as_str())?[field.as_str()].as_f64()
}

/// What `expand` and the learngene tell of a descendant.
fn model(descendant: &Descendant, ledger: &Ledger<'_>) -> Result<Model> {
    let printed = ledger.result(&descendant.expand)?;
    let manifest = descendant.manifest.as_ref().map(|step| ledger.result(step)).transpose()?;
    let number = |field: &str| {
        let number = printed[field].as_u64();
        number.with_context(|| format!("`expand` printed no {field}"))
    };
    let heads: Vec<usize> = field(&printed["shape"], "num_heads")?;
    Ok(Model {
        ancestor: descendant.ancestor.clone(),
        method: printed["method"].as_str().context("`expand` printed no method")?.to_owned(),
        depth: heads.len(),
        heads,
        params: number("parameters")?,
        inherited_params: number("inherited_parameters")?,
        macs: number("macs")?,
        stored_params: manifest.and_then(|manifest| manifest["parameters"]["stored"].as_u64()),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use learngene_report::data::Scale;
    use serde_json::json;

    use super::*;
    use crate::{
        learngene::Line,
        reproduce::{ancestors, experiment::Experiment, inputs::Inputs, rates::LearningRates},
    };

    #[test]
    fn heads_of_all_layers_are_counted() {
        let layers = [json!({"representatives": [3, 2]}), json!({"representatives": [1]})];
        let manifest = |layers| json!({"clusters": {"heads": {"layers": layers}}});
        assert_eq!(heads(&manifest(json!(layers))), Some(3.0));
        assert_eq!(heads(&manifest(json!([{}]))), None);
        assert_eq!(heads(&json!([{"layer": 0}, {"layer": 11}])), Some(2.0));
    }

    #[test]
    fn the_error_of_features_is_a_mean_over_layers_where_there_is_one() {
        let layer = |error: f64| json!({"attention": {"after": {"relative": error}}});
        let manifest = json!({"refit": {"layers": [layer(0.25), layer(0.75)]}});
        assert_eq!(feature_error(&manifest), Some(0.5));
        assert_eq!(feature_error(&json!({"refit": null})), None);
    }

    #[test]
    fn a_training_without_an_evaluation_is_an_error() {
        let line = json!({"step": 3, "epoch": 0.5, "top1": 12.5});
        let found = evaluations(&json!({"metrics": [line]})).expect("one");
        assert_eq!(found, [Evaluation { step: 3, epoch: 0.5, top1: 12.5 }]);
        assert!(evaluations(&json!({"metrics": [{"step": 3}]})).is_err());
    }

    #[test]
    fn the_first_line_of_an_error_is_the_reason() {
        let Outcome::NotRun { reason } = not_run(&anyhow::anyhow!("no room\nat all")) else {
            panic!("it was not run")
        };
        assert_eq!(reason, "no room");
    }

    const EXPERIMENT: &str = r#"
        title = "Order"
        about = "Orders are compared."
        kind = "table"
        full = { needs = "GPUs", commands = [] }
        both = { measure = "top1" }
        desk = { data = "sample", recipe = "xtask/desk/recipe.toml", features = true }
        [[grids]]
        columns = [{ name = "desk ViT", desk = { ancestor = "desk-vit", least_seeds = 2 } }]
        rows = [{ name = "priority" }, { name = "impossible", desk.expand = "--impossible" }]
    "#;

    /// What the program would print: the top-1 of a training is 30 and its seed.
    fn print(root: &Path, line: &Line) -> Result<Value> {
        let text = line.to_string();
        let words: Vec<&str> = text.split(' ').collect();
        let behind =
            |flag: &str| words.iter().position(|word| *word == flag).map(|place| words[place + 1]);
        if text.contains("--impossible") {
            anyhow::bail!("no such flag\nas --impossible");
        }
        if let Some(out) = behind("--out") {
            std::fs::write(root.join(out), "").expect("a folder");
        }
        let seed: f64 = behind("--seed").unwrap_or("0").parse().expect("a number");
        Ok(match words[1] {
            "inspect" => json!({"parameters": {"stored": 7}}),
            "expand" => json!({
                "method": "cluster-learngene", "shape": {"num_heads": [8, 8]},
                "parameters": 10, "inherited_parameters": 6, "macs": 50,
            }),
            "train" => json!({
                "recipe": {"learning_rate": 0.01},
                "metrics": [
                    {"step": 1, "epoch": 0.5, "top1": 80.0},
                    {"step": 2, "epoch": 1.0, "top1": 30.0 + seed},
                ],
            }),
            "eval" => json!([{"frozen": "knn", "top1": 1.0}, {"frozen": "linear", "top1": 2.0}]),
            _ => Value::Null,
        })
    }

    /// What came of the cells of [`EXPERIMENT`].
    fn outcomes() -> Vec<Result<Measured>> {
        let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let root = tempfile::tempdir().expect("a folder");
        let set = |name| json!({"name": name, "train": 9, "test": 9, "is_in_cache": true});
        let inputs = Inputs::new(repository, json!([set("sample"), set("cifar10-sample")]));
        let ancestors = ancestors::read(repository).expect("the file is in the repository");
        let rates = LearningRates::read(repository).expect("the file is in the repository");
        let scale = Scale::Desk;
        let pipeline = Pipeline { inputs: &inputs, ancestors: &ancestors, rates: &rates, scale };
        let program = |line: &Line| print(root.path(), line);
        let ledger = Ledger::open(root.path(), "desk".into(), "code".into(), false, program);
        let ledger = ledger.expect("a folder");
        ledger.allow(true);
        let experiment = Experiment::parse("order", EXPERIMENT).expect("an experiment");
        let outcome =
            |cell: &Cell| measure(cell, &plans(cell, &pipeline, 1).expect("all is here"), &ledger);
        experiment.cells.iter().map(outcome).collect()
    }

    #[test]
    fn a_cell_is_the_mean_of_last_evaluations_with_the_runs_behind_it() {
        let outcomes = outcomes();
        let measured = outcomes[0].as_ref().expect("it runs");
        assert_eq!((measured.mean, measured.std), (30.5, Some(0.5_f64.sqrt())));
        let model = measured.model.as_ref().expect("a descendant");
        assert_eq!((model.depth, model.inherited_params, model.stored_params), (2, 6, Some(7)));
        let [first, second] = &measured.runs[..] else { panic!("two seeds") };
        assert_eq!((first.seed, first.value, second.value), (0, 30.0, 31.0));
        assert_ne!(first.key, second.key);
        assert_eq!((first.knn, first.linear_probe), (Some(1.0), Some(2.0)));
        assert_eq!((first.evaluations.len(), first.learning_rate), (2, Some(0.01)));
        let commands: Vec<&str> =
            first.commands.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(commands, ["probe", "condense", "expand", "train", "eval"]);
    }

    #[test]
    fn a_run_that_fails_leaves_the_others_and_is_told_by_its_first_line() {
        let outcomes = outcomes();
        assert!(outcomes[0].is_ok());
        let reason = not_run(outcomes[1].as_ref().expect_err("it fails"));
        assert_eq!(reason, Outcome::NotRun { reason: "no such flag".into() });
    }
}
