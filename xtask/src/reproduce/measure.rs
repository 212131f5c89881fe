//! Cells: what their runs came to.

use anyhow::{Context, Result};
use learngene_report::data::{Evaluation, Measure, Measured, Model, Outcome, Run};
use serde_json::Value;

use super::{
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
    let values: Vec<f64> = runs.iter().map(|run| run.value).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let difference = cell.cited.as_ref().map(|cited| mean - cited.value);
    let descendant = plans.first().and_then(|plan| plan.descendant.as_ref());
    let model = descendant.map(|descendant| model(descendant, ledger)).transpose()?;
    Ok(Measured { mean, std: std(&values, mean), difference, model, runs })
}

/// A cell that was not run.
pub(crate) fn not_run(error: &anyhow::Error) -> Outcome {
    let reason = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
    Outcome::NotRun { reason }
}

/// Sample standard deviation (n - 1); none for one value.
fn std(values: &[f64], mean: f64) -> Option<f64> {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
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

/// Heads that a manifest has kept.
fn heads(manifest: &Value) -> Option<f64> {
    let layers = manifest["layers"].as_array()?.iter();
    let kept = layers.map(|layer| layer["representatives"].as_array().map(Vec::len));
    kept.sum::<Option<usize>>().map(|heads| heads as f64)
}

/// The error of a fitted attention's output, mean over layers, that a manifest tells.
fn feature_error(manifest: &Value) -> Option<f64> {
    let layers = manifest["refit"]["attention"].as_array().filter(|layers| !layers.is_empty())?;
    let errors = layers.iter().map(|layer| layer[0]["fit"]["after"]["relative"].as_f64());
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
    let heads = flat(&printed["config"]["num_heads"]);
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

/// The numbers of a list, or of the lists in it.
pub(crate) fn flat(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => number.as_u64().and_then(|n| n.try_into().ok()).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(std(&[1.0, 3.0], 2.0), Some(2.0_f64.sqrt()));
        assert_eq!(std(&[1.0], 1.0), None);
    }

    #[test]
    fn heads_of_all_layers_are_counted() {
        let layers = [json!({"representatives": [3, 2]}), json!({"representatives": [1]})];
        assert_eq!(heads(&json!({ "layers": layers })), Some(3.0));
        assert_eq!(heads(&json!({ "layers": [{}] })), None);
    }

    #[test]
    fn the_error_of_features_is_a_mean_over_layers_where_there_is_one() {
        let layer = |error: f64| json!([{"fit": {"after": {"relative": error}}}]);
        let manifest = json!({"refit": {"attention": [layer(0.25), layer(0.75)]}});
        assert_eq!(feature_error(&manifest), Some(0.5));
        assert_eq!(feature_error(&json!({"refit": null})), None);
    }

    #[test]
    fn numbers_of_stages_are_told_layer_by_layer() {
        assert_eq!(flat(&json!([[4, 4], [8]])), [4, 4, 8]);
        assert_eq!(flat(&json!([8, 8])), [8, 8]);
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
}
